"""Seeing what a call writes and draws, and at which line."""
