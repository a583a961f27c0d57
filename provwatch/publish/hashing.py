"""Quilt's content hash of local files: parallel, in flat memory, and not at all where it is known.

Algorithm ``sha2-256-chunked``: SHA-256 of the SHA-256 digests of 8 MiB parts; the parts double in size
while there are more than 10,000 (https://github.com/quiltdata/quilt/blob/master/docs/CHUNKED_CHECKSUMS.md).
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from provwatch.errors import PackagingError
from provwatch.publish.entries import SourceFile, read_error

PART_BYTES = 8 * 1024 * 1024
MAX_PARTS = 10_000
BUFFER_BYTES = 128 * 1024  # what stays in a core's cache is copied and hashed for a third of the system time
BATCH_FILES = 128
BATCH_BYTES = 64 * 1024 * 1024
PARTS_PER_JOB = 8

Progress = Callable[[int], None]
_local = threading.local()


@dataclass(frozen=True, slots=True)
class Digest:
    """The hashes of one file's content.

    Attributes:
        quilt: base64 of ``sha2-256-chunked``.
        sha256: hex of the plain SHA-256, or "" where it was not asked for and does not come for free.
    """

    quilt: str
    sha256: str = ""


class ChangedError(PackagingError):
    """A file changed while it was being read."""

    code = "changed-while-reading"


def part_bytes(size: int) -> int:
    """Return the size of the parts that a file of this size is hashed in."""
    part = PART_BYTES
    while -(-size // part) > MAX_PARTS:
        part *= 2
    return part


def digest_bytes(data: bytes) -> Digest:
    """Return the hashes of some bytes."""
    size = part_bytes(len(data))
    parts = [hashlib.sha256(data[start : start + size]).digest() for start in range(0, len(data), size)]
    return Digest(combine(parts), hashlib.sha256(data).hexdigest())


def combine(parts: list[bytes]) -> str:
    """Return Quilt's hash from the digests of a file's parts; an empty file has none."""
    return base64.b64encode(hashlib.sha256(b"".join(parts)).digest()).decode()


def hash_files(
    files: Iterable[SourceFile], *, threads: int = 0, progress: Progress | None = None
) -> Iterator[tuple[SourceFile, Digest]]:
    """Hash files in parallel, yielding each as soon as it is done; no more than a few jobs are queued.

    Args:
        files: the files, in any order.
        threads: how many to read with; by default one a core.
        progress: called with the number of bytes read, from any thread.

    Raises:
        ChangedError: a file is not what the scan saw any more.
        ProvwatchError: a file cannot be read.
    """
    count = threads or os.cpu_count() or 1
    tell = progress or (lambda _count: None)
    waiting: deque[Future[list[tuple[SourceFile, Digest]]]] = deque()
    with ThreadPoolExecutor(count, thread_name_prefix="hash") as pool:
        try:
            for batch in _batches(files):
                if len(batch) == 1 and batch[0].size > PART_BYTES:
                    while waiting:
                        yield from waiting.popleft().result()
                    yield batch[0], _hash_large(batch[0], pool, count, tell)
                    continue
                waiting.append(pool.submit(_hash_batch, batch, tell))
                if len(waiting) > 2 * count:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _batches(files: Iterable[SourceFile]) -> Iterator[list[SourceFile]]:
    """Group small files, so that a task is worth its overhead; a large file is a group of its own."""
    batch: list[SourceFile] = []
    size = 0
    for file in files:
        if file.size > PART_BYTES:
            yield [file]
            continue
        batch.append(file)
        size += file.size
        if len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _hash_batch(batch: list[SourceFile], tell: Progress) -> list[tuple[SourceFile, Digest]]:
    """Hash files of one part each."""
    hashed = []
    for file in batch:
        hashed.append((file, _hash_small(file)))
        tell(file.size)
    return hashed


def _hash_small(file: SourceFile) -> Digest:
    """Hash a file of at most one part, whose plain SHA-256 comes for free."""
    descriptor = _open(file)
    try:
        _check(file, os.fstat(descriptor))
        digest = _hash_range(descriptor, 0, file.size, file)
        _check(file, os.fstat(descriptor))
    finally:
        os.close(descriptor)
    return Digest(combine([digest] if file.size else []), digest.hex())


def _hash_large(file: SourceFile, pool: ThreadPoolExecutor, count: int, tell: Progress) -> Digest:
    """Hash the parts of one large file with all threads."""
    size = part_bytes(file.size)
    step = size * PARTS_PER_JOB
    descriptor = _open(file)
    waiting: deque[Future[list[bytes]]] = deque()
    parts: list[bytes] = []
    try:
        _check(file, os.fstat(descriptor))
        for start in range(0, file.size, step):
            end = min(start + step, file.size)
            waiting.append(pool.submit(_hash_parts, descriptor, start, end, size, file, tell))
            if len(waiting) > 2 * count:
                parts += waiting.popleft().result()
        while waiting:
            parts += waiting.popleft().result()
        _check(file, os.fstat(descriptor))
    finally:
        for future in waiting:
            future.cancel()
        for future in waiting:
            if not future.cancelled():
                future.exception()
        os.close(descriptor)
    return Digest(combine(parts))


def _hash_parts(descriptor: int, start: int, end: int, size: int, file: SourceFile, tell: Progress) -> list[bytes]:
    """Hash a run of parts."""
    digests = []
    for offset in range(start, end, size):
        stop = min(offset + size, end)
        digests.append(_hash_range(descriptor, offset, stop, file))
        tell(stop - offset)
    return digests


def _hash_range(descriptor: int, start: int, end: int, file: SourceFile) -> bytes:
    """Return the SHA-256 of a range of bytes, read through one buffer a thread."""
    if not hasattr(_local, "buffer"):
        _local.buffer = memoryview(bytearray(BUFFER_BYTES))
    buffer: memoryview = _local.buffer
    hasher = hashlib.sha256()
    offset = start
    while offset < end:
        try:
            count = os.preadv(descriptor, [buffer[: min(BUFFER_BYTES, end - offset)]], offset)
        except OSError as error:
            raise read_error(error, file.path) from error
        if count == 0:
            raise ChangedError("became shorter while it was being read", where=file.path)
        hasher.update(buffer[:count])
        offset += count
    return hasher.digest()


def _open(file: SourceFile) -> int:
    """Open a file for reading."""
    try:
        return os.open(file.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise read_error(error, file.path) from error


def _check(file: SourceFile, status: os.stat_result) -> None:
    """Refuse a file that is not what the scan saw."""
    seen = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)
    if seen != file.signature:
        raise ChangedError("changed while it was being read", where=file.path, hint="Is the run still writing?")
