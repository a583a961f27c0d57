"""The tables of the SQLite ledger, and how an older ledger becomes one of today.

The schema version is SQLite's ``user_version``: the number of `MIGRATIONS` that were applied. A step that
was released is never edited; a change is a new step at the end. Plain SQL of SQLite 3.24 (2018), because
clusters run old systems: no generated columns, no RETURNING, no STRICT.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from provwatch.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

APPLICATION_ID = 0x70777463
"""Marks a SQLite file as a ledger (``pwtc``), so that no other program's database is taken for one."""

Migration = tuple[str, ...]

MIGRATIONS: tuple[Migration, ...] = (
    (  # version 1
        f"PRAGMA application_id = {APPLICATION_ID}",
        "CREATE TABLE meta (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL)",
        # `finished` counts the jobs of one package in the order they were done or found to be duplicates,
        # whatever the clock said then; NULL for all others. The long description comes last.
        """
        CREATE TABLE job (
            id TEXT PRIMARY KEY NOT NULL,
            key TEXT NOT NULL UNIQUE,
            source TEXT NOT NULL,
            registry TEXT NOT NULL,
            package TEXT NOT NULL,
            state TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            fence INTEGER NOT NULL,
            owner TEXT NOT NULL,
            lease_until REAL NOT NULL,
            next_at REAL NOT NULL,
            code TEXT NOT NULL,
            reason TEXT NOT NULL,
            probe TEXT NOT NULL,
            fingerprint TEXT NOT NULL,
            top_hash TEXT NOT NULL,
            outcome TEXT NOT NULL,
            first_seen REAL NOT NULL,
            updated REAL NOT NULL,
            finished INTEGER,
            description TEXT NOT NULL
        )
        """,
        "CREATE INDEX job_by_source ON job (source, id)",
        "CREATE INDEX job_by_state ON job (state, id)",
        # For `due`: only what is still to do, so it stays small however long the history grows.
        """
        CREATE INDEX job_open ON job (id)
        WHERE state IN ('claimed', 'incomplete', 'publishing', 'received', 'retry')
        """,
        # For `last_done` and `holder`: the newest is the last entry of its package.
        """
        CREATE UNIQUE INDEX job_finished ON job (registry, package, finished)
        WHERE finished IS NOT NULL
        """,
    ),
)


def upgrade(
    connection: sqlite3.Connection,
    path: Path | None,
    migrations: Sequence[Migration] = MIGRATIONS,
) -> None:
    """Bring a ledger to the version of this code, each step in one transaction, after a backup copy.

    Args:
        connection: the open ledger, in autocommit mode.
        path: its file; None in memory, where there is nothing to back up.
        migrations: all steps since the empty file.

    Raises:
        sqlite3.Error: a step failed; it left no trace, and the backup stays.
    """
    backed_up = path is None
    while _version(connection) < len(migrations):
        with transaction(connection):
            # Asked again under the write lock: another process may have taken the same step meanwhile.
            version = _version(connection)
            if version >= len(migrations):
                return
            if path is not None and version and not backed_up:
                _back_up(path, path.with_name(f"{path.name}.backup-v{version}"))
                backed_up = True
            for statement in migrations[version]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version + 1}")


def refuse_strangers(connection: sqlite3.Connection, where: str, known: int = len(MIGRATIONS)) -> None:
    """Raise ConfigurationError for a database that is not ours to touch.

    Args:
        connection: the open database, in which nothing was changed yet.
        where: its name for the error.
        known: the newest schema version that this code knows.
    """
    # In this order: another process may make the tables, mark included, between the two questions.
    is_empty = connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None
    mark = int(connection.execute("PRAGMA application_id").fetchone()[0])
    if mark != APPLICATION_ID and not (mark == 0 and is_empty):
        message = "This SQLite database belongs to another program"
        hint = "Set PROVWATCH_HOME to a folder of provwatch's own"
        raise ConfigurationError(message, where=where, hint=hint, code="ledger-foreign")
    version = _version(connection)
    if version > known:
        message = f"The ledger has schema version {version}, but this provwatch knows versions up to {known}"
        hint = "Upgrade provwatch, or set PROVWATCH_HOME to another folder to start an empty ledger there"
        raise ConfigurationError(message, where=where, hint=hint, code="ledger-newer")


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """Hold the write lock for a block that happens as a whole, or not at all.

    Args:
        connection: the open ledger, in autocommit mode.
        kind: ``IMMEDIATE`` lets others read meanwhile, ``EXCLUSIVE`` does not.
    """
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has already rolled back by itself after a full disk or an input/output error.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    """Return the number of steps that were applied to a ledger."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _back_up(path: Path, copy: Path) -> None:
    """Copy a ledger as it was before the transaction that holds its write lock.

    The copy is read through a second connection, since SQLite copies nothing from one that is writing.
    """
    partial = copy.with_name(f"{copy.name}.partial")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(partial)) as target:
        source.backup(target)
    partial.replace(copy)
