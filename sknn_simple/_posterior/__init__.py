"""``Posterior`` and the checks of its arguments."""
