"""Runs forty small models on a server with memory for eight, under concurrent calls.

Checks that every call is answered, or refused with the name of its model, and that the memory is released. The models
have the shape of a small student and random weights, so their outputs have no meaning; the test is that they load,
answer, are unloaded for others and load again. The server is a separate process, called over a real channel.
"""

from __future__ import annotations

import asyncio
import io
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import sentencepiece
from rich.console import Console
from rich.table import Table

from benchmarks.service.load import SERVER, read_resident_bytes
from latimer import AsyncClient, CancelledError, LatimerError, NotServedError
from latimer.v1 import models_pb2, models_pb2_grpc
from tests.marian_files import model_items, write_model

LANGUAGES = (
    *("ar", "bg", "cs", "da", "de", "el", "es", "et", "fi", "fr"),
    *("hu", "it", "ja", "lt", "lv", "nl", "pl", "pt", "ro", "sv"),
)
TEXT = "The bridge over the river was closed in March, and nobody knows when it will be opened again."
VOCABULARY_SIZE = 1_000
# Shares of the calls that do something other than translate.
SHARES = {"load": 0.03, "unload": 0.05, "vanish": 0.04, "cancel": 0.03}
AWAY_SECONDS = 0.2
# Accepted refusals: the files of the named model, or of all models of the named pair, were absent. Any other error is a
# failure.
NAMED_REFUSAL = re.compile(
    r"model churn-\S+ is not fetched|language pair \S+ is not served"
    r"|model churn-\S+ failed to load: \S+: (is missing|cannot be read)"
)
CALLERS = 16
MOST_GROWTH = 0.10


@dataclass(frozen=True)
class Shape:
    """The size of a model."""

    dimension: int
    ffn: int
    depth: int

    @property
    def config(self) -> dict[str, object]:
        """The configuration in the keys of Marian's files."""
        return {
            "enc-depth": self.depth,
            "dec-depth": 1,
            "dim-emb": self.dimension,
            "transformer-dim-ffn": self.ffn,
            "transformer-heads": 4,
            "dim-vocabs": [VOCABULARY_SIZE, VOCABULARY_SIZE],
        }


SMALL_STUDENT = Shape(256, 1_024, 3)


@dataclass
class Report:
    """The results of a run. Memory is in resident bytes: `begun` after every model was loaded once and unloaded,
    `ended` after all are unloaded again."""

    operations: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    log: Counter[str] = field(default_factory=Counter)
    begun: int = 0
    peak: int = 0
    ended: int = 0
    seconds: float = 0.0

    @property
    def growth(self) -> float:
        """The growth of the memory as a share of its size at the beginning."""
        return self.ended / self.begun - 1

    @property
    def is_good(self) -> bool:
        """True if every failed call was refused by name, and the memory was released."""
        return not self.failures and self.growth <= MOST_GROWTH


def write_vocabulary() -> bytes:
    """Trains the SentencePiece vocabulary that all models share."""
    draw = random.Random(7)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(3, 9))) for _ in range(4_000)]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([TEXT, *(" ".join(draw.sample(words, 12)) for _ in range(4_000))]),
        model_writer=model,
        vocab_size=VOCABULARY_SIZE,
        bos_id=-1,
        eos_id=0,
        unk_id=1,
        pad_id=-1,
        minloglevel=9,
    )
    return model.getvalue()


def list_names(count: int) -> list[str]:
    """Returns the names of the models: for each language, from English into it and from it into English."""
    pairs = ((language, "en") if way else ("en", language) for language in LANGUAGES for way in (0, 1))
    return [f"churn-{source}-{target}" for source, target in pairs][:count]


def write_models(folder: Path, count: int, shape: Shape) -> Path:
    """Writes models from and into English, one folder each, and their catalogue. Returns the path of the catalogue."""
    vocabulary, model = write_vocabulary(), write_model(model_items(shape.config))
    catalog = []
    for name in list_names(count):
        _, source, target = name.split("-")
        place = folder / name
        place.mkdir(parents=True)
        (place / "model.bin").write_bytes(model)
        (place / "vocab.spm").write_bytes(vocabulary)
        catalog.append(
            f'[models.{name}]\ntask = "translation"\nfamily = "marian-student"\nbackend = "marian_student"\n'
            f'source_languages = ["{source}"]\ntarget_languages = ["{target}"]\nsource = "dir:{place}"\ncanary = ""\n'
            f'files.model.path = "model.bin"\nfiles.vocabulary.path = "vocab.spm"\n'
        )
    path = folder / "catalog.toml"
    path.write_text("\n".join(catalog))
    return path


