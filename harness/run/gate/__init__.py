"""Measuring for the gate: what runs in a revision's process, and who asks it. Nothing here concludes anything."""
