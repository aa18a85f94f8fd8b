"""A batch from its inputs to its outputs, with the journal that makes it resumable."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from latimer.batch.counts import Counts
from latimer.batch.inputs import InputFile, Outputs, digest_file, is_failed_file
from latimer.batch.journal import Journal, require_journal
from latimer.batch.json_lines import JsonLinesDocument
from latimer.batch.output import JoinedOutput, check_folder, is_stream, open_output
from latimer.batch.results import BatchError, OutputError
from latimer.batch.runner import Memory, Runner, RunningFile, count_words
from latimer.batch.sending import Sender
from latimer.batch.summaries import SummaryDocument
from latimer.errors import LatimerError
from latimer.files import Document, FileError, ReadOptions, find_left_out, open_document

Task = Literal["translate", "summarize"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a batch does.

    `options`: what else the results depend on, such as the model and a digest of the glossary. `is_resumed`: goes on
    from the journal if there is one. `overwrites`: replaces outputs that exist. `each_unit`: summarizes each unit of a
    file, not the file as a whole. `is_json`: writes lines of JSON in place of documents.
    """

    task: Task
    files: Sequence[InputFile]
    outputs: Outputs
    read: ReadOptions
    client: str
    options: Mapping[str, Any] = field(default_factory=dict)
    is_resumed: bool = False
    overwrites: bool = False
    each_unit: bool = False
    is_json: bool = False


@dataclass(frozen=True, kw_only=True)
class SurveyedFile:
    """A file that was read once. `document`: None if it is broken, which `error` explains. `left_out`: the number of
    values that are identifiers, not texts."""

    file: InputFile
    document: Document | None
    units: int = 0
    words: int = 0
    digest: str = ""
    size: int = 0
    error: str = ""
    left_out: int = 0


@dataclass(frozen=True, kw_only=True)
class FileOutcome:
    """What became of a file. `output`: None for standard output. `failed`: the number of its failed units. `error`: why
    there is no output; "" if there is one."""

    name: str
    output: Path | None
    units: int
    words: int
    failed: int = 0
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class BatchOutcome:
    """The result of a batch. `failed_path`: the side file with the failed units; None if none failed."""

    files: list[FileOutcome]
    counts: Counts
    seconds: float
    failed_path: Path | None = None

    @property
    def is_good(self) -> bool:
        """True if every unit of every file has a result."""
        return not self.counts.failed and not any(file.error for file in self.files)


def survey(job: Job, note: Callable[[SurveyedFile], None] | None = None) -> list[SurveyedFile]:
    """Reads all files once: counts their units and words, and finds broken files before any text is sent.

    `note`: called after each file.
    """
    surveyed = []
    for file in job.files:
        surveyed.append(_survey_file(job, file))
        if note is not None:
            note(surveyed[-1])
    return surveyed


def check_outputs(job: Job) -> None:
    """Raises `OutputError` if an output or an earlier journal is in the way, or a folder cannot be written."""
    for folder in {path.parent for path in job.outputs.paths if path is not None and not is_stream(path)}:
        check_folder(folder)
    failed = job.outputs.failed
    if failed is not None and failed.exists() and not is_failed_file(failed):
        raise OutputError(
            failed,
            "the failed units go there, and it is a file of another program",
            "move it, or choose another --out",
            is_refusal=True,
        )
    journal = job.outputs.journal
    has_journal = journal is not None and journal.exists()
    if journal is not None and has_journal:
        require_journal(journal)
    if job.overwrites or (job.is_resumed and has_journal):
        return
    if has_journal:
        raise OutputError(
            str(journal),
            "an earlier batch was stopped here",
            "--resume goes on with it, --force begins again",
            is_refusal=True,
        )
    for path in job.outputs.paths:
        if path is not None and path.exists() and not is_stream(path):
            cure = "--force replaces it"
            raise OutputError(
                path,
                "exists already",
                f"there is nothing to resume; {cure}" if job.is_resumed else cure,
                is_refusal=True,
            )


def run_job(
    job: Job,
    surveyed: Sequence[SurveyedFile],
    sender: Sender,
    *,
    memory: Memory | None = None,
    report: Callable[[Counts], None] | None = None,
) -> BatchOutcome:
    """Runs a batch. `check_outputs` must have passed.

    A broken file does not stop the others. Raises `LatimerError` if the servers fail, `OutputError` if the disk does,
    `JournalError`, and KeyboardInterrupt; the journal then keeps the finished units.
    """
    begun = time.monotonic()
    journal = _open_journal(job, surveyed)
    running = {
        number: RunningFile(number, each.file.name, each.document)
        for number, each in enumerate(surveyed)
        if each.document is not None and not _is_in_place(job, journal, number)
    }
    runner = Runner(list(running.values()), sender, journal, memory=memory, report=report)
    outcomes = []
    failed = None
    standard = JoinedOutput(sys.stdout.buffer)
    try:
        _require_own_outputs(job, journal)
        for number, each in enumerate(surveyed):
            outcomes.append(_run_file(job, runner, running.get(number), each, number, journal, standard))
        failed = _write_failures(job, running.values())
        if memory is not None:
            memory.save()
    except BaseException:
        # The next run goes on from the journal, if it has something.
        with contextlib.suppress(OutputError):  # the disk is full
            runner.keep_results()
        if journal.has_results:
            journal.close()
        else:
            journal.delete()
        if memory is not None:
            memory.save()
        raise
    outcome = BatchOutcome(files=outcomes, counts=runner.counts, seconds=time.monotonic() - begun, failed_path=failed)
    if outcome.is_good or job.outputs.journal is None or not any(each.document for each in surveyed):
        journal.delete()
    else:
        journal.close()
    return outcome


