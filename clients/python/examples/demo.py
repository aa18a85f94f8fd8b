"""Demonstrates the server with real models: translates an article to Portuguese and back, and summarizes it.

Starts a server on a free port, waits until it is healthy, calls it with the client and stops it. `make demo` runs this
file.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from latimer import Client, Translation

ARTICLE = Path(__file__).with_name("article.txt")
SHOWN_SENTENCES = 6
START_SECONDS = 120
_PICTURE_WIDTH = 120


@contextmanager
def run_server() -> Iterator[str]:
    """Runs a server with the embedded models on a free port, and yields its address."""
    command = [
        str(Path(sys.executable).with_name("latimer-server")),
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--metrics",
        "",
    ]
    with subprocess.Popen([*command, "--log-level", "WARNING"], stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line.startswith("listening on "):
                sys.exit("the server did not start; run latimer-server serve to see why")
            yield line.split()[-1]
        finally:
            process.terminate()
            if process.wait() != 0:
                sys.exit(f"the server ended with status {process.returncode}")


def wait_until_healthy(client: Client) -> None:
    """Waits until the server's health status is SERVING. Exits with the states of the models after 120 seconds."""
    deadline = time.monotonic() + START_SECONDS
    while client.health() != "SERVING":
        if time.monotonic() > deadline:
            states = [f"{model.name}: {model.error_message or model.state}" for model in client.models()]
            sys.exit(f"the server is not healthy after {START_SECONDS} seconds; its models: " + "; ".join(states))
        time.sleep(0.05)


def pair_sentences(article: str, there: Translation, back: Translation) -> Iterator[tuple[str, str, str]]:
    """Yields each sentence, its translation, and the translation back. Segments are matched by their spans."""
    returned = {segment.source_span: segment.text for segment in back.segments}
    for segment in there.segments:
        source = article[segment.source_span.start : segment.source_span.end]
        yield source, segment.text, returned.get(segment.target_span, "")


def main() -> None:
    """Runs the demonstration and prints the results. With an argument, also draws them into that SVG file."""
    picture = sys.argv[1] if len(sys.argv) > 1 else ""
    console = Console(record=bool(picture), width=_PICTURE_WIDTH if picture else None)
    article = ARTICLE.read_text("utf-8")
    process_started = time.perf_counter()
    with run_server() as address, Client(address, timeout=300) as client:
        with console.status("starting the server and loading the models ..."):
            wait_until_healthy(client)
        seconds = {"start to SERVING": time.perf_counter() - process_started}

        def timed(name: str, started: float) -> None:
            seconds[name] = time.perf_counter() - started

        with console.status("translating and summarizing ..."):
            started = time.perf_counter()
            there = client.translate(article, source="en", target="pt", include_segments=True)
            timed("English to Portuguese", started)
            started = time.perf_counter()
            back = client.translate(there.text, source="pt", target="en", include_segments=True)
            timed("Portuguese to English", started)
            started = time.perf_counter()
            english = client.summarize(article, sentences=2)
            timed("summary in English", started)
            started = time.perf_counter()
            portuguese = client.summarize(article, sentences=2, target="pt")
            timed("summary in Portuguese", started)
            started = time.perf_counter()
            short = client.summarize(article, sentences=2, mode="hybrid")
            timed("summary shortened by a model, including loading it", started)

    table = Table("English", "Portuguese", "back to English", title="The first sentences", show_lines=True)
    for row, _ in zip(pair_sentences(article, there, back), range(SHOWN_SENTENCES), strict=False):
        table.add_row(*row)
    console.print(table)
    console.print(Panel(english.text, title="Summary in English, two sentences"))
    console.print(Panel(portuguese.text, title="Summary in Portuguese, two sentences"))
    console.print(Panel(short.text, title="Two sentences, shortened by a model where the source supports it"))
    words = len(article.split())
    facts = Table("fact", "value", box=None, show_header=False)
    flags = {*there.flags, *back.flags, *english.flags, *portuguese.flags, *short.flags}
    facts.add_row("flags", ", ".join(sorted(flags)) or "none")
    facts.add_row("models", ", ".join([*there.models, *back.models, *short.models]))
    facts.add_row("scores (mean log-probability)", f"{there.score:.3f} to Portuguese, {back.score:.3f} back to English")
    for name, value in seconds.items():
        rate = f", {words / value:,.0f} words a second" if " to " in name and "SERVING" not in name else ""
        facts.add_row(name, f"{value:.2f} s{rate}")
    console.print(facts)
    if picture:
        console.save_svg(picture, title="make demo")


if __name__ == "__main__":
    main()
