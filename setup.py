"""Builds the C++ engine of the students, which `pyproject.toml` cannot declare yet without a warning.

The build is optional: without a compiler the package installs without it, and ONNX Runtime computes the students.
"""

from pathlib import Path

from setuptools import Extension, setup

_FOLDER = Path("service/latimer_server/backends/marian/native")

setup(
    ext_modules=[
        Extension(
            "latimer_server.backends.marian.native._student",
            sources=sorted(map(str, _FOLDER.glob("*.cpp"))),
            depends=sorted(map(str, _FOLDER.glob("*.h"))),
            language="c++",
            # Without contraction every compiler rounds alike, so that outputs do not depend on it. gcc 12 gives the two
            # warnings for its own headers; clang does not know one of them. CXX chooses the compiler (setuptools).
            extra_compile_args=[
                "-O3",
                "-std=c++17",
                "-ffp-contract=off",
                "-Wno-maybe-uninitialized",
                "-Wno-uninitialized",
                "-Wno-unknown-warning-option",
            ],
            optional=True,
        )
    ]
)
