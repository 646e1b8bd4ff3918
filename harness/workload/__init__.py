"""Workload: what is asked for. Seeded voices, texts and parameters, the same ones for the same seed."""
