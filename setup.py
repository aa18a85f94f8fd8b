"""What `pyproject.toml` cannot say yet without a warning: the C++ of the students.

Optional: without a compiler the package is built all the same, and students are computed by ONNX Runtime.
"""

from pathlib import Path

from setuptools import Extension, setup

_FOLDER = Path("service/latimer_server/backends/marian/native")

setup(
    ext_modules=[
        Extension(
            "latimer_server.backends.marian.native._student",
            sources=[str(_FOLDER / "student.cpp")],
            depends=sorted(map(str, _FOLDER.glob("*.h"))),
            language="c++",
            # gcc 12 means its own headers with those warnings.
            extra_compile_args=["-O3", "-std=c++17", "-Wno-maybe-uninitialized", "-Wno-uninitialized"],
            optional=True,
        )
    ]
)
