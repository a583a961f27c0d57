"""The rules of every ledger, as functions of values: what a claim, renewal, move or retry makes of a job.

An implementation reads the job, asks here what it becomes and writes that back, in one transaction or under
the condition that the fence and state are still those it read.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from provwatch.errors import UsageError
from provwatch.ledger import (
    DUPLICATE,
    HELD,
    MOVES,
    OPEN,
    RETRYABLE,
    Claim,
    Facts,
    IllegalMoveError,
    Job,
    NewJob,
    StaleClaimError,
    State,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

ID_LENGTH = 13
_ID_RANDOM_BITS = 20
_ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u; sorts like numbers

_INSTEAD_OF_RETRY: dict[State, str] = {
    State.RECEIVED: "Nothing to do: it is waiting for a worker",
    State.CLAIMED: "Wait for its worker; if that died, the job is taken over when the lease runs out",
    State.PUBLISHING: "Wait for its worker; if that died, the job is taken over when the lease runs out",
    State.DONE: "To describe the source again, run `provwatch package --refresh` with it",
    State.SKIPPED: "To package the source all the same, run `provwatch package` with it",
    State.IGNORED: "To package the source all the same, run `provwatch package` with it",
}


class IdMaker:
    """Makes job ids that sort by time and are unique within this maker; guard it when threads share it."""

    def __init__(self) -> None:
        """Start without a memory of ids."""
        self._last = 0

    def make(self, now: float) -> str:
        """Return the next id: milliseconds and 20 random bits, or the last id plus one if that is more."""
        random = int.from_bytes(os.urandom(3), "big") >> (24 - _ID_RANDOM_BITS)
        self._last = max(self._last + 1, int(now * 1000) << _ID_RANDOM_BITS | random)
        digits = ((self._last >> 5 * place) & 31 for place in reversed(range(ID_LENGTH)))
        return "".join(_ID_ALPHABET[digit] for digit in digits)


def plain(text: str) -> str:
    r"""Return text that any database can store: what file names hold beyond Unicode becomes ``\udcff``."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def received(new: NewJob, job_id: str, now: float) -> Job:
    """Return the job that an event starts as."""
    return Job(
        id=job_id,
        key=plain(new.key),
        source=plain(new.source),
        registry=plain(new.registry),
        package=plain(new.package),
        state=State.RECEIVED,
        attempts=0,
        fence=0,
        owner="",
        lease_until=0.0,
        next_at=0.0,
        code="",
        reason="",
        probe="",
        fingerprint="",
        top_hash="",
        outcome="",
        first_seen=now,
        updated=now,
        description=plain(new.description),
    )


def claimable(job: Job, now: float) -> bool:
    """Tell whether a job may be claimed: it is open, and neither its wait nor its lease lasts longer."""
    return job.state in OPEN and max(job.next_at, job.lease_until) <= now


def claimed(job: Job, owner: str, now: float, lease_seconds: float) -> Job | None:
    """Return the job in the hands of an owner; None when it may not be claimed now."""
    if not claimable(job, now):
        return None
    return replace(
        job,
        state=State.CLAIMED,
        attempts=job.attempts + 1,
        fence=job.fence + 1,
        owner=owner,
        lease_until=now + lease_seconds,
        next_at=0.0,
        code="",
        reason="",
        updated=now,
    )


def renewed(job: Job | None, claim: Claim, now: float, lease_seconds: float) -> Job:
    """Return the job with its lease counted from now, or raise StaleClaimError."""
    job = _still_standing(job, claim)
    if job.state not in HELD:
        message = f"Job {job.id} is {job.state}, so there is no claim to renew"
        raise StaleClaimError(message)
    return replace(job, lease_until=now + lease_seconds, updated=now)


def moved(job: Job | None, claim: Claim, state: State, now: float, facts: Facts) -> Job:
    """Return the job in another state, with new facts, or raise StaleClaimError or IllegalMoveError."""
    job = _still_standing(job, claim)
    if state is State.CLAIMED or state not in MOVES[job.state]:
        message = f"Job {job.id} cannot be moved from {job.state} to {state}"
        raise IllegalMoveError(message)
    lease_until = job.lease_until if state in HELD else 0.0
    job = replace(job, state=state, code="", reason="", lease_until=lease_until, updated=now)
    texts = {name: plain(value) for name, value in facts.items() if isinstance(value, str)}
    return replace(job, **cast("Facts", {**facts, **texts}))


def retried(job: Job | None, job_id: str, now: float) -> Job:
    """Return the job ready to be claimed again, or raise UsageError with what to do instead."""
    if job is None:
        message = f"There is no job {job_id!r} in the ledger"
        raise UsageError(message, hint="`provwatch history` lists all jobs", code="unknown-job")
    if job.state not in RETRYABLE:
        message = f"Job {job.id} is {job.state}, so it cannot be retried"
        raise UsageError(message, hint=_INSTEAD_OF_RETRY[job.state], code="not-retryable")
    return replace(job, state=State.RETRY, attempts=0, next_at=now, updated=now)


def finished(job: Job) -> bool:
    """Tell whether a job says what a package holds: it made a revision, or found its content there."""
    return job.state is State.DONE or (job.state is State.SKIPPED and job.code == DUPLICATE)


def only_one(prefix: str, found: Sequence[Job]) -> Job | None:
    """Return the only job found for the beginning of an id, or raise UsageError when there are more."""
    if len(found) > 1:
        message = f"The ids of several jobs begin with {prefix!r}, such as {found[0].id} and {found[1].id}"
        raise UsageError(message, hint="Give more characters of the id", code="ambiguous-id")
    return found[0] if found else None


def _still_standing(job: Job | None, claim: Claim) -> Job:
    """Return the job when its fence is the claim's, or raise StaleClaimError."""
    if job is None:
        message = f"Job {claim.job_id} is no longer in the ledger"
        raise StaleClaimError(message)
    if job.fence != claim.fence:
        message = f"Job {job.id} was taken over by {job.owner}"
        raise StaleClaimError(message, hint="Its lease had run out; the new owner goes on with it")
    return job
