"""The ledger in one SQLite file, for all threads and processes of one machine."""

from __future__ import annotations

import os
import platform
import threading
import time
from contextlib import contextmanager
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

from provwatch.ledger import EMITTED, OPEN, Claim, Facts, Job, NewJob, State, rules
from provwatch.ledger.opening import BUSY_SECONDS, MEMORY, explained, open_ledger
from provwatch.ledger.schema import MIGRATIONS, Migration, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from types import TracebackType

PAGE_ROWS = 200
"""How many jobs `SqliteLedger.jobs` reads at once; between two pages others may write."""

_NAMES = tuple(field.name for field in fields(Job))
_values = attrgetter(*_NAMES)
_COLUMNS = ", ".join(_NAMES)
_SELECT = f"SELECT {_COLUMNS} FROM job "  # noqa: S608 - these are our own names, as in the next two
_INSERT = f"INSERT INTO job ({_COLUMNS}) VALUES ({', '.join('?' * len(_NAMES))}) ON CONFLICT DO NOTHING"  # noqa: S608
_UPDATE = f"UPDATE job SET {', '.join(f'{name} = ?' for name in _NAMES)} WHERE id = ?"  # noqa: S608
_FINISH = """
    UPDATE job SET finished = 1 + (
        SELECT coalesce(max(finished), 0) FROM job WHERE registry = ? AND package = ? AND finished IS NOT NULL
    ) WHERE id = ?
"""
_OPEN = ", ".join(f"'{state}'" for state in sorted(OPEN))
_DUE = f"INDEXED BY job_open WHERE state IN ({_OPEN}) AND max(next_at, lease_until) <= ? ORDER BY id LIMIT ?"
_NEWEST_BY_SOURCE, _NEWEST_BY_STATE = (
    f"WHERE registry = ? AND package = ? AND finished IS NOT NULL AND {wanted} ORDER BY finished DESC LIMIT 1"
    for wanted in ("source = ?", f"state = ? AND outcome <> '{EMITTED}'")
)
_AFTER_ALL_IDS = "\U0010ffff"


