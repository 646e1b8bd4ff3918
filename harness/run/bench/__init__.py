"""Measuring for the benchmark. Nothing here concludes anything."""
