"""The mathematics of the networks, one block of rows at a time."""