class SqliteLedger:
    """A `provwatch.ledger.Ledger` in a SQLite file; threads may share it, a forked process opens its own.

    Args:
        path: the file, made with its folders when absent; ``:memory:`` forgets everything when closed.
        clock: the time in unix seconds.
        owner: who claims, ``host:pid`` by default.
        host: the name of this machine, asked of the system by default.
        network: whether the file lies on a network file system; found out by default.
        busy_seconds: how long to wait for another process to let go of the ledger.
        migrations: the steps to today's tables.

    Raises:
        ConfigurationError: the ledger cannot be created or written (code ``ledger-unwritable``), is damaged
            (``ledger-broken``), of another program (``ledger-foreign``), of a newer provwatch
            (``ledger-newer``) or of another host (``ledger-host``).
        ProvwatchError: here and in every method: another process does not let go of the ledger
            (``ledger-busy``), the disk is full (``ledger-full``) or fails (``ledger-disk``).
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Callable[[], float] = time.time,
        owner: str = "",
        host: str = "",
        network: bool | None = None,
        busy_seconds: float = BUSY_SECONDS,
        migrations: Sequence[Migration] = MIGRATIONS,
    ) -> None:
        """Open the ledger, and create or upgrade it where needed."""
        file = None if os.fspath(path) == MEMORY else Path(path).absolute()
        host = host or platform.node() or "localhost"
        self._where = str(file or MEMORY)
        self._clock = clock
        self._owner = owner or f"{host}:{os.getpid()}"
        self._ids = rules.IdMaker()
        self._lock = threading.Lock()
        with explained(self._where):
            self._connection = open_ledger(
                file,
                network=network,
                host=host,
                busy_seconds=busy_seconds,
                migrations=migrations,
            )

    def receive(self, jobs: Sequence[NewJob]) -> list[Job]:
        """Record new jobs in one transaction; see `Ledger.receive`."""
        if not jobs:
            return []
        with self._writing() as now:
            return [self._receive_one(new, now) for new in jobs]

    def claim(self, job_id: str, lease_seconds: float) -> Claim | None:
        """Take a job for some seconds; see `Ledger.claim`."""
        with self._writing() as now:
            job = self._find(job_id)
            job = job and rules.claimed(job, self._owner, now, lease_seconds)
            return Claim(job.id, self._store(job).fence) if job else None

    def renew(self, claim: Claim, lease_seconds: float) -> None:
        """Hold a job for longer; see `Ledger.renew`."""
        with self._writing() as now:
            self._store(rules.renewed(self._find(claim.job_id), claim, now, lease_seconds))

    def move(self, claim: Claim, state: State, **facts: Unpack[Facts]) -> Job:
        """Record what became of a job; see `Ledger.move`."""
        with self._writing() as now:
            job = self._store(rules.moved(self._find(claim.job_id), claim, state, now, facts))
            if rules.finished(job):
                self._connection.execute(_FINISH, (job.registry, job.package, job.id))
            return job

    def job(self, job_id: str) -> Job | None:
        """Return the job whose id is this or begins so; see `Ledger.job`."""
        if not job_id:
            return None
        with self._reading():
            found = self._select("WHERE id >= ? AND id < ? ORDER BY id LIMIT 2", job_id, job_id + _AFTER_ALL_IDS)
        return rules.only_one(job_id, found)

    def jobs(
        self,
        *,
        states: Collection[State] = (),
        source: str | None = None,
        since: float | None = None,
        limit: int | None = None,
        newest_first: bool = True,
    ) -> Iterator[Job]:
        """Stream jobs page by page, so that a slow reader holds up no writer; see `Ledger.jobs`."""
        wanted: dict[str, Sequence[object]] = {}
        if states:
            wanted[f"state IN ({', '.join('?' * len(states))})"] = tuple(states)
        if source is not None:
            wanted["source = ?"] = (source,)
        if since is not None:
            wanted["updated >= ?"] = (since,)
        beyond, order = ("id < ?", "DESC") if newest_first else ("id > ?", "ASC")
        last_id = _AFTER_ALL_IDS if newest_first else ""
        tail = f"WHERE {' AND '.join([*wanted, beyond])} ORDER BY id {order} LIMIT ?"
        values = [value for group in wanted.values() for value in group]
        left = limit
        while left is None or left > 0:
            rows = PAGE_ROWS if left is None else min(left, PAGE_ROWS)
            with self._reading():
                page = self._select(tail, *values, last_id, rows)
            yield from page
            if len(page) < rows:
                return
            last_id = page[-1].id
            left = None if left is None else left - rows

    def last_done(self, source: str, registry: str, package: str) -> Job | None:
        """Return the job that last brought a source into a package; see `Ledger.last_done`."""
        with self._reading():
            found = self._select(_NEWEST_BY_SOURCE, registry, package, source)
        return found[0] if found else None

    def holder(self, registry: str, package: str) -> str | None:
        """Return the source that last made a revision of a package; see `Ledger.holder`."""
        with self._reading():
            found = self._select(_NEWEST_BY_STATE, registry, package, State.DONE)
        return found[0].source if found else None

    def due(self, limit: int) -> list[Job]:
        """Return jobs that could be claimed now; see `Ledger.due`."""
        with self._reading():
            return self._select(_DUE, self._clock(), limit)

    def retry_now(self, job_id: str) -> Job:
        """Let a job be claimed again at once; see `Ledger.retry_now`."""
        with self._writing() as now:
            return self._store(rules.retried(self._find(job_id), job_id, now))

    def forget(self, job_id: str) -> bool:
        """Remove a job; see `Ledger.forget`."""
        with self._writing():
            return self._connection.execute("DELETE FROM job WHERE id = ?", (job_id,)).rowcount > 0

    def close(self) -> None:
        """Let go of the file; closing twice does no harm."""
        with self._lock, explained(self._where):
            self._connection.close()

    def __enter__(self) -> Self:
        """Return the ledger itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the ledger."""
        self.close()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Have the connection to oneself."""
        with self._lock, explained(self._where):
            yield

    @contextmanager
    def _writing(self) -> Iterator[float]:
        """Have the ledger to oneself for one transaction, and the time at which it happens.

        What is read within is still true when it is written, so it is all the compare-and-set it takes.
        """
        with self._reading(), transaction(self._connection):
            yield self._clock()

    def _receive_one(self, new: NewJob, now: float) -> Job:
        """Return the job of a key, made now unless it exists; again if its id was taken, one in a million."""
        while not (found := self._select("WHERE key = ?", new.key)):
            job = rules.received(new, self._ids.make(now), now)
            if self._connection.execute(_INSERT, _values(job)).rowcount:
                return job
        return found[0]

    def _find(self, job_id: str) -> Job | None:
        """Return the job with exactly this id."""
        found = self._select("WHERE id = ?", job_id)
        return found[0] if found else None

    def _store(self, job: Job) -> Job:
        """Write a job over the one with its id, and return it."""
        self._connection.execute(_UPDATE, (*_values(job), job.id))
        return job

    def _select(self, tail: str, *values: object) -> list[Job]:
        """Return the jobs that the rest of a query chooses."""
        texts = (rules.plain(value) if isinstance(value, str) else value for value in values)
        rows = self._connection.execute(_SELECT + tail, tuple(texts))
        return [_job(row) for row in rows]


def _job(row: Sequence[Any]) -> Job:
    """Return the job of a row with all of `_COLUMNS`."""
    job = dict(zip(_NAMES, row, strict=True))
    return Job(**{**job, "state": State(job["state"])})