@asynccontextmanager
async def run_server(catalog: Path, log: Path, memory: str) -> AsyncIterator[tuple[int, str]]:
    """Runs a server of these models until the block ends. Yields its process id and its address."""
    store = catalog.parent / "store"
    arguments = [
        "--listen",
        "127.0.0.1:0",
        "--metrics",
        "",
        "--catalog",
        str(catalog),
        "--store",
        str(store),
        "--models",
        "",
    ]
    # One thread is enough, because speed is not measured, and on a busy machine two threads wait for each other.
    arguments += ["--admin", "--max-model-memory", memory, "--log-format", "json", "--compute-threads", "1"]
    process = await asyncio.to_thread(_start, arguments, log)
    try:
        assert process.stdout
        line = await asyncio.to_thread(process.stdout.readline)
        yield process.pid, line.split()[-1]
    finally:
        process.terminate()
        await asyncio.to_thread(process.communicate)


def _start(arguments: list[str], log: Path) -> subprocess.Popen[str]:
    with log.open("wb") as sink:
        return subprocess.Popen([SERVER, "serve", *arguments], stdout=subprocess.PIPE, stderr=sink, text=True)


class Churn:
    """Makes calls that load and unload models."""

    def __init__(self, folder: Path, names: list[str], client: AsyncClient, stub: Any) -> None:  # noqa: ANN401
        self.report = Report()
        self._folder = folder
        self._names = names
        self._client = client
        self._stub = stub
        self._draw = random.Random(3)
        self._away: set[str] = set()

    async def run(self, calls: int) -> None:
        """Makes `calls` calls, `CALLERS` of them at the same time."""
        left = iter(range(calls))

        async def call() -> None:
            for _ in left:
                await self._do_something()

        await asyncio.gather(*(call() for _ in range(CALLERS)))

    async def warm_up(self) -> Report:
        """Loads every model once and unloads all, so that later growth is no permanent memory of the server. Returns
        the empty report of the calls that follow."""
        await asyncio.gather(*(self._translate(name) for name in self._names))
        await self.run(len(self._names))
        await self.unload_each()
        self.report = Report()
        return self.report

    async def unload_each(self) -> None:
        """Unloads every model."""
        for name in self._names:
            await self._stub.UnloadModel(models_pb2.UnloadModelRequest(name=name))

    async def _do_something(self) -> None:
        operation = self._draw.choices([*SHARES, "translate"], [*SHARES.values(), 1 - sum(SHARES.values())])[0]
        name = self._draw.choice(self._names)
        self.report.operations[operation] += 1
        try:
            await getattr(self, f"_{operation}")(name)
        except NotServedError as error:
            self._note_refusal(str(error))
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                self._note_refusal(str(error.details()))
            else:
                self.report.failures[f"{error.code().name}: {error.details()}"] += 1
        except LatimerError as error:
            self.report.failures[f"{type(error).__name__}: {error}"] += 1

    def _note_refusal(self, message: str) -> None:
        named = NAMED_REFUSAL.match(message)
        if named:
            self.report.refusals[re.sub(r"churn-[a-z-]+|\S+->\S+", "NAME", named[0])] += 1
        else:
            self.report.failures[message] += 1

    async def _translate(self, name: str) -> None:
        """Translates by a model's name, by its language pair, or by a pair that needs two models."""
        pair: dict[str, Any] = {**self._pair_of(name)}
        other = self._pair_of(self._draw.choice(self._names))
        way = self._draw.randrange(3)
        if way == 0:
            pair["model"] = name
        elif way == 1 and pair["source"] != "en" and other["target"] not in ("en", pair["source"]):
            pair["target"] = other["target"]
        await self._client.translate(TEXT, **pair, max_output_tokens=4)

    async def _cancel(self, name: str) -> None:
        """Cancels a call while it runs."""
        call = asyncio.create_task(self._translate(name))
        await asyncio.sleep(self._draw.random() * 0.05)
        call.cancel()
        try:
            await call
        except (asyncio.CancelledError, CancelledError):
            return

    async def _load(self, name: str) -> None:
        await self._stub.LoadModel(models_pb2.LoadModelRequest(name=name))

    async def _unload(self, name: str) -> None:
        await self._stub.UnloadModel(models_pb2.UnloadModelRequest(name=name))

    async def _vanish(self, name: str) -> None:
        """Moves the files of a model away for a moment."""
        if name in self._away:
            return
        self._away.add(name)
        place, away = self._folder / name, self._folder / f"{name}.away"
        place.rename(away)
        await asyncio.sleep(AWAY_SECONDS * self._draw.random())
        away.rename(place)
        self._away.discard(name)

    @staticmethod
    def _pair_of(name: str) -> dict[str, str]:
        _, source, target = name.split("-")
        return {"source": source, "target": target}


