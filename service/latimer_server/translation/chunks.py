"""Chunks: divides the segments of a request into groups that go through the models together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from itertools import islice

from latimer_server.scheduling import gather_or_cancel
from latimer_server.text.protection.masking import ProtectedText
from latimer_server.translation.assembly import ContentJob

# Most segments of one chunk, which may join contents, and code points of them: enough to fill batches with pieces of
# similar lengths, and few enough that no other caller waits for the work on one chunk.
_CHUNK_SEGMENTS = 256
_CHUNK_CHARACTERS = 32_768
# Chunks of one route in progress at a time, so that models compute while another chunk is encoded or decoded.
_CHUNKS_AT_ONCE = 8

# A segment that needs a model: its job, its index in `ContentJob.segments`, and its text with protected spans.
JobSegment = tuple[ContentJob, int, ProtectedText]


def list_chunks(jobs: Iterable[ContentJob]) -> Iterator[list[JobSegment]]:
    """Yields the segments of jobs in chunks, which have at least one segment and keep the bounds otherwise."""
    chunk: list[JobSegment] = []
    characters = 0
    for job in jobs:
        segments = job.segments
        for index in job.to_translate:
            size = len(segments[index].text)
            if chunk and (len(chunk) == _CHUNK_SEGMENTS or characters + size > _CHUNK_CHARACTERS):
                yield chunk
                chunk, characters = [], 0
            chunk.append((job, index, segments[index]))
            characters += size
    if chunk:
        yield chunk


async def run_chunks(
    chunks: Iterator[Sequence[JobSegment]], run_chunk: Callable[[Sequence[JobSegment]], Awaitable[None]]
) -> None:
    """Passes the chunks to `run_chunk`, at most 8 at a time, which bounds the memory."""

    async def feed(first: Sequence[JobSegment]) -> None:
        await run_chunk(first)
        for chunk in chunks:
            await run_chunk(chunk)

    await gather_or_cancel(feed(chunk) for chunk in list(islice(chunks, _CHUNKS_AT_ONCE)))
