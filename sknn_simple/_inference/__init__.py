"""Standard errors, intervals and effects around a fitted network."""
