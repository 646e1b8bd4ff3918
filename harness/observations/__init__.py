"""Observations: every raw call on disk, one JSON line each, before anybody judges it."""
