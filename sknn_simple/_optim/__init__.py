"""Minimisation of smooth functions of a vector; independent of the other folders."""
