"""Tests of reading a checkpoint's configuration, and of refusing invalid ones before loading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from latimer_server.backends.huggingface.batch_splitting import BatchSplitter, StepCostModel
from latimer_server.backends.huggingface.config import read_hub_config
from latimer_server.backends.huggingface.prompt import render_prompt
from latimer_server.backends.huggingface.selection import choose_backend
from latimer_server.backends.protocol import LoadRequest
from latimer_server.backends.registry import load_backend
from latimer_server.core.decoding import DecodingOptions
from latimer_server.core.errors import ModelError, ModelFileError

MARIAN = {"model_type": "marian", "vocab_size": 100, "max_position_embeddings": 512, "num_beams": 6, "eos_token_id": 0}
LLAMA = {"model_type": "llama", "vocab_size": 100, "max_position_embeddings": 2048, "eos_token_id": 2}
TEMPLATE = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}</>{% endfor %}<assistant>"


def write(folder: Path, **files: Any) -> Path:
    for name, value in files.items():
        text = value if isinstance(value, str) else json.dumps(value)
        (folder / f"{name}.json").write_text(text)
    return folder


def ask(folder: Path, **keys: Any) -> LoadRequest:
    values = {"name": "m", "backend": "auto", "task": "translation", "folder": folder, **keys}
    return LoadRequest(**values)


def test_the_generation_configuration_overrides_the_configuration(tmp_path: Path) -> None:
    write(tmp_path, config=MARIAN, generation_config={"num_beams": 4, "length_penalty": 0.8, "max_length": 64})
    config = read_hub_config(tmp_path, "translation")
    assert config.defaults == DecodingOptions(max_output_tokens=64, beam_size=4, length_penalty=0.8)
    assert config.choose(DecodingOptions()).beam_size == 4
    assert config.choose(DecodingOptions(beam_size=1)).beam_size == 1
    assert config.choose(DecodingOptions(beam_size=2, hypothesis_count=5)).beam_size == 5
    assert config.choose(DecodingOptions(length_penalty=0.0)).length_penalty == 0.0


def test_parameters_of_the_task_override_both_configurations(tmp_path: Path) -> None:
    specific = {"summarization": {"num_beams": 2, "prefix": "summarize: ", "max_length": 200}}
    t5 = {"model_type": "t5", "vocab_size": 10, "task_specific_params": specific, "eos_token_id": 1}
    write(tmp_path, config=t5)
    assert read_hub_config(tmp_path, "summarization").prompt == "summarize: "
    assert read_hub_config(tmp_path, "summarization").defaults.beam_size == 2
    assert read_hub_config(tmp_path, "translation").defaults.beam_size is None


def test_an_output_is_capped_by_the_request_the_source_and_the_positions(tmp_path: Path) -> None:
    config = read_hub_config(write(tmp_path, config=MARIAN), "translation")
    caps = {config.cap_output(tokens, DecodingOptions(), "translation") for tokens in range(1, 100)}
    assert caps == {
        16,
        24,
        32,
        48,
        64,
        96,
        128,
        192,
        256,
        384,
    }  # few different caps, so that rows of one batch share a cap
    assert config.cap_output(10, DecodingOptions(), "translation") == 32
    assert config.cap_output(2, DecodingOptions(), "translation") == 16
    assert config.cap_output(10, DecodingOptions(max_output_tokens=5), "translation") == 5
    assert config.cap_output(10, DecodingOptions(max_length_ratio=0.5), "translation") == 5
    assert config.cap_output(400, DecodingOptions(), "translation") == 510


def test_an_input_is_limited_by_the_task_the_catalogue_and_the_positions(tmp_path: Path) -> None:
    config = read_hub_config(write(tmp_path, config=MARIAN), "translation")
    assert config.limit_input(0, "translation") == 256
    assert config.limit_input(100, "translation") == 100
    assert config.limit_input(9_999, "translation") == 512


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        ("[" * 100_000, "is not JSON"),
        ({"model_type": "whisper", "vocab_size": 5}, "model_type is 'whisper'; supported are marian"),
        ({"vocab_size": 5}, "model_type is 'None'"),
        ({"model_type": "bart"}, "vocab_size is None"),
        ({"model_type": "bart", "vocab_size": "many"}, "vocab_size is many"),
        ({"model_type": "bart", "vocab_size": -1}, "vocab_size is -1"),
        ({"model_type": "bart", "vocab_size": True}, "vocab_size is True"),
    ],
)
def test_the_error_for_an_unusable_configuration_names_the_problem(
    tmp_path: Path, config: object, problem: str
) -> None:
    write(tmp_path, config=config)
    with pytest.raises(ModelFileError, match=r"config\.json") as caught:
        read_hub_config(tmp_path, "translation")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("generation", "problem"),
    [
        ({"bad_words_ids": 5}, r"bad_words_ids is not a list"),
        ({"bad_words_ids": [5]}, r"bad_words_ids: 5 are not token ids"),
        ({"bad_words_ids": [[100]]}, r"bad_words_ids is 100; the vocabulary has 100 tokens"),
        ({"eos_token_id": [0, 100]}, r"eos_token_id is 100"),
        ({"eos_token_id": "</s>"}, r"eos_token_id: \['</s>'\] are not token ids"),
        ({"forced_bos_token_id": -1}, r"forced_bos_token_id is -1"),
        ({"forced_bos_token_id": {"pt": 1}}, r"forced_bos_token_id: .* are not token ids"),
        ({"decoder_start_token_id": 1_000}, r"decoder_start_token_id is 1000"),
    ],
)
def test_invalid_token_ids_are_refused(tmp_path: Path, generation: object, problem: str) -> None:
    write(tmp_path, config=MARIAN, generation_config=generation)
    with pytest.raises(ModelFileError, match=rf"generation_config\.json: {problem}"):
        read_hub_config(tmp_path, "translation")


def test_a_padding_token_without_weights_is_replaced(tmp_path: Path) -> None:
    assert read_hub_config(write(tmp_path, config={**LLAMA, "pad_token_id": 100}), "summarization").pad_id == 0
    assert read_hub_config(write(tmp_path, config={**LLAMA, "pad_token_id": 99}), "summarization").pad_id == 99


def test_implausible_values_are_bounded_or_ignored(tmp_path: Path) -> None:
    odd = {"num_beams": 1_000_000, "max_length": 10**12, "length_penalty": float("inf"), "repetition_penalty": 0}
    config = read_hub_config(write(tmp_path, config=MARIAN, generation_config=odd), "translation")
    assert config.defaults == DecodingOptions(beam_size=8, max_output_tokens=4_096)


@pytest.mark.parametrize("specific", [None, {}, {"summarization": None}, {"summarization": {"prefix": None}}, []])
def test_a_task_without_parameters_has_none(tmp_path: Path, specific: object) -> None:
    write(tmp_path, config={"model_type": "t5", "vocab_size": 10, "task_specific_params": specific})
    assert read_hub_config(tmp_path, "summarization").prompt == ""


def test_invalid_parameters_of_a_task_are_refused(tmp_path: Path) -> None:
    specific = {"summarization": ["summarize: "]}
    write(tmp_path, config={"model_type": "t5", "vocab_size": 10, "task_specific_params": specific})
    with pytest.raises(ModelFileError, match=r"config\.json: task_specific_params\.summarization is not an object"):
        read_hub_config(tmp_path, "summarization")


def test_a_missing_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"config\.json: is missing"):
        read_hub_config(tmp_path, "translation")


def test_a_prompt_is_inserted_into_the_chat_template(tmp_path: Path) -> None:
    write(tmp_path, config=LLAMA, tokenizer_config={"chat_template": TEMPLATE})
    config = read_hub_config(tmp_path, "summarization")
    behind = render_prompt(ask(tmp_path, prompt="Shorten."), config, tmp_path)
    assert behind == ("<user>Shorten.\n\n", "</><assistant>")
    inside = render_prompt(ask(tmp_path, prompt="Text: {text} End."), config, tmp_path)
    assert inside == ("<user>Text: ", " End.</><assistant>")


@pytest.mark.parametrize(
    ("tokenizer", "problem"),
    [
        ({}, "has no chat_template"),
        ({"chat_template": "{% for %}"}, "cannot be rendered"),
        ({"chat_template": "{{ raise_exception('no user here') }}"}, "no user here"),
        ({"chat_template": "nothing of the message"}, "does not give the user's message back"),
        ({"chat_template": "{{ messages[0].content }}{{ messages[0].content }}"}, "once"),
        ({"chat_template": "{{ ''.__class__.__mro__ }}"}, "cannot be rendered"),
        ({"chat_template": "x" * 200_000}, "is longer than"),
        ({"chat_template": "{{ 1 // 0 }}"}, "cannot be rendered: integer division"),
        ({"chat_template": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"}, "cannot be rendered: maximum recursion"),
        ({"chat_template": "{{ 'a' * 10**10 }}"}, "cannot be rendered: MemoryError"),
        ({"chat_template": "{{ 'a'.ljust(10**10) }}"}, "cannot be rendered: MemoryError"),
        ({"chat_template": "{{ 'a' * 10**6 }}"}, "cannot be rendered: it becomes longer than"),
    ],
)
def test_a_chat_model_with_an_unusable_template_is_refused(
    tmp_path: Path, tokenizer: dict[str, object], problem: str
) -> None:
    write(tmp_path, config=LLAMA, tokenizer_config=tokenizer)
    config = read_hub_config(tmp_path, "summarization")
    with pytest.raises(ModelFileError, match=problem):
        render_prompt(ask(tmp_path, prompt="Shorten."), config, tmp_path)


def test_a_template_that_is_no_text_is_named(tmp_path: Path) -> None:
    write(tmp_path, config=LLAMA)
    (tmp_path / "chat_template.jinja").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelFileError, match=r"chat_template\.jinja: cannot be used: UnicodeDecodeError"):
        render_prompt(ask(tmp_path), read_hub_config(tmp_path, "summarization"), tmp_path)


def test_auto_chooses_ctranslate2_if_possible_and_logs_the_reason_if_not(tmp_path: Path) -> None:
    write(tmp_path, config=MARIAN)
    assert choose_backend(ask(tmp_path)).backend == "ctranslate2"
    write(tmp_path, config={**MARIAN, "share_encoder_decoder_embeddings": False, "decoder_vocab_size": 90})
    choice = choose_backend(ask(tmp_path))
    assert (choice.backend, choice.reason) == (
        "transformers",
        "CTranslate2's converter takes one vocabulary for both sides",
    )
    write(tmp_path, config={**LLAMA, "model_type": "gpt_neox"})
    assert choose_backend(ask(tmp_path)).backend == "transformers"
    assert choose_backend(ask(tmp_path, files={"model": tmp_path / "m.gguf"})).backend == "ctranslate2"


def test_a_compute_type_that_a_backend_lacks_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, config=MARIAN)
    with pytest.raises(ModelError, match=r"compute_type 'int4' is not supported by CTranslate2 on this cpu; .*int8"):
        load_backend(ask(tmp_path, backend="ctranslate2", compute_type="int4"))
    with pytest.raises(ModelError, match="compute_type 'int8' is not supported by extractive"):
        load_backend(ask(tmp_path, backend="extractive", compute_type="int8"))


def test_a_batch_is_divided_into_parts_of_about_two_seconds() -> None:
    now = 0.0

    def clock() -> float:
        return now

    pace, sizes = BatchSplitter(clock), []
    for part in pace.divide([10] * 100, lambda row: row):
        now += 0.1 * len(part)
        sizes.append(len(part))
    assert sizes[0] == 4
    assert all(18 <= size <= 20 for size in sizes[1:-1])
    assert sizes[-1] <= 20
    assert sum(sizes) == 100


def test_full_batches_are_not_divided_because_of_slower_single_rows() -> None:
    now = 0.0
    pace, sizes = BatchSplitter(lambda: now), []
    for rows in (32, 32, 1, 32, 1, 1, 1, 32):
        for part in pace.divide([10] * rows, lambda row: row):
            now += 0.5 + 0.01 * len(part)
            sizes.append(len(part))
    assert sizes[-6:] == [1, 32, 1, 1, 1, 32]


@pytest.mark.parametrize("slow", [1, 4])
def test_a_batch_that_was_slow_once_is_not_divided_for_ever(slow: int) -> None:
    now = 0.0
    pace, sizes = BatchSplitter(lambda: now), []
    for number in range(12):
        for part in pace.divide([30] * 32, lambda row: row):
            now += (0.5 if len(part) > 4 else 0.2) * (8 if number == slow else 1)
            sizes.append(len(part))
    assert sizes[-5:] == [32] * 5


def test_a_row_that_takes_longer_than_a_part_forms_its_own_part() -> None:
    now = 0.0
    pace, sizes = BatchSplitter(lambda: now), []
    for part in pace.divide([1, 1, 1, 1, 500, 1], lambda row: row):
        now += float(sum(part))
        sizes.append(len(part))
    assert sizes == [4, 1, 1]


def test_there_is_no_forecast_before_the_first_step_was_measured() -> None:
    assert StepCostModel().foresee(1, 10) is None


def test_the_forecast_of_steps_is_an_upper_bound() -> None:
    steps = StepCostModel()
    steps.learn(8, 10, 1.0)
    assert steps.foresee(8, 20) == pytest.approx(2.0)
    assert steps.foresee(1, 20) == pytest.approx(2.0)  # assumes that rows cost nothing
    assert steps.foresee(32, 20) == pytest.approx(8.0)  # assumes that only rows cost time
    steps.learn(32, 10, 2.0)
    assert steps.foresee(32, 20) == pytest.approx(4.0)
