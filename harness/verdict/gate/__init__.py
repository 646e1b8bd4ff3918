"""Judging for the gate, from what was saved: nothing here measures anything or draws it."""
