"""Times the engine's products of bytes as a share of the peak of the core: `python -m benchmarks.micro.throughput`.

The peak is measured in the same run: the dot products of the same instruction set on operands in registers, without
loads and stores. A share below the floor means that the compiler keeps accumulators in memory, as gcc 12 did. The
program is compiled by `CXX` (g++ without it) with the flags of the installed engine, for each instruction set of this
machine but AMX, whose tiles are not dot products. The exit status is 1 if a product is below the floor.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.native_programs import PROCESSORS, compile_program, name_compiler
from latimer_server.backends.marian.native_library import InstructionSet, list_instruction_sets, open_library

# The floor holds for several rows and a matrix in the nearest cache, because one row alone, and a large matrix on a
# busy machine, wait for weights. Without the unroll pragmas gcc 12 reaches 0.66 to 0.74 with AVX2.
_FLOOR = 0.78
_FLOOR_ROWS = 4
_FLOOR_WEIGHTS = 16_384
_SOURCE = Path(__file__).parent / "native" / "throughput.cpp"


@dataclass(frozen=True)
class Product:
    """A product of `rows` rows and a matrix [size, columns]. `rate`: the best, in 10^9 multiply-adds a second. `share`:
    the median share of the peak."""

    size: int
    columns: int
    rows: int
    rate: float
    share: float

    @property
    def has_floor(self) -> bool:
        """True if only the code of the compiler limits the product."""
        return self.rows >= _FLOOR_ROWS and self.size * self.columns <= _FLOOR_WEIGHTS

    @property
    def is_kept(self) -> bool:
        """True if the share is not below the floor, or if there is none."""
        return not self.has_floor or self.share >= _FLOOR


def time_products(compiler: str, instructions: InstructionSet) -> list[Product]:
    """Compiles and runs the program. Raises CalledProcessError if the compiler or the program fails."""
    with tempfile.TemporaryDirectory() as folder:
        flags = ["-O3", "-w", *PROCESSORS[instructions].options]
        program = compile_program(compiler, Path(folder) / "throughput", [_SOURCE], flags)
        printed = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    lines = (line.split() for line in printed.splitlines())
    return [Product(int(a), int(b), int(rows), float(rate), float(share)) for a, b, rows, rate, share in lines]


def main() -> None:
    """Prints a table for each instruction set."""
    console, compiler, kept = Console(width=100), name_compiler(), True
    for instructions in list_instruction_sets(open_library()):
        if instructions is InstructionSet.AMX:
            continue
        table = Table(title=f"{instructions.label}, {compiler}: products beside the peak of the core")
        for heading in ("rows", "matrix", "10^9 multiply-adds/s", "share of the peak", "floor"):
            table.add_column(heading, justify="right")
        for product in time_products(compiler, instructions):
            floor = f"{_FLOOR:.2f}" if product.has_floor else ""
            cells = (f"{product.rows}", f"{product.size} x {product.columns}", f"{product.rate:.1f}")
            table.add_row(*cells, f"{product.share:.2f}", floor, style=None if product.is_kept else "bold red")
            kept = kept and product.is_kept
        console.print(table)
    if not kept:
        sys.exit("a product is below the floor")


if __name__ == "__main__":
    main()
