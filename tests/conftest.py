"""What every test runs under; each setting can be overridden from the environment."""

import os

# Before numpy is imported: the wheels of NumPy and SciPy each bring a pool of BLAS
# threads, and on fits this small the two fight for the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
# Before scipy is imported: scikit-learn asks for it where its array API dispatch is on.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

from hypothesis import settings

# A gate must give the same answer twice, on a machine of any speed. To search further:
# pytest --hypothesis-profile=explore
settings.register_profile("gate", derandomize=True, deadline=None, database=None)
settings.register_profile("explore", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile("gate")
