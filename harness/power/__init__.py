"""Power: faults planted on purpose, and how many of them each detector catches, beside its false alarms.

faults (data and code) -> scenario (one small concurrent batch) -> detectors -> measure -> table.
Nothing is imported here, so that a command line can be checked without loading torch.
"""
