"""Makes property-based tests independent of the speed of the machine, gives servers no fixed port, and keeps libraries
to one thread."""

from __future__ import annotations

import os
import signal

from hypothesis import settings

# Servers that run at the same time cannot share the port of metrics. Tests of metrics name port 0.
os.environ.setdefault("LATIMER_METRICS", "")

# The networks of the tests are too small for a second thread. Threads of OpenMP spin while they wait, and beside the
# other processes of the tests that made some files take eight times the CPU time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell starts background commands with Ctrl-C ignored, and processes pass that on. Tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("latimer", deadline=None)
settings.load_profile("latimer")
