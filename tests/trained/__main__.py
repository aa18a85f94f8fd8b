"""Trains the checkpoints whose recipe has changed, and keeps their weights: `python -m tests.trained`."""

from __future__ import annotations

import shutil

from tests.trained import NAMES, locate
from tests.trained.kept_weights import KEPT, LEARNED


def main() -> None:
    """Makes all checkpoints and moves newly trained weights to the kept ones."""
    KEPT.mkdir(exist_ok=True)
    for name in NAMES:
        locate(name)
        if (learned := LEARNED / f"{name}.safetensors").exists():
            shutil.move(learned, KEPT / learned.name)
            print(f"{name}: new weights")


if __name__ == "__main__":
    main()
