"""Renders the prompt around a text to summarize: an instruction, inside the model's chat template.

Source: transformers' chat templates (Jinja). A template is part of an untrusted checkpoint, so it runs in Jinja's
sandbox and in its own process (`template_worker`).
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

# The mark in a catalogue's prompt at the place where the text goes.
_MARK = "{text}"
# The stand-in for the text while the template is rendered, at which the result is cut in two. No template changes it,
# and no template contains it.
_PLACE = "\u2402latimer\u2403"
_MAX_TEMPLATE_CHARACTERS = 100_000
# The limit of the whole process. Rendering takes 0.2 s, and the process ends itself after 2 s of CPU time.
_LIMIT_SECONDS = 30


def render_prompt(request: LoadRequest, config: HubConfig, folder: Path) -> tuple[str, str]:
    """Returns the parts of the prompt before and after a text. For a causal model they include its chat template.

    `{text}` in the catalogue's prompt marks the place of the text. Without it, the text follows the prompt. Raises
    `ModelFileError` for a causal model without a usable template.
    """
    prompt = request.prompt or config.prompt
    if not config.causal:
        before, _, after = prompt.partition(_MARK)
        return before, after
    if _MARK not in prompt:
        prompt = f"{prompt}\n\n{_MARK}" if prompt else _MARK
    rendered = _render(folder, prompt.replace(_MARK, _PLACE))
    before, place, after = rendered.partition(_PLACE)
    if not place or _PLACE in after:
        raise ModelFileError("chat_template", "does not give the user's message back unchanged and once")
    return before, after


def _render(folder: Path, message: str) -> str:
    """Returns the checkpoint's chat template, rendered with `message` as the only message, from the user."""
    config_path = folder / "tokenizer_config.json"
    config = read_json(config_path) if config_path.is_file() else {}
    path = folder / "chat_template.jinja"
    with naming_file(path.name):
        template = path.read_text("utf-8") if path.is_file() else config.get("chat_template")
    if isinstance(template, list):
        named = {item.get("name"): item.get("template") for item in template if isinstance(item, dict)}
        template = named.get("default")
    if not isinstance(template, str) or not template:
        raise ModelFileError("tokenizer_config.json", "has no chat_template, so the model cannot get an instruction")
    if len(template) > _MAX_TEMPLATE_CHARACTERS:
        raise ModelFileError("chat_template", f"is longer than {_MAX_TEMPLATE_CHARACTERS} characters")
    job = {"template": template, "message": message}
    return _render_in_process(job | {key: _token(config, key) for key in ("bos_token", "eos_token")})


def _render_in_process(job: dict[str, str]) -> str:
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
    except (subprocess.TimeoutExpired, ValueError) as error:  # a process that was ended writes no JSON
        raise ModelFileError("chat_template", "cannot be rendered: it takes too much time or memory") from error
    except OSError as error:
        raise ModelError(f"cannot start a process to render its chat_template: {error.strerror}") from error
    if "problem" in answer:
        raise ModelFileError("chat_template", f"cannot be rendered: {answer['problem']}")
    return str(answer["rendered"])


def _token(config: dict[str, object], key: str) -> str:
    value = config.get(key)
    return str(value.get("content", "")) if isinstance(value, dict) else str(value or "")
