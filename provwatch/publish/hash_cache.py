"""Remember the hashes of files that have not changed since they were read; losing it costs time only."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from provwatch.filesystems import filesystem_type, is_network
from provwatch.publish.entries import SourceFile
from provwatch.publish.hashing import Digest

RACY_NS = 2_000_000_000
CHECKPOINT_SECONDS = 1.0
CHECKPOINT_BYTES = 256 * 1024 * 1024
LOOKUP_KEYS = 500
UNUSABLE = (sqlite3.Error, UnicodeEncodeError, OverflowError)
"""What SQLite raises for a broken file, a path that is not UTF-8 and an inode number beyond 63 bits."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS hashes (
    path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER, device INTEGER,
    read_ns INTEGER, quilt TEXT, sha256 TEXT, searched TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID
"""
_KEEP = """
INSERT INTO hashes VALUES (?,?,?,?,?,?,?,?,?,'') ON CONFLICT(path) DO UPDATE SET
    searched = CASE WHEN (size, mtime_ns, ctime_ns, inode, device, read_ns)
        = (excluded.size, excluded.mtime_ns, excluded.ctime_ns, excluded.inode, excluded.device, excluded.read_ns)
        THEN searched ELSE '' END,
    size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns, inode = excluded.inode,
    device = excluded.device, read_ns = excluded.read_ns, quilt = excluded.quilt, sha256 = excluded.sha256
"""
_MARK = """
UPDATE hashes SET searched = ?
WHERE (path, size, mtime_ns, ctime_ns, inode, device) = (?, ?, ?, ?, ?, ?)
"""


class HashCache:
    """Hashes by path and stat signature, in one SQLite file.

    A file whose time stamps are within two seconds of the reading is not trusted the next time: it
    could have changed again without looking any different.
    """

    def __init__(self, path: Path | None, *, read_only: bool = False) -> None:
        """Open the cache at *path*; None, or a file that cannot be used, means an empty one in memory.

        Args:
            path: the file, made when absent.
            read_only: leave no trace on disk, not even SQLite's own files; what is learned is forgotten.
        """
        self._connection = _open(path, read_only=read_only)
        self._pending: list[tuple[object, ...]] = []
        self._marks: list[tuple[object, ...]] = []
        self._pending_bytes = 0
        self._saved = time.monotonic()

    def known(self, files: Iterable[SourceFile]) -> Iterator[tuple[SourceFile, Digest | None]]:
        """Yield each file with its hashes, or with None where it has to be read."""
        batch: list[SourceFile] = []
        for file in files:
            batch.append(file)
            if len(batch) == LOOKUP_KEYS:
                yield from self._lookup(batch)
                batch = []
        if batch:
            yield from self._lookup(batch)

    def searched(self, files: Sequence[SourceFile]) -> dict[str, str]:
        """Return what files were searched for secrets with when they were found clean, by real path."""
        found = {}
        for start in range(0, len(files), LOOKUP_KEYS):
            for file, row in self._rows(files[start : start + LOOKUP_KEYS]):
                if row is not None and row[9]:
                    found[file.target] = row[9]
        return found

    def mark_searched(self, file: SourceFile, version: str) -> None:
        """Remember that a file holds no secret, looked for with this version of the rules and values."""
        self._marks.append((version, file.target, *file.signature))

    def _lookup(self, batch: list[SourceFile]) -> Iterator[tuple[SourceFile, Digest | None]]:
        """Look up one batch with one query."""
        for file, row in self._rows(batch):
            yield file, Digest(row[7], row[8]) if row is not None else None

    def _rows(self, batch: Sequence[SourceFile]) -> Iterator[tuple[SourceFile, tuple[Any, ...] | None]]:
        """Yield each file with what is remembered of it, or with None where that is not to be trusted."""
        marks = ",".join("?" * len(batch))
        query = f"SELECT * FROM hashes WHERE path IN ({marks})"  # noqa: S608 - only question marks are put in
        try:
            rows = {row[0]: row for row in self._connection.execute(query, [file.target for file in batch])}
        except UNUSABLE:
            rows = {}
        for file in batch:
            row = rows.get(file.target)
            trusted = row is not None and tuple(row[1:6]) == file.signature and not _is_racy(file, row[6])
            yield file, row if trusted else None

    def keep(self, file: SourceFile, digest: Digest, *, read_ns: int) -> None:
        """Remember a file's hashes; written out file by file for large ones, every second for small ones.

        Args:
            file: the file as the scan saw it.
            digest: its hashes.
            read_ns: when reading began, nanoseconds since 1970.
        """
        self._pending.append((file.target, *file.signature, read_ns, digest.quilt, digest.sha256))
        self._pending_bytes += file.size
        due = time.monotonic() - self._saved >= CHECKPOINT_SECONDS
        if due or self._pending_bytes >= CHECKPOINT_BYTES:
            self.save()

    def save(self) -> None:
        """Write out what is remembered; a cache that cannot be written is done without."""
        if self._pending or self._marks:
            try:
                with self._connection:
                    self._connection.executemany(_KEEP, self._pending)
                    self._connection.executemany(_MARK, self._marks)
            except UNUSABLE:
                pass
        self._pending, self._marks, self._pending_bytes, self._saved = [], [], 0, time.monotonic()

    def close(self) -> None:
        """Write out and close."""
        self.save()
        self._connection.close()


def _is_racy(file: SourceFile, read_ns: int) -> bool:
    """Say whether the file was so fresh when it was read that a later change may not show."""
    return max(file.mtime_ns, file.ctime_ns) > read_ns - RACY_NS


def _open(path: Path | None, *, read_only: bool) -> sqlite3.Connection:
    """Open or make the database; fall back to memory."""
    if path is not None:
        try:
            return _open_unchanged(path) if read_only else _open_file(path)
        except (OSError, sqlite3.Error):
            pass
    connection = sqlite3.connect(":memory:")
    connection.execute(_SCHEMA)
    return connection


def _open_file(path: Path) -> sqlite3.Connection:
    """Open or make the database file."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    connection = sqlite3.connect(path, timeout=5.0)
    try:
        connection.execute(f"PRAGMA journal_mode={'DELETE' if is_network(filesystem_type(path)) else 'WAL'}")
        connection.execute("PRAGMA synchronous=NORMAL")
        if "searched" not in {row[1] for row in connection.execute("PRAGMA table_info(hashes)")}:
            connection.execute("DROP TABLE IF EXISTS hashes")  # of an older provwatch; it costs one more reading
        connection.execute(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _open_unchanged(path: Path) -> sqlite3.Connection:
    """Open the database file for reading; ``immutable`` keeps SQLite from making files beside it."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        connection.execute("SELECT searched FROM hashes LIMIT 1")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
