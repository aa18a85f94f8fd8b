"""Starts one-core ONNX Runtime sessions of small graphs, and times functions in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, ValueInfoProto, helper, numpy_helper

from latimer_server.backends.marian.onnx_runtime import onnxruntime

RUNTIME_DOMAIN = "com.microsoft"


def start_session(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[str],
    constants: Mapping[str, Any],
    *,
    optimized: bool = True,
) -> onnxruntime.InferenceSession:
    """Starts a session of a graph on one core. `constants`: the values of initializers by name."""
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    results = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph(nodes, "graph", inputs, results, tensors)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(RUNTIME_DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def time_in_turns(runs: Sequence[Callable[[], object]], rounds: int, seconds: float) -> list[float]:
    """Returns the median seconds of a call of each function, measured in turns for `seconds` per round."""
    times = [[_time_call(run, seconds) for run in runs] for _ in range(rounds)]
    return [statistics.median(each) for each in zip(*times, strict=True)]


def _time_call(run: Callable[[], object], seconds: float) -> float:
    started, calls = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        run()
        calls += 1
    return (time.perf_counter() - started) / calls
