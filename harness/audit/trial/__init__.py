"""What harm a write or a draw does, and which remedy holds: decided by trying it."""
