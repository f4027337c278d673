"""From a training set and a spec to trained parameters."""
