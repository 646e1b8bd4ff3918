"""The built-in subjects: what people do with one ChatterBox model today, and what this project does.

Nothing is imported here, so that a command line can be checked without loading torch.
"""
