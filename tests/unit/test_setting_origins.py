"""Where settings come from, what is said of wrong ones, and the texts that are made from them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from latimer_server.cli.main import app
from latimer_server.config.origins import find_origins, refuse_unknown_variables
from latimer_server.config.sample import list_rows, write_sample
from latimer_server.config.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]


def run(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(app, arguments, env={f"LATIMER_{name}": value for name, value in variables.items()})


def test_each_setting_has_one_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "latimer.toml"
    file.write_text("# Ours.\nmax_requests = 7\nmax_streams = 9\nadmin = true\n")
    monkeypatch.setenv("LATIMER_MAX_STREAMS", "8")
    monkeypatch.setenv("latimer_device", "cpu")
    origins = {name: origin.text for name, origin in find_origins(file, ["admin"]).items()}
    assert origins["max_requests"] == f"{file}, line 2"
    assert origins["max_streams"] == "environment LATIMER_MAX_STREAMS"
    assert origins["device"] == "environment latimer_device"
    assert origins["admin"] == "option --admin"
    assert origins["listen"] == "default"
    assert set(origins) == set(Settings.model_fields)


@pytest.mark.parametrize("name", ["LATIMER_LISTN", "latimer_listn", "LATIMER_", "LATIMER_KEY"])
def test_an_unknown_variable_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: is no setting"):
        refuse_unknown_variables({"PATH": "/bin", name: "x"})


@pytest.mark.parametrize(
    "name",
    [
        "LATIMER_LISTEN",
        "latimer_listen",
        "LATIMER_ADDRESS",
        "LATIMER_TOKEN",
        "LATIMER_ENGINE",
        "LATIMER_SERVICE_HOST",
        "LATIMER_SERVICE_PORT_GRPC",
        "LATIMER_PORT",
        "LATIMER_PORT_50051_TCP",
        "LATIMER_PORT_50051_TCP_ADDR",
        "LATIMER_GATEWAY_PORT_5000_TCP_PROTO",
        "OTHER",
    ],
)
def test_variables_of_others_are_left_alone(name: str) -> None:
    refuse_unknown_variables({name: "x"})


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--listen", "127.0.0.1:99999"], "listen: cannot listen on '127.0.0.1:99999'"),
        (["--metrics", "127.0.0.1:99999"], "metrics: cannot listen on '127.0.0.1:99999'"),
        (["--metrics", "unix:/run/metrics"], "metrics: write HOST:PORT"),
        (["--compute-threads", "999"], "compute_threads: is 999; at most"),
        (["--compute-threads", "many"], "compute_threads: is 'many'; must be a whole number of at least 1"),
        (["--quota-store", "http://hidden@x"], "quota_store: write redis://HOST:PORT/DATABASE"),
        (["--otlp-endpoint", "http://me:hidden@collector:4317"], "otlp_endpoint: has a user or a password"),
        (["--otlp-endpoint", "http://hidden@collector:4317"], "otlp_endpoint: has a user or a password"),
        (["--otlp-endpoint", "http://127.0.0.1:99999"], "otlp_endpoint: names no host and port"),
        (["--otlp-endpoint", "http://:4317"], "otlp_endpoint: names no host and port"),
        (["--otlp-endpoint", "http://[::1"], "otlp_endpoint: names no host and port"),
        (["--models", "nope"], "there is no model 'nope'"),
        (["--catalog", "/nothing.toml"], "/nothing.toml: cannot be read"),
        (["--keys", "/nothing.toml"], "/nothing.toml: cannot be read"),
        (["--listen", "0.0.0.0:0"], "listen: other machines can reach 0.0.0.0:0"),
        (["--tls-key", "k.pem"], "tls_certificate and tls_key must be set together"),
    ],
)
def test_a_wrong_value_is_named_in_one_line(arguments: list[str], complaint: str) -> None:
    done = run("config", "check", *arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith("latimer-server: ")
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
    assert "hidden" not in done.stderr


def test_the_origin_of_a_wrong_value_is_named(tmp_path: Path) -> None:
    file = tmp_path / "latimer.toml"
    file.write_text("\nmax_request = 7\n")
    done = run("config", "check", "--config", str(file), MAX_STREAMS="0")
    assert f"max_request: is no setting; did you mean max_requests? ({file}, line 2)" in done.stderr
    assert "(environment LATIMER_MAX_STREAMS)" in done.stderr


def test_all_settings_are_shown_with_their_origin_and_without_secrets() -> None:
    done = run(
        "config",
        "show",
        "--quota-store",
        "redis://user:hidden@host",
        "--no-pivoting",
        MAX_REQUESTS="9",
        OTLP_ENDPOINT="http://collector:4317",
    )
    lines = dict(line.split(" = ", 1) for line in done.stdout.splitlines())
    assert set(lines) == set(Settings.model_fields)
    assert lines["quota_store"] == "(hidden)\t(option --quota-store)"
    assert lines["otlp_endpoint"] == "http://collector:4317\t(environment LATIMER_OTLP_ENDPOINT)"
    assert lines["pivoting"] == "false\t(option --pivoting)"
    assert lines["max_requests"] == "9\t(environment LATIMER_MAX_REQUESTS)"
    assert lines["models"] == "the embedded models\t(default)"
    assert ":hidden@" not in done.stdout


def test_settings_that_can_be_used_pass_the_check() -> None:
    assert run("config", "check").exit_code == 0


def test_the_sample_has_every_setting_and_can_be_used(tmp_path: Path) -> None:
    lines = [line for line in write_sample().splitlines() if " = " in line and line.startswith("# ")]
    given = tomllib.loads("\n".join(line.removeprefix("# ") for line in lines if not line.endswith('= "None"')))
    assert set(given) == set(Settings.model_fields)
    file = tmp_path / "latimer.toml"
    file.write_text("\n".join(line.removeprefix("# ") for line in lines))
    settings = load_settings(file)
    assert settings.max_requests == Settings.model_fields["max_requests"].default


def test_the_sample_and_the_table_of_the_documentation_are_those_of_the_settings() -> None:
    """`latimer-server config sample` and `latimer-server config table` print them."""
    assert (ROOT / "docs/latimer.toml").read_text("utf-8") == write_sample()
    assert "".join(list_rows()) in (ROOT / "docs/operating.md").read_text("utf-8")
