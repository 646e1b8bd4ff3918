"""Verdict: conclusions from saved observations, and from nothing else."""
