"""ONNX Runtime, which reports its use to its maker unless it is told not to before it is imported (its Privacy.md).
What needs it imports it from here.

Its reports name no text, but whoever runs this server was not asked: `ORT_DISABLE_TELEMETRY=0` allows them.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = os.environ.get("ORT_DISABLE_TELEMETRY") or "1"

import onnxruntime

__all__ = ["onnxruntime"]
