"""Hours of use in minutes: all families, sixteen workers, and a fault in every place where one can be."""
