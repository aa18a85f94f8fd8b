"""What huggingface_hub raises, told in one line.

Knows that library's errors; imported only when something is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from huggingface_hub import errors

from latimer_server.core.errors import ModelError
from latimer_server.models.catalog.entry import CatalogEntry


@contextmanager
def raising_hub_errors(entry: CatalogEntry, place: str, file: str = "") -> Iterator[None]:
    """Turns the library's many-lined errors into a `ModelError` of one line that names the model, the place and the
    file. The file system's own errors pass."""
    what = ": ".join(filter(None, (entry.name, place, file)))
    try:
        yield
    except errors.HfHubHTTPError as error:
        raise ModelError(f"{what}: {_explain_answer(error)}") from error
    except httpx2.HTTPError as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"{what}: the hub cannot be reached or fell silent ({told}); fetch again to go on") from error
    except errors.HFValidationError as error:
        raise ModelError(f"{what}: {' '.join(str(error).split())}") from error
    except OSError as error:
        if error.errno is not None:
            raise  # the file system's
        # The library's own: a body that ended early, an answer without an ETag.
        raise ModelError(f"{what}: {' '.join(str(error).split())[:300]}") from error


def _explain_answer(error: errors.HfHubHTTPError) -> str:
    for kind, told in (
        (errors.GatedRepoError, "is gated: accept its conditions on its page on the hub, and set HF_TOKEN"),
        (errors.RepositoryNotFoundError, "no such repository, or a private one that HF_TOKEN gives no access to"),
        (errors.DisabledRepoError, "the hub has disabled access to it"),
        (errors.RevisionNotFoundError, "the repository has no such revision"),
        (errors.RemoteEntryNotFoundError, "the hub lists this file and does not have it"),
    ):
        if isinstance(error, kind):
            return told
    status = error.response.status_code
    hints = {401: ": is HF_TOKEN right?", 403: ": HF_TOKEN gives no access", 429: ": too many requests, wait a while"}
    return f"the hub answered HTTP {status}{hints.get(status, '')}"
