"""Tests of settings: a flag overrides the environment, which overrides the file, which overrides the default."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from latimer_server.config.origins import find_origins
from latimer_server.config.resource_limits import available_cores, available_memory
from latimer_server.config.settings import Settings, load_settings


def test_each_source_overrides_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "latimer.toml"
    file.write_text('listen = "file:1"\nmax_requests = 7\ndrain_seconds = 3.0\n')
    monkeypatch.setenv("LATIMER_LISTEN", "environment:1")
    monkeypatch.setenv("LATIMER_MAX_REQUESTS", "8")
    settings = load_settings(file, listen="flag:1", store=None)
    assert settings.listen == "flag:1"
    assert settings.max_requests == 8
    assert settings.drain_seconds == 3.0
    assert settings.log_level == "INFO"


def test_the_default_store_is_in_the_data_folder_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    monkeypatch.delenv("LATIMER_STORE", raising=False)
    assert load_settings(None).store == Path("/somewhere/latimer/models")


@pytest.mark.parametrize("text", ["max_requests = 0", "max_requests = 'many'", "log_level = 'LOUD'", "typo = 1"])
def test_an_invalid_setting_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "latimer.toml"
    file.write_text(text)
    with pytest.raises(ValidationError, match=text.split()[0]):
        load_settings(file)


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ("2GiB", 2 << 30),
        ("1.5 g", 3 << 29),
        ("512M", 512 << 20),
        ("500 MB", 500_000_000),
        ("10kb", 10_000),
        ("4KiB", 4_096),
        ("123456", 123_456),
        ("unlimited", None),
    ],
)
def test_memory_sizes_accept_common_units(given: str, size: int | None) -> None:
    assert load_settings(None, max_model_memory=given).max_model_memory == size


@pytest.mark.parametrize("given", ["much", "2 XB", "-1", "", "0", "1e9", "2GiB left"])
def test_an_invalid_memory_size_is_named(given: str) -> None:
    with pytest.raises(ValidationError, match="max_model_memory"):
        load_settings(None, max_model_memory=given)


def test_batches_use_all_available_cores() -> None:
    assert load_settings(None).compute_threads == available_cores()


def test_models_use_half_of_the_memory_by_default() -> None:
    memory = available_memory()
    assert memory
    assert load_settings(None).max_model_memory == memory // 2


@pytest.mark.parametrize("given", [{"device": "tpu"}, {"admin": "perhaps"}, {"pivoting": "sometimes"}])
def test_an_invalid_switch_is_named(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=next(iter(given))):
        load_settings(None, **given)


def test_a_missing_configuration_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.toml"):
        load_settings(tmp_path / "nothing.toml")


@pytest.mark.parametrize(("given", "names"), [("a,b", ("a", "b")), (" a , ", ("a",)), ("", ())])
def test_models_are_names_separated_by_commas(
    given: str, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings(None, models=given).models == names
    monkeypatch.setenv("LATIMER_MODELS", given)
    assert load_settings(None).models == names


def test_models_may_be_a_list_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "latimer.toml"
    file.write_text('models = ["a", "b"]')
    assert load_settings(file).models == ("a", "b")
    assert load_settings(None).models is None


NESTED, LONG = b"[" * 5_000 + b"]" * 5_000, b"9" * 5_000


@pytest.mark.parametrize("data", [b"listen = ", b"\xff\xfe", b"listen = " + NESTED, b"max_requests = " + LONG])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "broken.toml"
    file.write_bytes(data)
    with pytest.raises(ValueError, match=r"broken\.toml: is no TOML file") as refused:
        load_settings(file)
    assert "set_int_max_str_digits" not in str(refused.value)
    assert set(find_origins(file, [])) == set(Settings.model_fields)


SECONDS = sorted(name for name in Settings.model_fields if name.endswith("_seconds"))


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), 1e99])
@pytest.mark.parametrize("name", SECONDS)
def test_times_that_no_clock_can_measure_are_refused(name: str, seconds: float) -> None:
    with pytest.raises(ValidationError, match=name):
        load_settings(None, **{name: seconds})


@pytest.mark.parametrize("name", ["max_requests", "trace_share", "max_model_memory", "listen"])
def test_only_switches_take_true_and_false(tmp_path: Path, name: str) -> None:
    config = tmp_path / "latimer.toml"
    config.write_text(f"{name} = true\n")
    with pytest.raises(ValueError, match="is true; only switches take true and false"):
        load_settings(config)
    config.write_text("admin = true\n")
    assert load_settings(config).admin
