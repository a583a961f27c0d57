"""What was seen and what was done: one job for each event, which one worker at a time may hold.

A worker claims a job for some seconds (its *lease*) and gets a number (the *fence*) that grows with every
claim. Whatever it then records carries that number, so a worker that slept past its lease and was
replaced is refused with `StaleClaimError` instead of overwriting its successor's work: call `renew`
directly before a side effect to know that the claim still stands. The clock only decides when a job may
be taken over; a clock that is wrong costs time, never order.

Implementations never import each other. What they have in common, the rules, is in
`provwatch.ledger.rules`; tests/ledger/contract.py is the suite that each of them passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, Self, TypedDict, Unpack

from provwatch.errors import ProvwatchError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from types import TracebackType


class State(StrEnum):
    """Where a job stands."""

    RECEIVED = "received"
    CLAIMED = "claimed"
    PUBLISHING = "publishing"
    DONE = "done"
    RETRY = "retry"
    FAILED = "failed"
    SKIPPED = "skipped"
    IGNORED = "ignored"
    INCOMPLETE = "incomplete"
    QUARANTINED = "quarantined"


MOVES: Mapping[State, frozenset[State]] = {
    State.RECEIVED: frozenset(
        {State.CLAIMED, State.SKIPPED, State.IGNORED, State.INCOMPLETE, State.QUARANTINED},
    ),
    State.CLAIMED: frozenset(
        {
            State.CLAIMED,  # by the next worker, once the lease ran out
            State.PUBLISHING,
            State.DONE,
            State.RETRY,
            State.FAILED,
            State.SKIPPED,
            State.IGNORED,
            State.INCOMPLETE,
            State.QUARANTINED,
        },
    ),
    State.PUBLISHING: frozenset(
        {
            State.CLAIMED,  # by the next worker, once the lease ran out
            State.DONE,
            State.RETRY,
            State.FAILED,
            State.SKIPPED,
        },
    ),
    State.RETRY: frozenset({State.CLAIMED, State.SKIPPED}),
    State.INCOMPLETE: frozenset({State.CLAIMED, State.SKIPPED}),
    State.DONE: frozenset(),
    State.FAILED: frozenset(),
    State.SKIPPED: frozenset(),
    State.IGNORED: frozenset(),
    State.QUARANTINED: frozenset(),
}
"""Which state may follow which, by a worker's hand. ``claimed`` is reached by `Ledger.claim` alone."""

RETRYABLE: frozenset[State] = frozenset({State.FAILED, State.QUARANTINED, State.RETRY, State.INCOMPLETE})
"""The states a person may move to ``retry``, with `Ledger.retry_now`."""

HELD: frozenset[State] = frozenset({State.CLAIMED, State.PUBLISHING})
"""The states with a lease."""

OPEN: frozenset[State] = frozenset(state for state, following in MOVES.items() if State.CLAIMED in following)
"""The states with work left to do: all that can be claimed, now or later."""

EMITTED = "emitted"
"""The outcome of a job that sent a description; it made no revision itself."""

DUPLICATE = "duplicate"
"""The code of a skipped job whose content was found to be in the package already."""


class StaleClaimError(ProvwatchError):
    """A claim that no longer stands: the job went on without it, or was forgotten."""

    code = "stale-claim"


class IllegalMoveError(ProvwatchError):
    """A move that `MOVES` does not have: a mistake in provwatch, not in what it read."""

    code = "illegal-move"


