"""What stands around a text that a model shall summarize: an instruction, inside the model's chat template.

Source: transformers' chat templates (Jinja). A template is the checkpoint's, so it runs in Jinja's sandbox and in
a process of its own (`template`). Knows no tokens.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from latimer_server.backends.huggingface.config import HubConfig, read_json
from latimer_server.backends.load_errors import naming_file
from latimer_server.backends.protocol import LoadRequest
from latimer_server.core.errors import ModelError, ModelFileError

_MARK = "{text}"
# Stands where the text will: no template changes it, and no template holds it.
_PLACE = "\u2402latimer\u2403"
_MAX_TEMPLATE_CHARACTERS = 100_000
# It takes a fifth of a second; its process ends itself after two of computing.
_LIMIT_SECONDS = 30


def render_prompt(request: LoadRequest, config: HubConfig, folder: Path) -> tuple[str, str]:
    """What stands before and after a text. `{text}` in the catalogue's prompt says where it goes; without it,
    it goes behind. Raises `ModelFileError` for a chat model without a template."""
    prompt = request.prompt or config.prompt
    if not config.causal:
        before, _, after = prompt.partition(_MARK)
        return before, after
    if _MARK not in prompt:
        prompt = f"{prompt}\n\n{_MARK}" if prompt else _MARK
    rendered = _render(folder, prompt.replace(_MARK, _PLACE))
    before, place, after = rendered.partition(_PLACE)
    if not place or _PLACE in after:
        raise ModelFileError("chat_template", "does not give the user's message back as it is, once")
    return before, after


def _render(folder: Path, message: str) -> str:
    own = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    path = folder / "chat_template.jinja"
    with naming_file(path.name):
        template = path.read_text("utf-8") if path.is_file() else own.get("chat_template")
    if isinstance(template, list):
        named = {item.get("name"): item.get("template") for item in template if isinstance(item, dict)}
        template = named.get("default")
    if not isinstance(template, str) or not template:
        raise ModelFileError("tokenizer_config.json", "has no chat_template: the model cannot be told what to do")
    if len(template) > _MAX_TEMPLATE_CHARACTERS:
        raise ModelFileError("chat_template", f"is longer than {_MAX_TEMPLATE_CHARACTERS} characters")
    job = {"template": template, "message": message}
    return _render_apart(job | {key: _token(own, key) for key in ("bos_token", "eos_token")})


def _render_apart(job: dict[str, str]) -> str:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "latimer_server.backends.huggingface.template_worker"],
            input=json.dumps(job),
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=_LIMIT_SECONDS,
        )
        answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:  # it was ended, and so said nothing
        raise ModelFileError("chat_template", "cannot be rendered: it takes too much time or memory") from error
    except OSError as error:
        raise ModelError(f"no process to render its chat_template in: {error.strerror}") from error
    if "problem" in answer:
        raise ModelFileError("chat_template", f"cannot be rendered: {answer['problem']}")
    return str(answer["rendered"])


def _token(config: dict[str, object], key: str) -> str:
    value = config.get(key)
    return str(value.get("content", "")) if isinstance(value, dict) else str(value or "")
