"""The process that renders a chat template: `python -m latimer_server.backends.huggingface.template_worker`.

It reads the template, the message and the special tokens as JSON from stdin, and writes the rendered text or the
problem as JSON to stdout. A template is a program of an untrusted checkpoint. Jinja's sandbox denies it files and
Python, and this process limits its CPU time and memory.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Mapping
from typing import NoReturn

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

# The maximum length of the rendered text.
MOST_CHARACTERS = 100_000
_CPU_SECONDS = 2
_MEMORY_BYTES = 1 << 30


def _render(job: Mapping[str, str]) -> str:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = _refuse
    rendered = environment.from_string(job["template"]).render(
        messages=[{"role": "user", "content": job["message"]}],
        add_generation_prompt=True,
        bos_token=job["bos_token"],
        eos_token=job["eos_token"],
    )
    if len(rendered) > MOST_CHARACTERS:
        raise ValueError(f"it becomes longer than {MOST_CHARACTERS} characters")
    return rendered


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def _main() -> int:
    job = json.load(sys.stdin)
    for kind, most in ((resource.RLIMIT_CPU, _CPU_SECONDS), (resource.RLIMIT_AS, _MEMORY_BYTES)):
        _, hard = resource.getrlimit(kind)
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (bound, bound))
    try:
        answer = {"rendered": _render(job)}
    except Exception as error:  # noqa: BLE001 (a template can raise any error)
        answer = {"problem": " ".join(str(error).split())[:300] or type(error).__name__}
    json.dump(answer, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(_main())
