"""The command line `latimer` against a real server of fake models."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

import latimer
from latimer_server.rpc.server import LatimerServer
from tests.command_line import Done, run_command


async def test_the_command_line(server: LatimerServer, tmp_path: Path) -> None:
    address = f"127.0.0.1:{server.port}"
    text = b"The bridge is closed.\r\n\r\n  It opens in May. \n"
    file = tmp_path / "text.txt"
    file.write_bytes(text)

    async def run(*arguments: str, stdin: bytes = b"") -> Done:
        return await asyncio.to_thread(run_command, *arguments, stdin=stdin)

    at = ("--address", address)
    assert (await run("translate", str(file), "-t", "pt", "-s", "en", *at)).stdout == text
    assert (await run("translate", "-t", "pt", "-s", "en", *at, stdin=text)).stdout == text
    page = b"<p>The <b>bridge</b> is closed.</p>"
    assert (await run("translate", "-t", "pt", "-s", "en", "-f", "html", *at, stdin=page)).stdout == page
    long_text = text * 12_000
    assert (await run("translate", "-", "-t", "pt", "-s", "en", *at, stdin=long_text)).stdout == long_text
    assert b'"flags": [' in (await run("translate", str(file), "-t", "pt", "--json", *at)).stdout
    assert b'"models": [' in (await run("translate", "Good morning.", "-t", "pt", "-s", "en", "--json", *at)).stdout
    summarized = await run("summarize", str(file), "--sentences", "1", *at)
    assert summarized.stdout.decode().strip() in text.decode()
    assert b"rank_score" in (await run("summarize", "--json", *at, stdin=text)).stdout
    assert (await run("detect", str(file), *at)).stdout.startswith(b"en ")
    assert b"en-pt" in (await run("languages", *at)).stdout
    assert b"ready" in (await run("models", *at)).stdout
    healthy = await run("health", *at)
    assert (healthy.returncode, healthy.stdout) == (0, b"SERVING\n")
    assert (await run("health", "model:nothing", *at)).returncode == 1
    unreachable = await run("health", "--address", "127.0.0.1:1")
    assert unreachable.returncode == 3
    assert b"Traceback" not in unreachable.stderr
    bad = await run("translate", str(file), "-t", "xx", *at)
    assert bad.returncode == 2
    assert b"--to" in bad.stderr
    assert (await run("translate", str(tmp_path / "nothing.txt"), "-t", "pt", *at)).returncode == 2
    not_text = await run("detect", *at, stdin=b"\xff\xfe\xff")
    assert not_text.returncode == 2
    assert b"UTF-8" in not_text.stderr


async def test_the_address_can_come_from_the_environment(
    server: LatimerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATIMER_ADDRESS", f"127.0.0.1:{server.port}")
    assert (await asyncio.to_thread(run_command, "health")).returncode == 0


def test_the_version_is_that_of_the_client() -> None:
    printed = run_command("--version")
    assert (printed.returncode, printed.stdout.decode()) == (0, f"{latimer.__version__}\n")


async def test_errors_of_the_command_line_say_what_to_do(server: LatimerServer, tmp_path: Path) -> None:
    async def complain(status: int, *arguments: str, stdin: bytes = b"") -> str:
        done = await asyncio.to_thread(run_command, *arguments, stdin=stdin)
        (line,) = done.stderr.decode().splitlines()
        assert (done.returncode, done.stdout) == (status, b""), line
        return str(line).removeprefix("latimer: ")

    at = ("--address", f"127.0.0.1:{server.port}")
    missing = tmp_path / "nothing.txt"
    assert await complain(3, "health", "--address", "127.0.0.1:1") == (
        "no server at 127.0.0.1:1; is it running, or does it want --tls?"
    )
    assert (await complain(2, "translate", "-t", "de", "-s", "en", *at, stdin=b"Hello.")).endswith(
        "; `latimer languages` and `latimer models` list what the server has"
    )
    assert await complain(2, "translate", *at) == "no target language; give one with --to, such as --to pt"
    assert (await complain(2, "detect", str(missing), *at)).startswith(f"there is no file {missing}")
    assert await complain(2, "health", "--ca", str(missing)) == (
        f"cannot read the certificates of --ca {missing}: No such file or directory"
    )
    assert await complain(2, "detect", "-", *at, stdin=b"ab\xff") == (
        "standard input: is not UTF-8 text: byte 2; save it as UTF-8"
    )


async def test_a_long_text_of_numbers_with_one_line_of_words(server: LatimerServer) -> None:
    text = ("12345 67890\n" * 10_000 + "The bridge is closed until Monday.\n").encode()
    done = await asyncio.to_thread(
        run_command, "translate", "-t", "pt", "--address", f"127.0.0.1:{server.port}", stdin=text
    )
    assert (done.returncode, done.stdout) == (0, text)


async def test_several_targets_are_lines_of_json(server: LatimerServer) -> None:
    arguments = ("translate", "-s", "en", "-t", "pt", "-t", "en", "--json", "--address", f"127.0.0.1:{server.port}")
    done = await asyncio.to_thread(run_command, *arguments, stdin=b"42\n\nThe bridge is closed.")
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["target_language"], first["models"], first["score"]) == ("pt", ["en-pt"], -0.5)
    assert second["text"] == "42\n\nThe bridge is closed."
