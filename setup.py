"""Builds the C++ of the server, which `pyproject.toml` cannot declare yet without a warning.

The builds are optional: without a compiler the package installs without them. Then ONNX Runtime computes the students,
and numpy scores n-grams in language detection.
"""

from pathlib import Path

from setuptools import Extension, setup

_PACKAGE = Path("service/latimer_server")
_STUDENT = _PACKAGE / "backends/marian/native"
_NGRAMS = _PACKAGE / "text/ngrams/native"

setup(
    ext_modules=[
        Extension(
            "latimer_server.backends.marian.native._student",
            sources=sorted(map(str, _STUDENT.glob("*.cpp"))),
            depends=sorted(map(str, _STUDENT.glob("*.h"))),
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
        ),
        Extension(
            "latimer_server.text.ngrams.native._ngrams",
            sources=[str(_NGRAMS / "ngrams.cpp")],
            language="c++",
            extra_compile_args=["-O3", "-std=c++17"],
            optional=True,
        ),
    ]
)
