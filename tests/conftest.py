"""Makes property-based tests independent of the speed of the machine, and gives servers no fixed port."""

from __future__ import annotations

import os

from hypothesis import settings

# Servers that run at the same time cannot share the port of metrics. Tests of metrics name port 0.
os.environ.setdefault("LATIMER_METRICS", "")

settings.register_profile("latimer", deadline=None)
settings.load_profile("latimer")
