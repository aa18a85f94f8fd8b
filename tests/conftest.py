"""Makes property-based tests independent of the speed of the machine, gives servers no fixed port, and keeps libraries
to one thread."""

from __future__ import annotations

import os

from hypothesis import settings

# Servers that run at the same time cannot share the port of metrics. Tests of metrics name port 0.
os.environ.setdefault("LATIMER_METRICS", "")

# The networks of the tests are too small for a second thread. Threads of OpenMP spin while they wait, and beside the
# other processes of the tests that made some files take eight times the CPU time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("latimer", deadline=None)
settings.load_profile("latimer")
