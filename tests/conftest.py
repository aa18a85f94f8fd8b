"""Makes property-based tests independent of the speed of the machine: no example has a deadline."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("latimer", deadline=None)
settings.load_profile("latimer")
