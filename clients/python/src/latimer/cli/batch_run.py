"""Runs a batch for a person: reads the inputs, shows progress, prints the summary, and returns the exit status."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

import latimer
from latimer.batch.estimate import estimate
from latimer.batch.flags import select_warnings
from latimer.batch.inputs import STANDARD, InputFile, Spool, find_inputs, plan_outputs
from latimer.batch.job import BatchOutcome, Job, SurveyedFile, Task, check_outputs, run_job, survey
from latimer.batch.memory import TranslationMemory
from latimer.batch.report import check_report, write_report
from latimer.batch.results import BatchError
from latimer.batch.run_paths import RunPath, check_paths, list_database_paths
from latimer.batch.sending import Sender
from latimer.batch.summaries import SummarySender
from latimer.batch.translating import StreamSender
from latimer.cli.connection import Connection
from latimer.cli.flags import show_warnings
from latimer.cli.messages import FAILED, SERVER, STOPPED, USAGE, error_console, explain, say, table_console
from latimer.cli.progress import BatchProgress, format_seconds, show_status
from latimer.errors import LatimerError
from latimer.files import ReadOptions

# Code points from which the language of the texts is detected.
_SAMPLE = 20_000
_MOST_NAMED = 5
# The formats whose texts options choose.
_WITH_COLUMNS = frozenset({"csv", "tsv"})
_WITH_PATHS = frozenset({"arb", "json", "jsonl", "yaml"})
# Characters of a text in an example.
_EXAMPLE = 60


@dataclass(frozen=True, kw_only=True)
class BatchRequest:
    """A batch as the command line gives it.

    `options`: options of the contract, for translations, or of `Client.summarize`. `option_files`: the files that they
    were read from. `suffix`: the ending of outputs in
    place of those of the inputs. `is_brief`: prints warnings, no counts. `is_json`: writes each unit and its result as
    a line of JSON. `is_quiet`: prints errors only. `is_strict`: warnings make the exit status 1.
    """

    task: Task
    names: Sequence[str]
    out: str
    connection: Connection
    read: ReadOptions
    format_name: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    option_files: Sequence[RunPath] = ()
    memory: Path | None = None
    jobs: int = 1
    resumes: bool = False
    overwrites: bool = False
    is_dry_run: bool = False
    report: Path | None = None
    is_quiet: bool = False
    is_strict: bool = False
    each_unit: bool = False
    suffix: str = ""
    is_brief: bool = False
    is_json: bool = False


def run_batch(request: BatchRequest) -> int:
    """Runs a batch and returns its exit status. Raises `BatchError` and `FileError` before it begins."""
    if request.resumes and request.out == STANDARD:
        raise BatchError("--resume needs an output file; standard output cannot be resumed")
    if request.report is not None:
        check_report(request.report, overwrites=request.overwrites)
    console = error_console()
    with ExitStack() as stack:
        job = _plan(request, stack.enter_context(Spool()))
        check_paths(_list_paths(request, job))
        if not request.is_dry_run:
            check_outputs(job)
        surveyed = _survey(request, job, console)
        if all(file.error for file in surveyed):
            return USAGE
        memory = None
        if request.memory is not None:
            memory = stack.enter_context(
                TranslationMemory(
                    request.memory,
                    target=request.read.target_language,
                    source=request.read.source_language,
                    options=_digest([request.task, job.options]),
                )
            )
        sender = stack.enter_context(closing(_open_sender(request, surveyed)))
        if request.is_dry_run:
            _show_estimate(console, request, surveyed, sender, memory)
            return FAILED if any(file.error for file in surveyed) else 0
        return _run(request, job, surveyed, sender, memory, console)


def _list_paths(request: BatchRequest, job: Job) -> list[RunPath]:
    """Returns all files that the batch reads or writes."""
    paths = [RunPath("an input", file.path, is_written=False) for file in job.files]
    paths += request.option_files
    paths += [RunPath("an output", path, is_written=True) for path in job.outputs.paths if path is not None]
    if job.outputs.journal is not None:
        paths.append(RunPath("the journal", job.outputs.journal, is_written=True))
    if job.outputs.failed is not None:
        paths.append(RunPath("the list of failed units", job.outputs.failed, is_written=True))
    if request.memory is not None:
        paths += list_database_paths("--memory", request.memory)
    if request.report is not None:
        paths.append(RunPath("--report", request.report, is_written=True))
    return paths


def _survey(request: BatchRequest, job: Job, console: Console) -> list[SurveyedFile]:
    """Reads all files once, and says which are broken or without text."""
    with show_status(console, "reading ..."):
        surveyed = survey(job)
    for file in surveyed:
        if file.error:
            say(file.error)
        elif not file.units and file.size and not request.is_quiet:
            say(f"{file.file.name}: no text was found; are --format, --path and --column right?")
    if not request.is_quiet and (left_out := sum(file.left_out for file in surveyed)):
        noun = "value was" if left_out == 1 else "values were"
        say(f"{left_out:,} {noun} left as identifiers; --path chooses the texts")
    return surveyed


def _plan(request: BatchRequest, spool: Spool) -> Job:
    writes = request.task == "translate" or request.each_unit
    found = find_inputs(request.names, request.format_name, request.out, spool, writes=writes)
    if found.skipped and not request.is_quiet:
        named = ", ".join(map(str, found.skipped[:_MOST_NAMED]))
        more = f" and {len(found.skipped) - _MOST_NAMED} more" if len(found.skipped) > _MOST_NAMED else ""
        say(f"left out, because they are no files, or their format is not known or cannot be written: {named}{more}")
    _check_choices(request, found.files)
    if request.out == STANDARD and (sys.stdout.isatty() or len(found.files) > 1) and not request.is_json:
        _refuse_archives(found.files)
    return Job(
        task=request.task,
        files=found.files,
        outputs=plan_outputs(found.files, request.names, request.out, request.suffix),
        read=request.read,
        client=latimer.__version__,
        # A digest stands for values that are long, or that are text of the user.
        options={
            name: value if isinstance(value, (int, float)) or name in {"model", "mode", "length"} else _digest(value)
            for name, value in request.options.items()
            if value
        },
        is_resumed=request.resumes,
        overwrites=request.overwrites,
        each_unit=request.each_unit,
        is_json=request.is_json,
    )


def _check_choices(request: BatchRequest, files: Sequence[InputFile]) -> None:
    """Raises `BatchError` for an option that chooses texts of formats which no input has."""
    formats = {file.format for file in files}
    choices = [
        ("--column", request.read.columns, _WITH_COLUMNS),
        ("--no-header", not request.read.header, _WITH_COLUMNS),
        ("--path", request.read.paths, _WITH_PATHS),
    ]
    for option, is_given, of in choices:
        if is_given and not formats & of:
            raise BatchError(f"{option} is for {', '.join(sorted(of))}, and no input has such a format")


def _refuse_archives(files: Sequence[InputFile]) -> None:
    """Raises `BatchError` for an office file, which is no text for a terminal or for the middle of other texts."""
    for file in files:
        with file.path.open("rb") as opened:
            if opened.read(2) == b"PK":
                raise BatchError(f"{file.name}: a {file.format} file cannot go to this output; name a file or folder")


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _open_sender(request: BatchRequest, surveyed: Sequence[SurveyedFile]) -> Sender:
    servers = request.connection.servers
    if request.task == "summarize":
        return SummarySender(servers, options=request.options, calls=request.jobs)
    options = dict(request.options)
    source = request.read.source_language
    if source is None and (language := _guess_language(request.connection, surveyed)):
        # The language of a short text is often not sure; then that of the whole is taken.
        options["fallback_language_code"] = language
    return StreamSender(
        servers, target=request.read.target_language, source=source, options=options, streams=request.jobs
    )


def _guess_language(connection: Connection, surveyed: Sequence[SurveyedFile]) -> str | None:
    """Returns the language of the beginning of the texts; None if it is not sure."""
    sample: list[str] = []
    size = 0
    for file in surveyed:
        for unit in file.document.units() if file.document else ():
            sample.append(unit.text)
            size += len(unit.text)
            if size >= _SAMPLE:
                break
        if size >= _SAMPLE:
            break
    if not sample:
        return None
    with connection.open() as client:
        found = client.detect("\n".join(sample)[:_SAMPLE])
    return found.language if found.reliable else None


def _run(
    request: BatchRequest,
    job: Job,
    surveyed: Sequence[SurveyedFile],
    sender: Sender,
    memory: TranslationMemory | None,
    console: Console,
) -> int:
    progress = BatchProgress(console, sum(file.units for file in surveyed))
    try:
        with nullcontext() if request.is_quiet else progress:
            outcome = run_job(job, surveyed, sender, memory=memory, report=None if request.is_quiet else progress.show)
    except KeyboardInterrupt:
        say(f"stopped; {_explain_resume(job)}")
        return STOPPED
    except LatimerError as error:
        message, status = explain(error, request.connection)
        say(message)
        if status == SERVER:
            say(_explain_resume(job))
        return status
    _show_end(request, surveyed, outcome)
    if not request.is_quiet:
        for address in sender.lost_servers():
            say(f"no answer from {address} at the end; the other servers did its part")
    if request.report is not None:
        write_report(request.report, outcome, _describe(request))
    is_strict_failure = request.is_strict and outcome.counts.flagged > 0
    return FAILED if is_strict_failure or not outcome.is_good else 0


def _show_end(request: BatchRequest, surveyed: Sequence[SurveyedFile], outcome: BatchOutcome) -> None:
    """Prints the counts, warnings and errors of a batch that has ended."""
    if request.is_brief and not request.is_quiet:
        counts = outcome.counts
        show_warnings(counts.flags, {flag: counts.examples(flag)[0].place for flag in counts.flags})
    elif not request.is_quiet:
        show_outcome(outcome)
    printed = {each.error for each in surveyed}
    for file in outcome.files:  # broken ones were named before
        if file.error and file.error not in printed:
            say(file.error)
    _show_failures(outcome, is_summary=request.task == "summarize" and not request.each_unit)


def _show_failures(outcome: BatchOutcome, *, is_summary: bool) -> None:
    """Prints the first failed units with their reasons, and where all of them are."""
    if not outcome.counts.failed:
        return
    for each in outcome.counts.errors[:_MOST_NAMED]:
        say(f"{each.path}, {each.place}: {each.error}")
    noun = "unit" if outcome.counts.failed == 1 else "units"
    if outcome.failed_path is None:
        place = "its place" if outcome.counts.failed == 1 else "their places"
        say(f"{outcome.counts.failed:,} {noun} failed{'' if is_summary else f'; the source stands in {place}'}")
    else:
        say(f"{outcome.counts.failed:,} {noun} failed, see {outcome.failed_path}; --resume tries again")


def finish(flags: Iterable[str], request: BatchRequest) -> int:
    """Prints the warnings among flags, and returns the exit status."""
    warnings = Counter(select_warnings(flags))
    if not request.is_quiet:
        show_warnings(warnings)
    return FAILED if warnings and request.is_strict else 0


def _explain_resume(job: Job) -> str:
    if job.outputs.journal is None or not job.outputs.journal.exists():
        return "nothing was finished" if job.outputs.journal else "nothing is kept, because the output is no file"
    return f"what is finished is kept in {job.outputs.journal}; the same command with --resume goes on"


def _describe(request: BatchRequest) -> dict[str, str]:
    languages = f"{request.read.source_language or 'detected language'} to {request.read.target_language}"
    about = {"task": "Translation" if request.task == "translate" else "Summary", "languages": languages}
    if model := request.options.get("model"):
        about["model"] = str(model)
    return about


def show_outcome(outcome: BatchOutcome) -> None:
    """Prints the counts of a batch that has ended, and its warnings by flag with the worst example of each."""
    counts = outcome.counts
    rate = counts.sent_words / max(outcome.seconds, 1e-9)
    origins = [
        (counts.from_memory, "from the memory"),
        (counts.from_journal, "from the journal"),
        (counts.repeated, "repeated"),
    ]
    known = "".join(f", {count:,} {label}" for count, label in origins if count)
    files = f"{counts.files:,} file{'s' if counts.files != 1 else ''}, " if len(outcome.files) > 1 else ""
    words = "word" if counts.sent_words == 1 else "words"
    sent = f"{counts.sent_words:,} {words} in {format_seconds(outcome.seconds)}, {rate:,.0f} a second"
    noun = "unit" if counts.units == 1 else "units"
    say(f"{files}{counts.units:,} {noun}{known}; {sent if counts.sent_units else 'nothing had to be sent'}")
    if not counts.flags:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("warning", no_wrap=True)
    table.add_column("units", justify="right")
    table.add_column("worst example", overflow="fold")
    for flag, count in counts.flags.most_common():
        (worst, *_) = counts.examples(flag)
        texts = [" ".join(text.split()) for text in (worst.source, worst.target)]
        shown = " -> ".join(text if len(text) <= _EXAMPLE else f"{text[:_EXAMPLE]}..." for text in texts)
        table.add_row(flag, f"{count:,}", Text(f"{worst.path}, {worst.place}: {shown}"))
    table_console(stderr=True).print(table, crop=False)


def _show_estimate(
    console: Console,
    request: BatchRequest,
    surveyed: Sequence[SurveyedFile],
    sender: Sender,
    memory: TranslationMemory | None,
) -> None:
    with show_status(console, "measuring ..."):
        found = estimate(surveyed, sender, memory)
    good = [file for file in surveyed if not file.error]
    print(f"files      {len(good):,}")
    print(f"units      {found.units:,}")
    print(f"words      {found.words:,}")
    if found.repeated:
        print(f"repeated   {found.repeated:,} units")
    if request.memory is not None:
        print(f"in memory  {found.remembered:,} units")
    print(f"to send    {found.to_send:,} units, {found.words_to_send:,} words")
    if found.seconds is not None:
        print(f"time       about {format_seconds(found.seconds)}")
