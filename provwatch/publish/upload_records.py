"""Remember what was uploaded for packages that are not made yet, so that a killed run is picked up where it was.

One SQLite file in provwatch's home. Losing it costs uploads, never correctness. Each process that uploads holds a lock
file, which the end of the process gives back however it ends: so others see whose uploads are abandoned.
"""

from __future__ import annotations

import sqlite3
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provwatch.filesystems import filesystem_type, is_network

FILE = "uploads.sqlite"
LOCKS = "uploads"
KEEP_DAYS = 30
_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    store TEXT, bucket TEXT, key TEXT, quilt TEXT, size INTEGER, version TEXT, etag TEXT,
    seen INTEGER DEFAULT (strftime('%s','now')), PRIMARY KEY (store, bucket, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS multiparts (
    store TEXT, bucket TEXT, key TEXT, upload TEXT, quilt TEXT, size INTEGER, owner TEXT,
    PRIMARY KEY (store, bucket, key, owner)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rates (store TEXT, bucket TEXT, rate REAL, PRIMARY KEY (store, bucket)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """An object that was uploaded: its version, "" where the bucket has none, and its ETag."""

    version: str
    etag: str


@dataclass(frozen=True, slots=True)
class Multipart:
    """A multipart upload that was begun; ``upload`` is "" where its process died before it knew the id."""

    key: str
    upload: str
    quilt: str
    size: int
    owner: str


class UploadRecords:
    """What was uploaded to one bucket of one store and belongs to no package yet."""

    def __init__(self, home: Path | None, store: str, bucket: str) -> None:
        """Open the records in a home, or in memory where it is None or cannot be written.

        Args:
            home: provwatch's home.
            store: URL of the S3 service.
            bucket: name of the bucket.
        """
        self._place = (store, bucket)
        self._home = home
        self._owner = uuid.uuid4().hex
        self._lock_file: Any = None
        self._lock = threading.Lock()
        self._connection = _open(home)

    def close(self) -> None:
        """Close, and give back this process's lock."""
        self._connection.close()
        if self._lock_file is not None:
            self._lock_file.close()
            Path(self._lock_file.name).unlink(missing_ok=True)

    def uploaded(self, key: str, quilt: str, size: int) -> Uploaded | None:
        """Return what was uploaded under a key with this content, or None."""
        query = "SELECT version, etag FROM objects WHERE (store, bucket, key, quilt, size) = (?,?,?,?,?)"
        row = self._run(query, (*self._place, key, quilt, size))
        return Uploaded(*row[0]) if row else None

    def keep(self, key: str, quilt: str, size: int, uploaded: Uploaded) -> None:
        """Remember an object; called from any thread, as soon as S3 has confirmed it."""
        row = (*self._place, key, quilt, size, uploaded.version, uploaded.etag)
        self._run(
            "INSERT OR REPLACE INTO objects (store,bucket,key,quilt,size,version,etag) VALUES (?,?,?,?,?,?,?)", row
        )

    def forget(self, keys: list[str]) -> None:
        """Forget objects that a package holds now, and those of packages that nobody made for a month."""
        query = "DELETE FROM objects WHERE (store, bucket, key) = (?,?,?)"
        self._run(query, *((*self._place, key) for key in keys))
        self._run("DELETE FROM objects WHERE seen < strftime('%s','now') - ?", (KEEP_DAYS * 86_400,))

    def begin(self, key: str, quilt: str, size: int) -> None:
        """Remember that a multipart upload is about to begin."""
        self._hold_lock()
        row = (*self._place, key, "", quilt, size, self._owner)
        self._run("INSERT OR REPLACE INTO multiparts VALUES (?,?,?,?,?,?,?)", row)

    def began(self, key: str, upload: str) -> None:
        """Remember the id of the multipart upload that was begun."""
        where = (upload, *self._place, key, self._owner)
        self._run("UPDATE multiparts SET upload = ? WHERE (store, bucket, key, owner) = (?,?,?,?)", where)

    def ended(self, key: str, owner: str = "") -> None:
        """Forget a multipart upload that was completed or aborted."""
        where = (*self._place, key, owner or self._owner)
        self._run("DELETE FROM multiparts WHERE (store, bucket, key, owner) = (?,?,?,?)", where)

    def abandoned(self) -> list[Multipart]:
        """Return the multipart uploads of processes that have ended."""
        query = "SELECT key, upload, quilt, size, owner FROM multiparts WHERE (store, bucket) = (?,?) AND owner <> ?"
        found = [Multipart(*row) for row in self._run(query, (*self._place, self._owner))]
        dead = {owner for owner in {one.owner for one in found} if _has_ended(self._home, owner)}
        return [one for one in found if one.owner in dead]

    def rate(self) -> float:
        """Return the bytes a second that the last upload reached, 0 where there was none."""
        rows = self._run("SELECT rate FROM rates WHERE (store, bucket) = (?,?)", self._place)
        return float(rows[0][0]) if rows else 0.0

    def keep_rate(self, rate: float) -> None:
        """Remember the bytes a second that an upload reached."""
        self._run("INSERT OR REPLACE INTO rates VALUES (?,?,?)", (*self._place, rate))

    def known(self, key: str) -> set[str]:
        """Return the ids of all multipart uploads to a key that anybody remembers."""
        query = "SELECT upload FROM multiparts WHERE (store, bucket, key) = (?,?,?) AND upload <> ''"
        return {row[0] for row in self._run(query, (*self._place, key))}

    def take(self, left: Multipart) -> bool:
        """Go on with somebody else's multipart upload; False where another process was quicker."""
        self._hold_lock()
        where = (self._owner, *self._place, left.key, left.owner)
        query = "UPDATE OR REPLACE multiparts SET owner = ? WHERE (store, bucket, key, owner) = (?,?,?,?) RETURNING 1"
        return bool(self._run(query, where))

    def _hold_lock(self) -> None:
        """Take this process's lock, unless it has it."""
        with self._lock:  # a second try beside the first would fail, and let go of what the first one holds
            if self._lock_file is None:
                self._lock_file = _take_lock(self._home, self._owner)

    def _run(self, statement: str, *values: tuple[Any, ...]) -> list[Any]:
        """Run one statement with each of some values and commit; where the file fails, go on in memory."""
        with self._lock:
            try:
                return self._run_once(statement, values)
            except sqlite3.Error:  # the disk is full, or somebody took the file away: that costs uploads, no more
                self._connection.close()
                self._connection = _open(None)
                return self._run_once(statement, values)

    def _run_once(self, statement: str, values: tuple[tuple[Any, ...], ...]) -> list[Any]:
        """Run one statement with each of some values and commit."""
        rows = [row for one in values for row in self._connection.execute(statement, one).fetchall()]
        self._connection.commit()
        return rows


def _open(home: Path | None) -> sqlite3.Connection:
    """Open or make the records; fall back to memory."""
    if home is not None:
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            connection = sqlite3.connect(home / FILE, timeout=30.0, check_same_thread=False)
            connection.execute(f"PRAGMA journal_mode={'DELETE' if is_network(filesystem_type(home)) else 'WAL'}")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.executescript(_SCHEMA)
        except (OSError, sqlite3.Error):
            pass
        else:
            return connection
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.executescript(_SCHEMA)
    return connection


def _take_lock(home: Path | None, owner: str) -> Any:
    """Make and hold this process's lock file; None where there is no place for one."""
    if home is None:
        return None
    try:
        import fcntl  # noqa: PLC0415 - not there on Windows

        (home / LOCKS).mkdir(parents=True, exist_ok=True)
        file = (home / LOCKS / owner).open("w")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return None
    return file


def _has_ended(home: Path | None, owner: str) -> bool:
    """Say whether the process that holds a lock file has ended; one whose file is gone has."""
    if home is None:
        return False
    path = home / LOCKS / owner
    try:
        import fcntl  # noqa: PLC0415 - not there on Windows

        with path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except (ImportError, OSError):
        return False
    path.unlink(missing_ok=True)
    return True
