"""S3 servers for tests: real processes, and a proxy before them that counts requests and can make things go wrong."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

ACCESS_KEY, SECRET_KEY = "testing", "testing-secret"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "provwatch-tests"
STARTS_WITHIN_SECONDS = 30.0
HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "expect"})


def versitygw() -> str:
    """Return the path of the versitygw program, "" where there is none; ``.ci/run`` installs it."""
    return shutil.which("versitygw") or shutil.which(CACHE / "versitygw") or ""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(kind: str, folder: Path) -> Iterator[int]:
    """Run a server of this kind with its data in a folder; yield its port."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    if kind == "versitygw":
        data, versions = folder / "data", folder / "versions"
        data.mkdir(parents=True)
        versions.mkdir()
        front = [versitygw(), "--port", f"127.0.0.1:{port}", "--access", ACCESS_KEY, "--secret", SECRET_KEY]
        command = [*front, "--quiet", "--keep-alive", "posix", "--versioning-dir", str(versions), str(data)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers."""
    until = time.monotonic() + STARTS_WITHIN_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    message = "the server did not start"
    raise RuntimeError(message)


@dataclass(frozen=True, slots=True)
class Request:
    """One request as S3 knows it: the operation's name, and the object's key."""

    operation: str
    key: str


Fault = Callable[[Request], Any]
"""What a proxy does instead of passing a request on: an answer as (status, code), ``drop``, ``short``, or None."""


@dataclass(slots=True)
class Proxy:
    """A proxy before a server.

    Attributes:
        port: where it listens.
        requests: everything that went through.
        fault: what is to go wrong.
        headers: headers of answers to be replaced, by name.
        watch: told of each request's headers.
    """

    port: int
    requests: list[Request] = field(default_factory=list)
    fault: Fault = lambda _request: None
    headers: dict[str, str] = field(default_factory=dict)
    watch: Callable[[Any], Any] = lambda _headers: None

    @property
    def url(self) -> str:
        """What clients use as endpoint."""
        return f"http://127.0.0.1:{self.port}"

    def counts(self) -> dict[str, int]:
        """Return the number of requests by operation since the last call, and begin anew."""
        counted = Counter(request.operation for request in self.requests)
        self.requests.clear()
        return dict(sorted(counted.items()))

    def put(self) -> list[str]:
        """Return the keys of the objects that were written, in their order."""
        return [request.key for request in self.requests if request.operation in {"PutObject", "CompleteUpload"}]


@contextmanager
def proxied(server_port: int) -> Iterator[Proxy]:
    """Run a proxy before a server."""
    proxy = Proxy(0)

    class Handler(_Handler):
        upstream = server_port
        state = proxy

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    proxy.port = listener.server_port
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def operation_of(method: str, query: str, key: str) -> str:
    """Return S3's name for what a request does."""
    names = {part.partition("=")[0] for part in query.split("&") if part}
    if not key:
        listing = "ListUploads" if "uploads" in names else "ListVersions" if "versions" in names else "ListObjects"
        return listing if method == "GET" else f"{method} bucket"
    if "uploads" in names or "uploadId" in names:
        ways = {"POST": "CompleteUpload" if "uploadId" in names else "CreateUpload", "PUT": "UploadPart"}
        return {**ways, "GET": "ListParts", "DELETE": "AbortUpload"}[method]
    return {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}[method]


class _Handler(BaseHTTPRequestHandler):
    """Passes one request on, unless something is to go wrong."""

    protocol_version = "HTTP/1.1"
    upstream: int
    state: Proxy

    def log_message(self, *_unused: Any) -> None:
        """Keep quiet."""

    def _pass_on(self) -> None:
        """Take a request, and answer it."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        request = Request(operation_of(self.command, query, _key(path)), _key(path))
        self.state.requests.append(request)
        self.state.watch(self.headers)
        fault = self.state.fault(request)
        if fault == "drop":
            self.close_connection = True
            return
        if isinstance(fault, tuple):
            status, code = fault
            xml = f"<Error><Code>{code}</Code><Message>{code} by the test</Message></Error>".encode()
            self._answer(status, {"Content-Type": "application/xml"}, xml)
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=120)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in HOP_BY_HOP:
                connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        data = answer.read()
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP}
        for name in list(headers):
            headers[name] = self.state.headers.get(name.lower(), headers[name])
        connection.close()
        self._answer(
            answer.status, headers, data[: len(data) // 2] if fault == "short" else data, short=fault == "short"
        )

    def _answer(self, status: int, headers: dict[str, str], data: bytes, *, short: bool = False) -> None:
        """Send an answer; a short one ends in the middle."""
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        length = headers.get("Content-Length", str(len(data))) if short or self.command == "HEAD" else str(len(data))
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(data)
        if short:
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on  # noqa: N815 - what http.server calls


def _key(path: str) -> str:
    """Return the key in a path-style path: what follows the bucket."""
    return unquote(re.sub(r"^/[^/]*/?", "", path))
