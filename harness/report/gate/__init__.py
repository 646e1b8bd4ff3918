"""The gate's answer as text: a few lines for a terminal, and markdown for a pull request."""
