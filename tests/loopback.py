"""HTTP servers on the loopback in place of the Hugging Face hub and of Mozilla's registry.

The hub serves the paths that huggingface_hub 2.4 requests, with the headers and the redirects of large files that the
real hub sends. Both servers support range requests, and fail where a test asks for it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

_LARGE = (".safetensors", ".bin", ".spm", ".gguf", ".model")


@dataclass
class Faults:
    """The faults of a server, by file name. `cut`: for each of the next answers the bytes after which the body ends.
    `stall`: the bytes after which the body waits for `release`. `lies`: a body that the listing does not match.
    `status`: an HTTP status in place of the body."""

    cut: dict[str, list[int]] = field(default_factory=dict)
    stall: dict[str, int] = field(default_factory=dict)
    lies: dict[str, bytes] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    release: threading.Event = field(default_factory=threading.Event)


@dataclass
class Asked:
    """A request that the server received."""

    method: str
    path: str
    headers: Mapping[str, str]


class Loopback(ABC):
    """An HTTP server on a free port. A subclass implements `answer`. `asked`: the requests so far."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.asked: list[Asked] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                owner.asked.append(Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
                owner.answer(self, unquote(urlsplit(self.path).path))

            do_HEAD = do_GET  # noqa: N815 (the library's name)

            def log_message(self, *_: object) -> None:
                """Logs nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Frees the port."""
        self._server.server_close()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serves in a thread until the end of the context."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.faults.release.set()
            self._server.shutdown()
            self.close()
            thread.join()

    @abstractmethod
    def answer(self, request: BaseHTTPRequestHandler, path: str) -> None:
        """Answers a request for an unquoted path."""

    def paths(self, method: str = "GET") -> list[str]:
        """Returns the file names of the requests with this method, in order."""
        return [urlsplit(asked.path).path.rpartition("/")[2] for asked in self.asked if asked.method == method]

    def ranges(self, name: str) -> list[str]:
        """Returns the ranges of the GET requests for a file, "" for the whole file."""
        return [a.headers.get("range", "") for a in self.asked if a.method == "GET" and a.path.endswith(name)]

    def send_json(self, request: BaseHTTPRequestHandler, document: object) -> None:
        self.send(request, "", json.dumps(document).encode(), {})

    def send_error(self, request: BaseHTTPRequestHandler, status: int, code: str = "", message: str = "") -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": message, "Content-Length": "0"}
        request.send_response(status)
        for key, value in headers.items():
            if value:
                request.send_header(key, value)
        request.end_headers()

    def send(self, request: BaseHTTPRequestHandler, name: str, content: bytes, headers: Mapping[str, str]) -> None:
        """Sends the content, or the requested range of it, with the faults of this name."""
        if status := self.faults.status.get(name):
            return self.send_error(request, status)
        content = self.faults.lies.get(name, content)
        start = int((request.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        if start and start >= len(content):
            return self.send_error(request, 416)
        body = content[start:]
        request.send_response(206 if start else 200)
        for key, value in headers.items():
            request.send_header(key, value)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command == "HEAD":
            return None
        if self.faults.cut.get(name):
            request.wfile.write(body[: self.faults.cut[name].pop(0)])
            request.close_connection = True
            return None
        if name in self.faults.stall:
            request.wfile.write(body[: self.faults.stall[name]])
            request.wfile.flush()
            self.faults.release.wait()
            body = body[self.faults.stall.pop(name) :]
        with suppress(OSError):  # the client was killed
            request.wfile.write(body)
        return None


@dataclass
class Repository:
    """A model repository: the files of its only commit. `token`: a request without it does not see the repository.
    `gated`: the repository is listed, but its files need the token. `bare_listing`: the listing has names only, as
    that of some mirrors."""

    files: dict[str, bytes]
    token: str = ""
    gated: bool = False
    revisions: tuple[str, ...] = ("main",)
    bare_listing: bool = False

    @property
    def commit(self) -> str:
        tree = "".join(f"{name} {git_blob(content)}\n" for name, content in sorted(self.files.items()))
        return git_blob(tree.encode())


class LoopbackHub(Loopback):
    """A model hub. `repositories`: by OWNER/NAME."""

    def __init__(self) -> None:
        super().__init__()
        self.repositories: dict[str, Repository] = {}

    def answer(self, request: BaseHTTPRequestHandler, path: str) -> None:
        steps = path.strip("/").split("/")
        if steps[:2] == ["api", "models"] and len(steps) > 5 and steps[4] == "revision":
            repository = self._find(request, f"{steps[2]}/{steps[3]}", "/".join(steps[5:]), listing=True)
            if repository is not None:
                self.send_json(request, _list(repository, f"{steps[2]}/{steps[3]}"))
        elif steps[:2] == ["api", "models"] and len(steps) > 5 and steps[4] == "tree":
            repository = self._find(request, f"{steps[2]}/{steps[3]}", "/".join(steps[5:]), listing=True)
            if repository is not None:
                self.send_json(request, _list_tree(repository))
        elif len(steps) == 5 and steps[2] == "resolve":
            repository = self._find(request, "/".join(steps[:2]), steps[3], listing=False)
            if repository is not None:
                self._send_file(request, repository, steps[4])
        elif steps[0] == "cdn":
            assert "authorization" not in {key.lower() for key in request.headers}, "the token left the hub"
            content = self.repositories[f"{steps[1]}/{steps[2]}"].files[steps[3]]
            self.send(request, steps[3], content, {"ETag": '"cdn"'})
        else:
            self.send_error(request, 404)

    def _find(self, request: BaseHTTPRequestHandler, name: str, revision: str, *, listing: bool) -> Repository | None:
        repository = self.repositories.get(name)
        token = (request.headers.get("Authorization") or "").removeprefix("Bearer ")
        if repository is None or (repository.token and not repository.gated and token != repository.token):
            self.send_error(request, 404 if token else 401, "RepoNotFound", "Repository not found")
        elif revision not in (*repository.revisions, repository.commit):
            self.send_error(request, 404, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif repository.gated and not listing and token != repository.token:
            self.send_error(request, 403 if token else 401, "GatedRepo", "Access to this model is restricted")
        else:
            return repository
        return None

    def _send_file(self, request: BaseHTTPRequestHandler, repository: Repository, name: str) -> None:
        if name not in repository.files:
            return self.send_error(request, 404, "EntryNotFound", "Entry not found")
        content = repository.files[name]
        headers = {"X-Repo-Commit": repository.commit}
        if not name.endswith(_LARGE):
            return self.send(request, name, content, {**headers, "ETag": f'"{git_blob(content)}"'})
        # The real hub redirects large files to another host, with a link that needs no token.
        owner = next(key for key, value in self.repositories.items() if value is repository)
        request.send_response(302)
        for key, value in {
            **headers,
            "Location": f"http://localhost:{self.port}/cdn/{owner}/{name}",
            "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Linked-Size": str(len(content)),
            "Content-Length": "0",
        }.items():
            request.send_header(key, value)
        request.end_headers()
        return None


class LoopbackRegistry(Loopback):
    """Mozilla's registry and bucket. `models`: by pair, as in models.json. `files`: compressed contents by path."""

    def __init__(self) -> None:
        super().__init__()
        self.models: Any = {}
        self.files: dict[str, bytes] = {}

    @property
    def registry_url(self) -> str:
        return f"{self.url}/bucket/db/models.json"

    def answer(self, request: BaseHTTPRequestHandler, path: str) -> None:
        path = path.removeprefix("/bucket/")
        if path == "db/models.json":
            document = {"generated": "2026-09-30T00:44:58Z", "baseUrl": f"{self.url}/bucket", "models": self.models}
            self.send(request, "models.json", json.dumps(document).encode(), {})
        elif path in self.files:
            self.send(request, path.rpartition("/")[2], self.files[path], {})
        else:
            self.send_error(request, 404)

    def add(
        self,
        pair: str,
        run: str,
        files: Mapping[str, bytes],
        *,
        status: str | None = "Release",
        architecture: str = "tiny",
        chrf: float | None = None,
    ) -> None:
        """Publishes a model. `files`: uncompressed contents by the registry's keys."""
        names = {
            "model": "model.{}.intgemm.alphas.bin", "lexicalShortlist": "lex.50.50.{}.s2t.bin",
            "vocab": "vocab.{}.spm", "srcVocab": "srcvocab.{}.spm", "trgVocab": "trgvocab.{}.spm",
        }  # fmt: skip
        listed: dict[str, dict[str, object]] = {}
        for key, content in files.items():
            path = f"models/{pair}/{run}/exported/{names[key].format(pair.replace('-', ''))}.gz"
            self.files[path] = gzip.compress(content, mtime=0)
            listed[key] = {"path": path}
        model = files["model"]
        listed["model"] |= {"uncompressedSize": len(model), "uncompressedHash": hashlib.sha256(model).hexdigest()}
        source, _, target = pair.partition("-")
        entry = {
            "architecture": architecture, "releaseStatus": status, "sourceLanguage": source, "targetLanguage": target,
            "files": listed,
        }  # fmt: skip
        if chrf is not None:
            entry["metrics"] = {"flores200-plus": {"bleu": 30.0, "chrf": chrf}}
        self.models.setdefault(pair, []).append(entry)


def git_blob(content: bytes) -> str:
    """Returns the git blob hash of a content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _list(repository: Repository, name: str) -> dict[str, object]:
    siblings: list[dict[str, object]] = []
    for path, content in repository.files.items():
        sibling: dict[str, object] = {"rfilename": path}
        if not repository.bare_listing:
            sibling |= {"size": len(content), "blobId": git_blob(content)}
            if path.endswith(_LARGE):
                sha256 = hashlib.sha256(content).hexdigest()
                sibling["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
        siblings.append(sibling)
    return {
        "id": name,
        "sha": repository.commit,
        "gated": "manual" if repository.gated else False,
        "siblings": siblings,
    }


def _list_tree(repository: Repository) -> list[dict[str, object]]:
    tree: list[dict[str, object]] = []
    for path, content in repository.files.items():
        item: dict[str, object] = {"type": "file", "path": path, "size": len(content), "oid": git_blob(content)}
        if path.endswith(_LARGE):
            sha256 = hashlib.sha256(content).hexdigest()
            item["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 134}
        tree.append(item)
    return tree
