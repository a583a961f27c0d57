"""Remember which entries of a revision were right, so that a long verification goes on where it was ended."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from provwatch.filesystems import filesystem_type, is_network

FILE = "verified.sqlite"
SAVE_SECONDS = 1.0
KEEP_DAYS = 30
UNUSABLE = (OSError, sqlite3.Error, UnicodeEncodeError)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS verified (
    revision TEXT, logical_key TEXT, physical_key TEXT, identity TEXT,
    seen INTEGER DEFAULT (strftime('%s','now')), PRIMARY KEY (revision, logical_key)
) WITHOUT ROWID
"""


class Checkpoint:
    """The entries of one revision that were right; losing it costs time only."""

    def __init__(self, home: Path | None, revision: str) -> None:
        """Open what is remembered.

        Args:
            home: provwatch's home; None, or one that cannot be written, means that nothing is remembered.
            revision: registry, package and top hash.
        """
        self._revision = revision
        self._connection = _open(home)
        self._pending: list[tuple[str, str, str, str]] = []
        self._saved = time.monotonic()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Write out and close, however it ended."""
        self.save()
        self._connection.close()

    def identities(self) -> dict[tuple[str, str], str]:
        """Return what identified the bytes of each entry that was right, by logical and physical key."""
        query = "SELECT logical_key, physical_key, identity FROM verified WHERE revision = ?"
        try:
            return {(row[0], row[1]): row[2] for row in self._connection.execute(query, (self._revision,))}
        except UNUSABLE:
            return {}

    def keep(self, logical_key: str, physical_key: str, identity: str) -> None:
        """Remember that an entry is right; written out every second."""
        self._pending.append((self._revision, logical_key, physical_key, identity))
        if time.monotonic() - self._saved >= SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Write out what is remembered."""
        statement = "INSERT OR REPLACE INTO verified (revision,logical_key,physical_key,identity) VALUES (?,?,?,?)"
        self._write(statement, self._pending)
        self._pending, self._saved = [], time.monotonic()

    def forget(self) -> None:
        """Forget this revision, and what nobody went on with for a month."""
        self._pending = []
        self._write("DELETE FROM verified WHERE revision = ?", [(self._revision,)])
        self._write("DELETE FROM verified WHERE seen < strftime('%s','now') - ?", [(KEEP_DAYS * 86_400,)])

    def _write(
        self, statement: str, rows: list[tuple[str, str, str, str]] | list[tuple[str]] | list[tuple[int]]
    ) -> None:
        """Write rows; what cannot be written is done without."""
        try:
            with self._connection:
                self._connection.executemany(statement, rows)
        except UNUSABLE:
            pass


def _open(home: Path | None) -> sqlite3.Connection:
    """Open or make the database; fall back to memory."""
    if home is not None:
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            connection = sqlite3.connect(home / FILE, timeout=5.0)
            connection.execute(f"PRAGMA journal_mode={'DELETE' if is_network(filesystem_type(home)) else 'WAL'}")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(_SCHEMA)
        except UNUSABLE:
            pass
        else:
            return connection
    connection = sqlite3.connect(":memory:")
    connection.execute(_SCHEMA)
    return connection
