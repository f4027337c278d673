"""From what to train to the trained parameters."""
