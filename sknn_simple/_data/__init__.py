"""Arrays, never networks: features, moments, row blocks, threads."""
