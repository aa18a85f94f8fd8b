"""The image of the Dockerfile in a container: read-only, without capabilities, health-checked, and stopped by SIGTERM.

Needs a Docker engine (apt-get install docker.io), and a base image that its registry, or the engine itself, has.
`LATIMER_IMAGE` names an image that is built already; without it the tests build one (minutes).
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from latimer import Client, ConnectionFailedError, UnauthenticatedError
from tests.native_builds import find_tool

ROOT = Path(__file__).parents[2]
HARDENED = ("--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--pids-limit", "200")
SECONDS = 90


def docker(*arguments: str, timeout: float = SECONDS) -> str:
    """Runs a command of Docker and returns its output, with what it wrote to standard error."""
    command = [find_tool("docker"), *arguments]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=timeout
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def image() -> str:
    """The name of the image."""
    tool = find_tool("docker")
    if subprocess.run([tool, "info"], capture_output=True, check=False).returncode:
        missing = "no Docker engine answers: start one, or name it in DOCKER_HOST"
        if os.environ.get("LATIMER_TEST_TOOLS") == "required":
            pytest.fail(missing)
        pytest.skip(missing)
    if name := os.environ.get("LATIMER_IMAGE"):
        return name
    docker("build", "--network", "host", "--tag", "latimer:test", str(ROOT), timeout=1_800)
    return "latimer:test"


class Container:
    """A container in the background."""

    def __init__(self, identifier: str) -> None:
        self.identifier = identifier

    def inspect(self) -> dict[str, Any]:
        """Returns the state that Docker reports of the container."""
        (found,) = json.loads(docker("inspect", self.identifier))
        state: dict[str, Any] = found["State"]
        return state

    def find_address(self, port: int) -> str:
        """Returns the address of this machine that leads to a port of the container."""
        return docker("port", self.identifier, str(port)).split()[0]

    def read_log(self) -> str:
        """Returns what the container wrote so far."""
        return docker("logs", self.identifier)

    def await_state(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Returns the state as soon as it fulfils the condition."""
        end = time.monotonic() + SECONDS
        while not condition(state := self.inspect()):
            assert time.monotonic() < end, f"{state}\n{self.read_log()}"
            threading.Event().wait(0.2)
        return state


@contextmanager
def running(image: str, *options: str, command: Sequence[str] = ()) -> Iterator[Container]:
    """Starts a hardened container with ports of its own on loopback, and removes it at the end."""
    ports = ("--publish", "127.0.0.1::50051", "--publish", "127.0.0.1::9464")
    identifier = docker("run", "--detach", *HARDENED, *ports, *options, image, *command).split()[-1]
    try:
        yield Container(identifier)
    finally:
        docker("rm", "--force", "--volumes", identifier)


def is_healthy(state: dict[str, Any]) -> bool:
    """Tells whether the image's HEALTHCHECK succeeded."""
    return bool(state["Health"]["Status"] == "healthy")


def test_the_image_serves_hardened_and_says_that_it_is_healthy(image: str) -> None:
    with running(image, "--memory", "1g") as container:
        container.await_state(is_healthy)
        with Client(container.find_address(50051)) as client:
            assert client.translate("The house is old.", source="en", target="pt").text == "A casa é antiga."
        with urllib.request.urlopen(f"http://{container.find_address(9464)}/metrics", timeout=10) as response:
            assert 'grpc_method="TranslateText"' in response.read().decode()
        assert docker("exec", container.identifier, "id", "-u").strip() not in ("", "0")


def test_docker_stop_answers_the_calls_that_run_and_exits_with_0(image: str) -> None:
    # Distinct sentences, so that the call takes long enough to be running when the signal comes.
    text = " ".join(f"The keeper of house {number} counts {number + 7} boats in the harbour." for number in range(150))
    with running(image) as container:
        container.await_state(is_healthy)
        answers: list[str] = []
        with Client(container.find_address(50051), timeout=SECONDS) as client:
            caller = threading.Thread(
                target=lambda: answers.append(client.translate(text, source="en", target="pt").text)
            )
            caller.start()
            metrics = f"http://{container.find_address(9464)}/metrics"
            started = 'grpc_server_started_total{grpc_method="TranslateText"'
            end = time.monotonic() + SECONDS
            while not any(
                line.startswith(started) and not line.endswith(" 0.0")
                for line in urllib.request.urlopen(metrics, timeout=10).read().decode().splitlines()
            ):
                assert time.monotonic() < end, "the call did not begin"
            docker("stop", "--time", str(SECONDS), container.identifier, timeout=2 * SECONDS)
            caller.join()
            with pytest.raises(ConnectionFailedError):
                client.translate("The house is old.", source="en", target="pt", timeout=2)
        assert container.inspect()["ExitCode"] == 0
        assert "drained" in container.read_log()
        assert len(answers) == 1
        assert "149" in answers[0]


def test_a_container_with_too_little_memory_ends_with_one_line_or_is_ended_by_the_kernel(image: str) -> None:
    with running(image, "--memory", "48m", "--memory-swap", "48m") as container:
        state = container.await_state(lambda state: not state["Running"])
        assert state["OOMKilled"] or state["ExitCode"] == 1
        assert "Traceback" not in container.read_log()


def test_without_insecure_the_image_refuses_an_open_address_and_says_what_to_do(image: str) -> None:
    with running(image, command=("serve",)) as container:
        state = container.await_state(lambda state: not state["Running"])
        assert state["ExitCode"] == 1
        assert "--insecure" in container.read_log()


def test_keys_from_a_read_only_folder_are_demanded(image: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    command = [str(ROOT / ".venv/bin/latimer-server"), "keys", "create", "shop", "--keys", str(tmp_path / "keys.toml")]
    done = subprocess.run([*command, "--scope", "translate"], capture_output=True, text=True, check=True)
    secret = done.stdout.strip().splitlines()[-1]
    (tmp_path / "keys.toml").chmod(0o644)
    mount = ("--volume", f"{tmp_path}:/etc/latimer:ro")
    with running(image, *mount, command=("serve", "--insecure", "--keys", "/etc/latimer/keys.toml")) as container:
        container.await_state(is_healthy)
        address = container.find_address(50051)
        with Client(address, token=secret) as client:
            assert client.translate("The house is old.", source="en", target="pt").text == "A casa é antiga."
        with Client(address) as client, pytest.raises(UnauthenticatedError):
            client.translate("The house is old.", source="en", target="pt")
