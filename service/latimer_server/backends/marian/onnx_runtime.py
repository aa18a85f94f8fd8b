"""Imports ONNX Runtime with its telemetry turned off. All modules import it from here.

ONNX Runtime reports its use to its maker, unless an environment variable forbids it before the import (its
Privacy.md). The reports contain no text. `ORT_DISABLE_TELEMETRY=0` allows them.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = os.environ.get("ORT_DISABLE_TELEMETRY") or "1"

import onnxruntime

__all__ = ["onnxruntime"]
