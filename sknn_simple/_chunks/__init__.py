"""Training on rows that are elsewhere, in chunks: the room behind ``dask``."""
