"""Interleavings: a systematic search for one that breaks a hazard's place, explained, saved and replayed.

Nothing is imported here, so that a command line can be checked without loading torch.
"""
