"""Networks, losses and the objective, computed one block of rows at a time."""