def _survey_file(job: Job, file: InputFile) -> SurveyedFile:
    try:
        digest, size = digest_file(file.path)
        document = opened = open_document(file.path, job.read, file.format)
        if job.task == "summarize" and not job.each_unit:
            document = SummaryDocument(document)
        if job.is_json:
            document = JsonLinesDocument(document, file.name)
        units = words = 0
        for unit in document.units():
            units += 1
            words += count_words(unit.text)
    except FileError as error:
        return SurveyedFile(file=file, document=None, error=_name(error, file))
    left_out = find_left_out(opened)
    return SurveyedFile(
        file=file, document=document, units=units, words=words, digest=digest, size=size, left_out=left_out
    )


def _name(error: FileError, file: InputFile) -> str:
    """Returns an error with the name that the user gave to the file."""
    return str(error).replace(str(error.path), file.name, 1)


def _open_journal(job: Job, surveyed: Sequence[SurveyedFile]) -> Journal:
    header = {
        "client": job.client,
        "task": job.task,
        "target": job.read.target_language,
        "source": job.read.source_language,
        "encoding": job.read.encoding,
        "paths": list(job.read.paths),
        "columns": list(job.read.columns),
        "header": job.read.header,
        "each_unit": job.each_unit,
        "json": job.is_json,
        "options": dict(job.options),
        "inputs": [[each.file.name, each.digest, each.file.format] for each in surveyed],
    }
    path = job.outputs.journal
    if path is None:  # for equal units only
        folder = Path(tempfile.mkdtemp(prefix="latimer-"))
        journal = Journal.create(folder / "journal", header)
        # The open file stays readable; nothing is left behind even by kill -9.
        with contextlib.suppress(OSError):
            journal.path.unlink()
            folder.rmdir()
        return journal
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            path.parent, f"cannot be made: {error.strerror}", "choose another --out", is_refusal=True
        ) from error
    return Journal.resume(path, header) if job.is_resumed else Journal.create(path, header)


def _is_in_place(job: Job, journal: Journal, number: int) -> bool:
    path = job.outputs.paths[number]
    return number in journal.finished_files and path is not None and path.exists()


def _run_file(
    job: Job,
    runner: Runner,
    running: RunningFile | None,
    each: SurveyedFile,
    number: int,
    journal: Journal,
    standard: JoinedOutput,
) -> FileOutcome:
    path = job.outputs.paths[number]
    outcome = FileOutcome(name=each.file.name, output=path, units=each.units, words=each.words, error=each.error)
    if running is None:  # broken, or in place since an earlier run
        if not each.error:
            runner.counts.units += each.units
            runner.counts.from_journal += each.units
            runner.counts.files += 1
        return outcome
    try:
        if path is None:
            runner.write(running, cast("BinaryIO", standard))
            standard.end_file()
            _require_unchanged(each)
        else:
            with open_output(path) as target:
                runner.write(running, target)
                _require_unchanged(each)
                if _is_in_the_way(job, journal, number):
                    raise OutputError(
                        path, "was made by another program while the batch ran", "move it, then go on with --resume"
                    )
                journal.place_file(number)
    except (BatchError, LatimerError, OSError):  # of the disk or the servers
        raise
    except Exception as error:
        # A format that finds other units than before fails in its own ways, such as StopIteration and IndexError.
        fault = _find_change(each) or error
        if not isinstance(fault, FileError):
            raise
        runner.skip(running)
        return _replace(outcome, failed=len(running.failures), error=_name(fault, each.file))
    runner.counts.files += 1
    if path is not None and not running.failures:
        journal.finish_file(number)
    return _replace(outcome, failed=len(running.failures))


def _is_in_the_way(job: Job, journal: Journal, number: int) -> bool:
    """Returns True if a file that another program has written stands in the place of an output."""
    path = job.outputs.paths[number]
    if path is None or job.overwrites or number in journal.placed_files or is_stream(path):
        return False
    return path.exists()


def _require_own_outputs(job: Job, journal: Journal) -> None:
    """Raises `OutputError` for the first output in whose place another program has written a file since the stop."""
    for number, path in enumerate(job.outputs.paths):
        if path is not None and _is_in_the_way(job, journal, number):
            reason = "exists already, and this batch did not write it"
            raise OutputError(path, reason, "move it, or replace it with --force", is_refusal=True)


def _require_unchanged(each: SurveyedFile) -> None:
    """Raises `FileError` if the input is no longer that which was surveyed: its results could stand at wrong places."""
    if (change := _find_change(each)) is not None:
        raise change


def _find_change(each: SurveyedFile) -> FileError | None:
    try:
        digest, _ = digest_file(each.file.path)
    except FileError as error:
        return error
    if digest == each.digest:
        return None
    return FileError(each.file.path, "was changed while the batch ran", cure="run the batch again with --force")


def _replace(outcome: FileOutcome, *, failed: int, error: str = "") -> FileOutcome:
    return FileOutcome(
        name=outcome.name, output=outcome.output, units=outcome.units, words=outcome.words, failed=failed, error=error
    )


def _write_failures(job: Job, files: Sequence[RunningFile] | Any) -> Path | None:  # noqa: ANN401
    """Writes the failed units with their reasons into the side file. Returns None if there are none."""
    path = job.outputs.failed
    if path is None:
        return None
    failures = [(file.name, unit, result) for file in files for unit, result in file.failures]
    if not failures:
        path.unlink(missing_ok=True)  # of an earlier run
        return None
    with open_output(path) as target:
        for name, unit, result in failures:
            record = {"file": name, "place": unit.place, "source": unit.text, "reason": result.error}
            target.write(json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
    return path
