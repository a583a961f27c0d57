"""Opens the file of a SQLite ledger: private, durable, and with locks that fit its file system.

On a local disk many processes share it through a write-ahead log. On a network file system that log would
lose data, so there it has a rollback journal, one process at a time holds it, and one host owns it.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from provwatch.errors import ConfigurationError, ProvwatchError
from provwatch.filesystems import filesystem_type, is_network
from provwatch.ledger.schema import Migration, refuse_strangers, transaction, upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MEMORY = ":memory:"
BUSY_SECONDS = 30.0
_RETRY_SECONDS = 0.02

_LOCAL_DISK = "Set PROVWATCH_HOME to a folder on a local disk"

_CREATING = threading.Lock()


class _Problem(NamedTuple):
    """What an error of SQLite means for the person who reads it."""

    kind: type[ProvwatchError]
    code: str
    message: str
    hint: str


_BUSY = _Problem(
    ProvwatchError,
    "ledger-busy",
    "Another process is using the ledger and did not let go of it",
    "Try again when it is finished; on a network file system, where only one process at a time can use it, "
    "set PROVWATCH_HOME to a folder on a local disk",
)
_BROKEN = _Problem(
    ConfigurationError,
    "ledger-broken",
    "The ledger is damaged, or the file is no ledger",
    "Move it away to start again: without its ledger provwatch looks at more, but packages nothing twice",
)
_UNWRITABLE = _Problem(
    ConfigurationError,
    "ledger-unwritable",
    "The ledger cannot be opened for writing",
    "Check who may write to the file and its folder, or set PROVWATCH_HOME to a folder of your own",
)
_FULL = _Problem(
    ProvwatchError,
    "ledger-full",
    "The disk is full, so the ledger cannot record anything",
    "Free some space, or set PROVWATCH_HOME to a folder on another disk",
)
_DISK = _Problem(
    ProvwatchError,
    "ledger-disk",
    "The disk failed while the ledger was read or written",
    f"Look for a quota or a limit on file sizes that is used up. {_LOCAL_DISK}",
)

_PROBLEMS: dict[int, _Problem] = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_PROTOCOL: _BUSY,
    sqlite3.SQLITE_CORRUPT: _BROKEN,
    sqlite3.SQLITE_NOTADB: _BROKEN,
    sqlite3.SQLITE_FORMAT: _BROKEN,
    sqlite3.SQLITE_READONLY: _UNWRITABLE,
    sqlite3.SQLITE_CANTOPEN: _UNWRITABLE,
    sqlite3.SQLITE_PERM: _UNWRITABLE,
    sqlite3.SQLITE_AUTH: _UNWRITABLE,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR: _DISK,
    sqlite3.SQLITE_NOLFS: _DISK,
}


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn an error of SQLite within a block into the sentence for it; our own mistakes stay as they are."""
    try:
        yield
    except sqlite3.Error as error:
        primary = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the higher bits tell variants apart
        problem = _PROBLEMS.get(primary)
        if problem is None:
            raise
        message = f"{problem.message} ({error})"
        raise problem.kind(message, where=where, hint=problem.hint, code=problem.code) from error


def open_ledger(
    path: Path | None,
    *,
    network: bool | None,
    host: str,
    busy_seconds: float,
    migrations: Sequence[Migration],
) -> sqlite3.Connection:
    """Open a ledger that any thread may use, one at a time; create or upgrade it where needed.

    Args:
        path: the file, absolute; None keeps the ledger in memory.
        network: whether the file lies on a network file system; None finds out.
        host: the name of this machine.
        busy_seconds: how long to wait for another process to let go of the ledger.
        migrations: the steps to today's tables.

    Raises:
        ConfigurationError: it cannot be created or written, is damaged, newer, or another host's.
        ProvwatchError: another process does not let go of it (``ledger-busy``), or the disk is full.
    """
    if path is not None:
        _create(path)
        if network is None:
            network = is_network(filesystem_type(path))
    connection = sqlite3.connect(
        path or MEMORY,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        refuse_strangers(connection, str(path or MEMORY), len(migrations))
        if path is not None:
            _set_journal(connection, "delete" if network else "wal", busy_seconds)
            connection.execute("PRAGMA synchronous = FULL")
        upgrade(connection, path, migrations)
        if path is not None and network:
            _own(connection, path, host)
    except BaseException:
        connection.close()
        raise
    return connection


def _create(path: Path) -> None:
    """Make the file and the folders that are missing, for this user only; an existing one stays as it is.

    A file that exists is not even opened, and a new one only by one thread, because closing it again drops
    the locks that this process holds on it through SQLite (https://sqlite.org/howtocorrupt.html, 2.2).
    """
    try:
        with _CREATING:
            for folder in reversed(path.parents):
                if not folder.is_dir():
                    folder.mkdir(mode=0o700, exist_ok=True)
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return  # another process was faster, or SQLite will say what is in the way
    except OSError as error:
        message = f"The ledger cannot be created: {error.strerror}"
        raise ConfigurationError(
            message,
            where=str(path),
            hint=_UNWRITABLE.hint,
            code=_UNWRITABLE.code,
        ) from error


def _set_journal(connection: sqlite3.Connection, mode: str, busy_seconds: float) -> None:
    """Set the journal mode, with patience: SQLite does not wait here when others open the file as well."""
    give_up = time.monotonic() + busy_seconds
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != mode:
                connection.execute(f"PRAGMA journal_mode = {mode}")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return


def _own(connection: sqlite3.Connection, path: Path, host: str) -> None:
    """Hold the ledger until it is closed, or raise ConfigurationError when it is another host's.

    The mode is set with the lock in hand: of two connections that set it before, each would keep its lock for
    readers while it waits for the other's. It comes after the upgrade, whose backup is a second connection.
    """
    with transaction(connection, "EXCLUSIVE"):
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('host', ?)", (host,))
        owner = connection.execute("SELECT value FROM meta WHERE name = 'host'").fetchone()[0]
    if owner != host:
        message = f"The ledger lies on a network file system and belongs to {owner}, but this is {host}"
        raise ConfigurationError(
            message,
            where=str(path),
            hint=f"{_LOCAL_DISK} of {host}",
            code="ledger-host",
        )
