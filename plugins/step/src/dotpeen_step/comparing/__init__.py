"""What became of every UUID between two files."""
