"""Times the matrix products of a student by every library that can compute them: `python -m benchmarks.micro.kernels`.

Prints 10^9 multiply-adds a second on one core for the shapes of Mozilla's tiny students, at one row (a sentence alone)
and at the rows of decoder and encoder batches. The libraries take turns; figures are medians of several rounds. The
kernel of the ONNX backend is in bold. The error of each kernel stands in parentheses: the root mean square of the
difference from float32, in percent of the root mean square of the output. torchao is measured if it is installed
(`make bench-kernels` installs it).
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from onnx import TensorProto, helper
from rich.console import Console
from rich.table import Table

from benchmarks.micro.sessions import RUNTIME_DOMAIN, start_session, time_in_turns

# Inputs and outputs of the three projections of an attention, the two products of a feed-forward layer, and an output
# layer for the candidates of a shortlist.
_SHAPES = ((256, 768), (256, 1536), (1536, 256), (256, 8500))
_ROWS = (1, 16, 64, 512)
_ROUNDS = 5
_SECONDS = 0.03
_CHOSEN = "onnxruntime int8"

Floats = npt.NDArray[np.float32]
Run = Callable[[], Floats]


@dataclass(frozen=True)
class Kernel:
    """A way to multiply. `make`: prepares the product of weights [in, out] and rows [rows, in] and returns a function
    that computes it."""

    name: str
    make: Callable[[Floats, Floats], Run]


def make_onnx(values: Floats, rows: Floats, *, quantized: bool) -> Run:
    """Makes a product of ONNX Runtime, in float32 or in int8 including the rounding of the rows."""
    inputs = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", len(values)])
    if quantized:
        scale, step = _scale(values), _scale(rows)
        weights = np.rint(values / scale).astype(np.int8)
        constants = {"s": np.float32(step), "z": np.uint8(128), "w": weights, "u": np.float32(scale)}
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
            helper.make_node("MatMulIntegerToFloat", ["q", "w", "s", "u", "z"], ["y"], domain=RUNTIME_DOMAIN),
        ]
    else:
        constants = {"w": values}
        nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    session = start_session(nodes, [inputs], ["y"], constants)
    feeds = {"x": rows}
    return lambda: session.run(None, feeds)[0]


def make_torch(values: Floats, rows: Floats, type_: torch.dtype) -> Run:
    """Makes a product of torch in float32 or bfloat16."""
    weights = torch.from_numpy(values).t().contiguous().to(type_)
    x = torch.from_numpy(rows)
    return lambda: torch.nn.functional.linear(x.to(type_), weights).float().numpy()


def make_fbgemm(values: Floats, rows: Floats) -> Run:
    """Makes a product of `torch.ops.quantized` with a fixed scale of the input (deprecated in torch 2.13)."""
    weights = torch.quantize_per_tensor(torch.from_numpy(values).t().contiguous(), _scale(values), 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(weights, torch.zeros(values.shape[1]))
    x, step = torch.from_numpy(rows), _scale(rows)
    product = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
    return lambda: product(x, step, 128, packed).numpy()


def make_onednn(values: Floats, rows: Floats) -> Run:
    """Makes a product of `torch.ops.onednn`, its successor, including the rounding of the rows."""
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
    """Makes a product of torchao, which rounds each row by its own scale. No compiler is used, because slim containers
    lack one. Raises `ImportError` if torchao is not installed."""
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


def _compare(runs: Sequence[Run], work: float) -> list[float]:
    """Returns 10^9 multiply-adds a second of each function. `work`: the multiply-adds of a call."""
    for run in runs:
        run()  # warms up
    return [work / seconds / 1e9 for seconds in time_in_turns(runs, _ROUNDS, _SECONDS)]


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # torch warns about deprecated operators, which are compared here on purpose
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
