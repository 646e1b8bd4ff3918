"""What a benchmark's observations amount to."""
