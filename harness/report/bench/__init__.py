"""Drawing a benchmark from its saved data."""
