"""One workload as a line of JSON: played concurrently, compared with each request alone, and played again by hand."""
