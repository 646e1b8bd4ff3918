"""What a soak's observations come to."""
