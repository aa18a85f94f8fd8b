"""Makes small trained checkpoints in the hub's layout, from fixed seeds. A wrong token id, a missing </s> or a shifted
position changes their outputs. Their weights are kept in the repository (`kept_weights`): training takes ten minutes.

They translate and compress the languages of `little_languages`. The product knows nothing of them: real models could
take their place.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from filelock import FileLock

from tests import little_languages
from tests.trained.marian import train_marian
from tests.trained.multilingual import train_m2m100, train_unigram_multilingual
from tests.trained.summarizers import train_bart, train_llama, train_pegasus, train_t5

_CACHE = Path(__file__).parent.parent / ".cache"


def locate(name: str) -> Path:
    """Returns the folder of a checkpoint. Trains it on the first call on this machine."""
    recipes = (Path(little_languages.__file__), *sorted(Path(__file__).parent.glob("*.py")))
    made_by = b"".join(path.read_bytes() for path in recipes)
    recipe = hashlib.sha256(made_by + version("transformers").encode()).hexdigest()[:12]
    folder = _CACHE / f"{name}-{recipe}"
    _CACHE.mkdir(exist_ok=True)
    with FileLock(_CACHE / f"{name}.lock"):
        if not folder.is_dir():
            for old in (*_CACHE.glob(f"{name}-{'?' * 12}"), *_CACHE.glob(f"{name}-{'?' * 12}.made")):
                shutil.rmtree(old, ignore_errors=True)
            staged = _CACHE / f"{name}.new"
            shutil.rmtree(staged, ignore_errors=True)
            staged.mkdir()
            # torch has one generator for the whole process. Weights must not depend on earlier draws from it.
            threads = torch.get_num_threads()
            with torch.random.fork_rng():
                torch.manual_seed(5)
                torch.set_num_threads(1)  # the matrices are too small for a second thread
                _RECIPES[name](staged)
            torch.set_num_threads(threads)
            staged.rename(folder)
    return folder


_RECIPES: dict[str, Callable[[Path], None]] = {
    "marian": lambda folder: train_marian(folder, ["pt"], [], separate=False),
    "marian-multi": lambda folder: train_marian(folder, ["pt", "fi"], ["por", "fin"], separate=False),
    "marian-separate": lambda folder: train_marian(folder, ["pt", "fi"], ["pob", "fin"], separate=True),
    "bart": train_bart,
    "t5": lambda folder: train_t5(folder, "t5"),
    "flan-t5": lambda folder: train_t5(folder, "flan-t5"),
    "mt5": lambda folder: train_t5(folder, "mt5"),
    "pegasus": train_pegasus,
    "m2m100": train_m2m100,
    "nllb": lambda folder: train_unigram_multilingual(
        folder, "nllb", {"en": "eng_Latn", "pt": "por_Latn", "fi": "fin_Latn"}
    ),
    "mbart50": lambda folder: train_unigram_multilingual(
        folder, "mbart50", {"en": "en_XX", "pt": "pt_XX", "fi": "fi_FI"}
    ),
    "llama": train_llama,
}
NAMES = tuple(_RECIPES)
