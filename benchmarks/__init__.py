"""Measured comparisons with other implementations, run by hand; see README.md."""
