"""Features, column moments, row blocks and threads; nothing here uses a network."""
