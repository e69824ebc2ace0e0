"""`python tests/benchmarks`: time the course against other ways to the same result, and itself.

Start it with the Python of the course's environment. `--list` names the rows.
"""

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

if __name__ == "__main__":
    os.environ |= dict.fromkeys(THREADS, "1")  # before numpy, torch and JAX are imported
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    os.environ["PYTHONPATH"] = str(ROOT)  # so that other processes import this checkout
    sys.path[0] = str(ROOT)
    if hasattr(os, "sched_setaffinity"):  # one thread, also for pools of threads that heed no variable
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    from tests.benchmarks.command import main

    with tempfile.TemporaryDirectory() as cache:  # so that a first call is one
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        sys.exit(main())
