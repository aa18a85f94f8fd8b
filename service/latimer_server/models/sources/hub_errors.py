"""Hub errors: turns the exceptions of huggingface_hub into error messages of one line.

Import it only to fetch models: huggingface_hub takes half a second to import.
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
    """Turns an exception of the library inside the context into a `ModelError`.

    Its message names the model, `place` (the source or its revision) and the file in the repository, if it is given.

    `OSError`s of the file system pass unchanged.
    """
    subject = ": ".join(filter(None, (entry.name, place, file)))
    try:
        yield
    except errors.HfHubHTTPError as error:
        raise ModelError(f"{subject}: {_explain_answer(error)}") from error
    except httpx2.HTTPError as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(
            f"{subject}: the hub cannot be reached or stopped sending ({cause}); fetch again to resume"
        ) from error
    except errors.HFValidationError as error:
        raise ModelError(f"{subject}: {' '.join(str(error).split())}") from error
    except OSError as error:
        if error.errno is not None:
            raise  # from the file system
        # From the library: a body that ended early, or a response without an ETag.
        raise ModelError(f"{subject}: {' '.join(str(error).split())[:300]}") from error


def _explain_answer(error: errors.HfHubHTTPError) -> str:
    for kind, explanation in (
        (errors.GatedRepoError, "is gated: accept its conditions on its page on the hub, and set HF_TOKEN"),
        (errors.RepositoryNotFoundError, "no such repository, or a private one that HF_TOKEN gives no access to"),
        (errors.DisabledRepoError, "the hub has disabled access to it"),
        (errors.RevisionNotFoundError, "the repository has no such revision"),
        (errors.RemoteEntryNotFoundError, "the hub lists this file but does not have it"),
    ):
        if isinstance(error, kind):
            return explanation
    status = error.response.status_code
    hints = {401: ": check HF_TOKEN", 403: ": HF_TOKEN gives no access", 429: ": too many requests, try again later"}
    return f"the hub answered HTTP {status}{hints.get(status, '')}"
