"""Parts as STEP files."""
