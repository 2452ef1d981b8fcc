"""The five stages, one module each: what a stage does and how it is undone stand beside each other."""
