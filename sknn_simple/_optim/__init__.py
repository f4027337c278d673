"""Minimising a smooth function of one vector; knows nothing of data or networks."""
