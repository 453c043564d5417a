"""The scheduler: which node a pod goes to, and why none takes it. Start reading in README.md."""

import os

# One thread is plenty for vectors of a few thousand nodes, and each further one of NumPy's costs memory. Read at
# NumPy's import, so it stands before any.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