@dataclass(frozen=True, slots=True)
class NewJob:
    """Something to do, as an event asks for it.

    Args:
        key: what makes the event unique; the same key is the same job, however often it is delivered.
        source: URI of the folder or prefix to package.
        package: name of the package, when the event already says it.
        registry: registry of the package, when the event already says it.
        description: the package description, JSON text.
    """

    key: str
    source: str
    package: str = ""
    registry: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One line of the ledger; all times are unix seconds, and text that is not known is empty.

    Args:
        id: short URL-safe name of the job, made by the ledger; ids sort in the order of arrival.
        key: what makes its event unique.
        source: URI of the folder or prefix to package.
        registry: registry of the package.
        package: name of the package.
        state: where the job stands.
        attempts: claims since it arrived, or since a person asked for it again.
        fence: claims since it arrived; the latest one is the one that counts.
        owner: who claimed it last, ``host:pid``.
        lease_until: when the claim may be taken over; 0 unless claimed or publishing.
        next_at: when it may be claimed; 0 is at once.
        code: stable code that says why it stands where it stands.
        reason: the sentence beside the code.
        probe: what the source looked like, cheaply.
        fingerprint: hash of the content.
        top_hash: Quilt's hash of the revision that it made or found.
        outcome: the outcome word that was printed for it, such as ``pushed``.
        first_seen: when it arrived.
        updated: when it last changed, renewed leases included.
        description: the package description, JSON text.
    """

    id: str
    key: str
    source: str
    registry: str
    package: str
    state: State
    attempts: int
    fence: int
    owner: str
    lease_until: float
    next_at: float
    code: str
    reason: str
    probe: str
    fingerprint: str
    top_hash: str
    outcome: str
    first_seen: float
    updated: float
    description: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a job, for as long as nobody else has claimed it."""

    job_id: str
    fence: int


class Facts(TypedDict, total=False):
    """What a move records besides the state: fields of `Job`, of the same meaning."""

    code: str
    reason: str
    probe: str
    fingerprint: str
    top_hash: str
    outcome: str
    package: str
    registry: str
    next_at: float


class Ledger(Protocol):
    """A record of jobs that several threads, processes or machines may share."""

    def receive(self, jobs: Sequence[NewJob]) -> list[Job]:
        """Record new jobs, all or none, and return them in the order given.

        A key that is in the ledger already returns its job as it stands: receiving twice changes nothing.
        """

    def claim(self, job_id: str, lease_seconds: float) -> Claim | None:
        """Take a job for some seconds; None when it is finished, not due yet, held or unknown."""

    def renew(self, claim: Claim, lease_seconds: float) -> None:
        """Hold a job for so many seconds from now on.

        Raises:
            StaleClaimError: the claim no longer stands; stop before the next side effect.
        """

    def move(self, claim: Claim, state: State, **facts: Unpack[Facts]) -> Job:
        """Record what became of a job.

        Facts that are not given keep their values, but for ``code`` and ``reason``: they belong to the
        state, so every claim and move empties them. A job that nobody holds is moved with
        ``Claim(job.id, job.fence)``.

        Raises:
            StaleClaimError: somebody else claimed the job since, or it was forgotten.
            IllegalMoveError: `MOVES` has no such move, or it is `claim` that makes it.
        """

    def job(self, job_id: str) -> Job | None:
        """Return the job with this id, or the only one whose id begins so.

        Raises:
            UsageError: several ids begin so.
        """

    def jobs(
        self,
        *,
        states: Collection[State] = (),
        source: str | None = None,
        since: float | None = None,
        limit: int | None = None,
        newest_first: bool = True,
    ) -> Iterator[Job]:
        """Stream jobs in the order of their arrival, each one once.

        Args:
            states: only jobs in one of these; empty is any.
            source: only jobs of this source.
            since: only jobs that changed at or after this time, in unix seconds.
            limit: at most so many.
            newest_first: the last to arrive comes first.
        """

    def last_done(self, source: str, registry: str, package: str) -> Job | None:
        """Return the job that last brought a source into a package, or found it there (``duplicate``)."""

    def holder(self, registry: str, package: str) -> str | None:
        """Return the source that last made a revision of a package; None when this ledger knows of none."""

    def due(self, limit: int) -> list[Job]:
        """Return jobs that could be claimed now, the first to arrive first."""

    def retry_now(self, job_id: str) -> Job:
        """Let a job be claimed again at once, its attempts counted anew, because a person asks for it.

        Raises:
            UsageError: there is no such job, or it is none of `RETRYABLE`; the hint says what to do.
        """

    def forget(self, job_id: str) -> bool:
        """Remove a job, so that its event counts as new; False when there is no such job."""

    def close(self) -> None:
        """Let go of the ledger; closing twice does no harm."""

    def __enter__(self) -> Self:
        """Return the ledger itself."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the ledger."""