async def churn(folder: Path, *, models: int, room: int, calls: int, shape: Shape) -> Report:
    """Runs the calls on a server with memory for about `room` of the `models`."""
    catalog = write_models(folder, models, shape)
    names = list_names(models)
    log = folder / "server.log"
    size = await _measure(catalog, log, names[0])
    async with (
        run_server(catalog, log, str(room * size)) as (pid, address),
        AsyncClient(address, timeout=120) as client,
        grpc.aio.insecure_channel(address) as channel,
    ):
        runner = Churn(folder, names, client, models_pb2_grpc.ModelServiceStub(channel))
        report = await runner.warm_up()
        report.begun = read_resident_bytes(pid)
        watching = asyncio.create_task(_watch(pid, report))
        started = time.perf_counter()
        await runner.run(calls)
        report.seconds = time.perf_counter() - started
        watching.cancel()
        await runner.unload_each()
        report.ended = read_resident_bytes(pid)
    report.log = _count_lines(log)
    return report


async def _measure(catalog: Path, log: Path, name: str) -> int:
    """Returns the bytes that the server counts for one model."""
    async with run_server(catalog, log, "unlimited") as (_, address), grpc.aio.insecure_channel(address) as channel:
        stub: Any = models_pb2_grpc.ModelServiceStub(channel)
        loaded = await stub.LoadModel(models_pb2.LoadModelRequest(name=name))
        return int(loaded.model.memory_bytes)


async def _watch(pid: int, report: Report) -> None:
    while True:
        report.peak = max(report.peak, read_resident_bytes(pid))
        await asyncio.sleep(0.02)


def _count_lines(log: Path) -> Counter[str]:
    lines: list[Mapping[str, object]] = [json.loads(line) for line in log.read_text().splitlines()]
    return Counter(str(line["message"]) for line in lines if str(line["message"]).startswith("model "))


def main() -> int:
    """Prints a table. Returns 1 if a call failed without being refused by name, or memory was not released."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 8_000
    console = Console()
    with tempfile.TemporaryDirectory() as folder, console.status(f"{calls:,} calls ..."):
        report = asyncio.run(churn(Path(folder), models=40, room=8, calls=calls, shape=SMALL_STUDENT))
    table = Table("40 models, memory for 8", "", box=None, show_header=False)
    operations = ", ".join(f"{count:,} {name}" for name, count in report.operations.most_common())
    table.add_row("calls", f"{report.operations.total():,}: {operations}; {CALLERS} at once")
    table.add_row("loads, unloads", f"{report.log['model ready']:,}, {report.log['model unloaded']:,}")
    table.add_row("refused by name", ", ".join(f"{n:,} {text}" for text, n in report.refusals.items()) or "none")
    table.add_row("failed otherwise", ", ".join(f"{n:,} {text}" for text, n in report.failures.items()) or "none")
    megabytes = [round(size / 1e6) for size in (report.begun, report.peak, report.ended)]
    table.add_row("resident MB: begun, peak, ended", f"{megabytes[0]}, {megabytes[1]}, {megabytes[2]}")
    table.add_row("growth", f"{report.growth:+.1%}")
    table.add_row("seconds", f"{report.seconds:.0f}")
    console.print(table)
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
