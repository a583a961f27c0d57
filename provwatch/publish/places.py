"""Where the bytes of entries lie: read piece by piece, and only from where a manifest may say that they lie."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from provwatch.aws import ABSENT, S3Address, error_code, explained
from provwatch.description import BUCKET_NAME, MAX_KEY_BYTES, local_path
from provwatch.errors import EXIT_FAILED, CredentialsError, ProvwatchError, UnreachableError
from provwatch.publish.entries import read_error

BUFFER_BYTES = 1024 * 1024
READS = 4
CLIENT_ERRORS = range(400, 500)
RACY_NS = 2_000_000_000


class PlaceError(ProvwatchError):
    """The bytes of one entry cannot be had, whatever may be with those of others."""

    def __init__(self, message: str, *, code: str, exit_code: int = EXIT_FAILED) -> None:
        """Say what is wrong, and what it asks of the process."""
        super().__init__(message, code=code)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Opened:
    """Bytes that can be read.

    Attributes:
        size: how many they are.
        pieces: reads them; raises when they change meanwhile.
        identity: another one means other bytes; "" where that cannot be told.
    """

    size: int
    pieces: Iterator[bytes]
    identity: str


class Places:
    """What a manifest may name: objects in S3, and files of this machine where the registry is one of its folders."""

    def __init__(self, registry: str, client: Callable[[], Any]) -> None:
        """Read for the manifests of one registry.

        Args:
            registry: its URI.
            client: makes an S3 client, when the first object is read.
        """
        self._files = registry.startswith("file://")
        self._make_client = client
        self._client: Any = None
        self._lock = threading.Lock()

    @contextmanager
    def opened(self, uri: str) -> Iterator[Opened]:
        """Open the bytes at a physical key.

        Raises:
            PlaceError: there are none, or they may not be read.
            ProvwatchError: nothing can be read at all: no credentials, or no network.
        """
        if self._is_file(uri):
            with _opened_file(uri) as opened:
                yield opened
            return
        address = _address(uri)
        with _of_one_object(address):
            answer = self._s3().get_object(**address.parameters)
        with closing(answer["Body"]):
            pieces = _pieces(self._s3(), address, answer)
            yield Opened(answer["ContentLength"], pieces, address.version or answer["ETag"])

    def identity(self, uri: str) -> str:
        """Return what tells whether the bytes at a physical key changed, without reading them.

        Raises:
            PlaceError: see `opened`.
            ProvwatchError: see `opened`.
        """
        if self._is_file(uri):
            path = _path(uri)
            try:
                return _signature(os.stat(path))
            except OSError as error:
                raise _unreadable(error, path) from error
        address = _address(uri)
        if address.version:
            return address.version
        with _of_one_object(address):
            return str(self._s3().head_object(**address.parameters)["ETag"])

    def _is_file(self, uri: str) -> bool:
        """Say whether a physical key is that of a file; refuse what no manifest of this registry may name."""
        if uri.startswith("file://") and not self._files:
            message = "a manifest in a bucket may not name files of this machine; it was not read"
            raise PlaceError(message, code="not-allowed")
        if not uri.startswith(("file://", "s3://")):
            raise PlaceError("this is the address of neither a file nor an S3 object", code="not-allowed")
        return uri.startswith("file://")

    def _s3(self) -> Any:
        """Return the client; one for all threads."""
        with self._lock:
            if self._client is None:
                self._client = self._make_client()
            return self._client


def _path(uri: str) -> str:
    """Return the path in a physical key."""
    try:
        return os.fspath(local_path(uri))
    except (ProvwatchError, ValueError) as error:
        raise PlaceError("this is no path on this machine", code="not-allowed") from error


@contextmanager
def _opened_file(uri: str) -> Iterator[Opened]:
    """Open a file; nothing else that may lie there, such as a pipe, which would be waited for."""
    path = _path(uri)
    read_ns = time.time_ns()
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise _unreadable(error, path) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise PlaceError("this is no file", code="missing")
        fresh = max(status.st_mtime_ns, status.st_ctime_ns) > read_ns - RACY_NS
        yield Opened(status.st_size, _pieces_of_file(descriptor, path, status), "" if fresh else _signature(status))
    finally:
        os.close(descriptor)


def _pieces_of_file(descriptor: int, path: str, before: os.stat_result) -> Iterator[bytes]:
    """Yield a file's bytes; raise where it changed meanwhile."""
    left = before.st_size
    try:
        while left and (data := os.read(descriptor, min(BUFFER_BYTES, left))):
            left -= len(data)
            yield data
    except OSError as error:
        raise _unreadable(error, path) from error
    if _signature(os.fstat(descriptor)) != _signature(before):
        raise PlaceError("changed while it was being read", code="changed-while-reading")


def _signature(status: os.stat_result) -> str:
    """Return what changes when a file's content does."""
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{status.st_ino}:{status.st_dev}"


def _unreadable(error: OSError, path: str) -> PlaceError:
    """Return what is wrong with a file that cannot be opened or read."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return PlaceError("there is no such file", code="missing")
    said = read_error(error, path)
    return PlaceError(said.message, code=said.code, exit_code=said.exit_code)


def _address(uri: str) -> S3Address:
    """Return the address in a physical key, as far as S3 would take it."""
    with suppress(ValueError, UnicodeEncodeError):
        address = S3Address.parse(uri)
        if BUCKET_NAME.fullmatch(address.bucket) and 0 < len(address.key.encode()) <= MAX_KEY_BYTES:
            return address
    raise PlaceError("this is no address of an S3 object", code="not-allowed")


@contextmanager
def _of_one_object(address: S3Address) -> Iterator[None]:
    """Tell what is wrong with one object from what is wrong with S3, the credentials or the network."""
    try:
        with explained(address.uri):
            yield
    except ProvwatchError as error:
        cause = error.__cause__
        if isinstance(cause, Exception) and error_code(cause) in ABSENT:
            which = "version of the object" if address.version else "object"
            raise PlaceError(f"there is no such {which}", code="missing") from error
        answer = (getattr(cause, "response", None) or {}).get("ResponseMetadata", {})
        lasting = isinstance(error, CredentialsError) and error.code != "access-denied"
        if lasting or answer.get("HTTPStatusCode") not in CLIENT_ERRORS:
            raise
        raise PlaceError(error.message, code=error.code, exit_code=error.exit_code) from error


def _pieces(client: Any, address: S3Address, answer: dict[str, Any]) -> Iterator[bytes]:
    """Yield an object's bytes; where the connection ends too early, go on from there.

    What S3 says of the whole object's checksum is not looked at: the entry's own hash decides.
    """
    size, offset, failures, body = answer["ContentLength"], 0, 0, answer["Body"]
    try:
        while offset < size:
            try:
                with explained(address.uri):
                    data = body.read(min(BUFFER_BYTES, size - offset))
            except UnreachableError:
                failures += 1
                if failures == READS:
                    raise
                body.close()
                body = _rest(client, address, answer, offset)
            else:
                offset += len(data)
                failures = 0
                yield data
    finally:
        body.close()


def _rest(client: Any, address: S3Address, answer: dict[str, Any], offset: int) -> Any:
    """Open what is left of an object, provided that it is still the same."""
    with _of_one_object(address):
        rest = client.get_object(**address.parameters, Range=f"bytes={offset}-", IfMatch=answer["ETag"])
    if rest["ContentLength"] != answer["ContentLength"] - offset:
        raise UnreachableError("S3 did not give the part that was asked for", where=address.uri, code="s3-failed")
    return rest["Body"]
