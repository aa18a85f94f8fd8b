"""The matrix products of a student, by every library that could compute them: `python -m benchmarks.micro.kernels`.

Prints thousands of millions of multiply-adds a second on one core for the shapes of Mozilla's tiny students, at one row
(a sentence alone), and at the rows of decoder and encoder batches, interleaved, the median of several rounds. What the
backend chose is in bold. The precision of each is beside it: the root mean square of what differs from float32, in
percent of the output's own. torchao is among them where it is installed (`make bench-kernels` does that).
"""

from __future__ import annotations

import importlib.util
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console
from rich.table import Table

from latimer_server.backends.marian.onnx_runtime import onnxruntime

# Inputs and outputs of: an attention's three projections, a feed-forward layer's two, an output layer of candidates.
_SHAPES = ((256, 768), (256, 1536), (1536, 256), (256, 8500))
_ROWS = (1, 16, 64, 512)
_ROUNDS = 5
_SECONDS = 0.03
_CHOSEN = "onnxruntime int8"

Floats = npt.NDArray[np.float32]
Run = Callable[[], Floats]


@dataclass(frozen=True)
class Kernel:
    """One way to multiply: made once for its weights [in, out], then called with rows [rows, in]."""

    name: str
    make: Callable[[Floats, Floats], Run]


def make_onnx(values: Floats, rows: Floats, *, quantized: bool) -> Run:
    """ONNX Runtime; in int8 with what rounds the rows."""
    inputs = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", len(values)])
    if quantized:
        scale, step = _scale(values), _scale(rows)
        weights = np.rint(values / scale).astype(np.int8)
        constants = {"s": np.float32(step), "z": np.uint8(128), "w": weights, "u": np.float32(scale)}
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
            helper.make_node("MatMulIntegerToFloat", ["q", "w", "s", "u", "z"], ["y"], domain="com.microsoft"),
        ]
    else:
        constants = {"w": values}
        nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    found = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "product", [inputs], [helper.make_empty_tensor_value_info("y")], found)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feeds = {"x": rows}
    return lambda: session.run(None, feeds)[0]


def make_torch(values: Floats, rows: Floats, type_: torch.dtype) -> Run:
    """The product of torch itself, in float32 or bfloat16."""
    weights = torch.from_numpy(values).t().contiguous().to(type_)
    x = torch.from_numpy(rows)
    return lambda: torch.nn.functional.linear(x.to(type_), weights).float().numpy()


def make_fbgemm(values: Floats, rows: Floats) -> Run:
    """`torch.ops.quantized`, the input's scale fixed (deprecated in torch 2.13)."""
    weights = torch.quantize_per_tensor(torch.from_numpy(values).t().contiguous(), _scale(values), 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(weights, torch.zeros(values.shape[1]))
    x, step = torch.from_numpy(rows), _scale(rows)
    product = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
    return lambda: product(x, step, 128, packed).numpy()


def make_onednn(values: Floats, rows: Floats) -> Run:
    """`torch.ops.onednn`, the successor, with what rounds the rows."""
    scale, step = _scale(values), _scale(rows)
    weights = torch.from_numpy(np.rint(values / scale).astype(np.int8).T.copy())
    packed = torch.ops.onednn.qlinear_prepack(weights, None)
    x, columns = torch.from_numpy(rows), values.shape[1]
    scales, zeros = torch.full((columns,), scale), torch.zeros(columns, dtype=torch.int64)

    def run() -> Floats:
        read = torch.clamp(torch.round(x * (1 / step)) + 128, 0, 255).to(torch.uint8)
        found: Floats = torch.ops.onednn.qlinear_pointwise(
            read, step, 128, packed, scales, zeros, None, 1.0, 0, torch.float32, "none", [], ""
        ).numpy()
        return found

    return run


def make_torchao(values: Floats, rows: Floats) -> Run:
    """torchao, which rounds each row by itself; without a compiler, which slim containers lack. Raises `ImportError`
    where it is not installed."""
    quantization: Any = importlib.import_module("torchao.quantization")
    layer = torch.nn.Sequential(torch.nn.Linear(values.shape[0], values.shape[1], bias=False))
    layer[0].weight = torch.nn.Parameter(torch.from_numpy(values).t().contiguous())
    quantization.quantize_(layer, quantization.Int8DynamicActivationInt8WeightConfig())
    x = torch.from_numpy(rows)
    return lambda: layer(x).numpy()


KERNELS = (
    Kernel("onnxruntime float32", lambda values, rows: make_onnx(values, rows, quantized=False)),
    Kernel(_CHOSEN, lambda values, rows: make_onnx(values, rows, quantized=True)),
    Kernel("torch float32", lambda values, rows: make_torch(values, rows, torch.float32)),
    Kernel("torch bfloat16", lambda values, rows: make_torch(values, rows, torch.bfloat16)),
    Kernel("torch.ops.quantized int8", make_fbgemm),
    Kernel("torch.ops.onednn int8", make_onednn),
    *([Kernel("torchao int8", make_torchao)] if importlib.util.find_spec("torchao") else []),
)


def _scale(values: Floats) -> float:
    return float(np.abs(values).max()) / 127


def _measure(run: Run) -> float:
    """Seconds of a call."""
    started, calls = time.perf_counter(), 0
    while time.perf_counter() - started < _SECONDS:
        run()
        calls += 1
    return (time.perf_counter() - started) / calls


def _compare(runs: Sequence[Run], work: float) -> list[float]:
    """Thousands of millions of multiply-adds a second of each, in turns."""
    for run in runs:
        run()
    rounds = [[_measure(run) for run in runs] for _ in range(_ROUNDS)]
    return [work / statistics.median(times) / 1e9 for times in zip(*rounds, strict=True)]


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # torch tells of what is deprecated: that is what is compared
    draw = np.random.default_rng(1)
    table = Table(title="10^9 multiply-adds a second on one core (difference from float32, %)")
    for heading in ("in x out", "rows", *(kernel.name for kernel in KERNELS)):
        table.add_column(heading, justify="right")
    with torch.inference_mode():
        for inputs, outputs in _SHAPES:
            values = draw.normal(0, inputs**-0.5, (inputs, outputs)).astype(np.float32)
            for count in _ROWS:
                rows = draw.normal(0, 1, (count, inputs)).astype(np.float32)
                runs = [kernel.make(values, rows) for kernel in KERNELS]
                speeds = _compare(runs, count * inputs * outputs)
                exact = rows @ values
                cells = []
                for kernel, run, speed in zip(KERNELS, runs, speeds, strict=True):
                    error = 100 * float(np.sqrt(np.mean((run() - exact) ** 2) / np.mean(exact**2)))
                    cell = f"{speed:.0f} ({error:.1f})"
                    cells.append(f"[bold]{cell}[/bold]" if kernel.name == _CHOSEN else cell)
                table.add_row(f"{inputs} x {outputs}", str(count), *cells)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
