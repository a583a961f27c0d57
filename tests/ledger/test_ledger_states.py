"""The ledger as a state machine: whatever is done in whatever order, it agrees with a small model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from ledger.contract import MAY_BE_CLAIMED, MAY_BE_RETRIED, MAY_MOVE, Clock
from provwatch.errors import UsageError
from provwatch.ledger import (
    HELD,
    MOVES,
    OPEN,
    RETRYABLE,
    Claim,
    IllegalMoveError,
    NewJob,
    StaleClaimError,
    State,
)
from provwatch.ledger.sqlite import SqliteLedger

if TYPE_CHECKING:
    from provwatch.ledger import Job

SOURCES = ("source 1", "source 2")
REGISTRY, PACKAGE = "registry", "a/b"

keys = st.sampled_from("abcdef")
states = st.sampled_from(State)
seconds = st.sampled_from([0, 1, 5, 10])


@dataclass
class Line:
    """A job as the model has it."""

    key: str
    source: str
    state: State = State.RECEIVED
    fence: int = 0
    attempts: int = 0
    wait_until: float = 0
    lease_until: float = 0


class LedgerMachine(RuleBasedStateMachine):
    """Does everything that workers and people do, on a clock that also goes backwards."""

    ids = Bundle("ids")
    claims = Bundle("claims")

    def __init__(self) -> None:
        """Start with an empty ledger and an empty model."""
        super().__init__()
        self.clock = Clock(1000)
        self.ledger = SqliteLedger(":memory:", clock=self.clock)
        self.lines: dict[str, Line] = {}
        self.finished: list[tuple[str, State]] = []

    def teardown(self) -> None:
        """Close the ledger."""
        self.ledger.close()

    def _may_be_claimed(self, line: Line) -> bool:
        """Tell what the model thinks of a claim."""
        return line.state in MAY_BE_CLAIMED and max(line.wait_until, line.lease_until) <= self.clock()

    def _stands(self, claim: Claim) -> bool:
        """Tell whether the model still knows the job with this fence."""
        return claim.job_id in self.lines and self.lines[claim.job_id].fence == claim.fence

    @rule(delta=st.sampled_from([-20, -1, 1, 4, 30]))
    def time_passes(self, delta: float) -> None:
        """Let time pass, or set the clock back."""
        self.clock.sleep(delta)

    @rule(target=ids, batch=st.lists(st.tuples(keys, st.sampled_from(SOURCES)), max_size=3))
    def receive(self, batch: list[tuple[str, str]]) -> object:
        """Known keys keep their job, new ones get one."""
        jobs = self.ledger.receive([NewJob(key, source, PACKAGE, REGISTRY) for key, source in batch])
        by_key = {line.key: job_id for job_id, line in self.lines.items()}
        for (key, source), job in zip(batch, jobs, strict=True):
            if key not in by_key:
                assert job.id not in self.lines
                by_key[key] = job.id
                self.lines[job.id] = Line(key, source)
            assert job.id == by_key[key]
        return multiple(*(job.id for job in jobs))

    @rule(target=claims, job_id=ids, lease=seconds)
    def claim(self, job_id: str, lease: float) -> object:
        """Claim a job: it succeeds when the model says so, with the next fence."""
        claim = self.ledger.claim(job_id, lease)
        line = self.lines.get(job_id)
        if line is None or not self._may_be_claimed(line):
            assert claim is None
            return multiple()
        assert claim == Claim(job_id, line.fence + 1)
        now = self.clock()
        self.lines[job_id] = replace(
            line,
            state=State.CLAIMED,
            fence=line.fence + 1,
            attempts=line.attempts + 1,
            wait_until=0,
            lease_until=now + lease,
        )
        return claim

    @rule(claim=claims, lease=seconds)
    def renew(self, claim: Claim, lease: float) -> None:
        """Only the newest claim of a job that is worked on can be renewed."""
        if not self._stands(claim) or self.lines[claim.job_id].state not in {State.CLAIMED, State.PUBLISHING}:
            with pytest.raises(StaleClaimError):
                self.ledger.renew(claim, lease)
            return
        self.ledger.renew(claim, lease)
        self.lines[claim.job_id].lease_until = self.clock() + lease

    @rule(claim=claims, state=states, wait=seconds, code=st.sampled_from(["", "duplicate"]))
    def move(self, claim: Claim, state: State, wait: float, code: str) -> None:
        """Move a job by any claim ever made; a stale one is refused before an illegal move is."""
        next_at = self.clock() + wait
        if not self._stands(claim):
            with pytest.raises(StaleClaimError):
                self.ledger.move(claim, state, next_at=next_at)
            return
        line = self.lines[claim.job_id]
        if state not in MAY_MOVE[line.state]:
            with pytest.raises(IllegalMoveError):
                self.ledger.move(claim, state, next_at=next_at)
            return
        job = self.ledger.move(claim, state, next_at=next_at, code=code)
        assert (job.state, job.code) == (state, code)
        line.state, line.wait_until = state, next_at
        if state is not State.PUBLISHING:
            line.lease_until = 0
        if state is State.DONE or (state is State.SKIPPED and code):
            self.finished.append((claim.job_id, state))

    @rule(job_id=ids, state=states)
    def move_unclaimed(self, job_id: str, state: State) -> None:
        """Move a job that nobody holds by its fence."""
        line = self.lines.get(job_id)
        if line is not None and line.state not in {State.CLAIMED, State.PUBLISHING}:
            self.move(Claim(job_id, line.fence), state, 0, "")

    @rule(job_id=ids)
    def retry_now(self, job_id: str) -> None:
        """Have a job back that failed or waits."""
        line = self.lines.get(job_id)
        if line is None or line.state not in MAY_BE_RETRIED:
            with pytest.raises(UsageError):
                self.ledger.retry_now(job_id)
            return
        self.ledger.retry_now(job_id)
        line.state, line.attempts, line.wait_until = State.RETRY, 0, self.clock()

    @rule(job_id=ids)
    def forget(self, job_id: str) -> None:
        """Make a job unhappen."""
        assert self.ledger.forget(job_id) == (job_id in self.lines)
        self.lines.pop(job_id, None)
        self.finished = [entry for entry in self.finished if entry[0] != job_id]

    @invariant()
    def every_job_is_as_in_the_model(self) -> None:
        """Neither more nor fewer jobs, each with the model's numbers."""
        jobs: list[Job] = list(self.ledger.jobs(newest_first=False))
        assert {job.id: _line(job) for job in jobs} == self.lines
        assert [job.id for job in jobs] == sorted(self.lines)

    @invariant()
    def what_is_due_is_what_can_be_claimed(self) -> None:
        """Compare the due jobs with those whose claim would succeed."""
        wanted = [job_id for job_id in sorted(self.lines) if self._may_be_claimed(self.lines[job_id])]
        assert [job.id for job in self.ledger.due(100)] == wanted

    @invariant()
    def the_last_one_finished_is_the_last_one_done(self) -> None:
        """Compare the newest revisions, which do not depend on the clock."""
        for source in SOURCES:
            mine = [job_id for job_id, _ in self.finished if self.lines[job_id].source == source]
            last = self.ledger.last_done(source, REGISTRY, PACKAGE)
            assert (last.id if last else None) == (mine[-1] if mine else None)
        makers = [self.lines[job_id].source for job_id, state in self.finished if state is State.DONE]
        assert self.ledger.holder(REGISTRY, PACKAGE) == (makers[-1] if makers else None)


def _line(job: Job) -> Line:
    """Return a job as the model has it."""
    return Line(job.key, job.source, job.state, job.fence, job.attempts, job.next_at, job.lease_until)


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,  # a busy machine is no bug
    suppress_health_check=[HealthCheck.too_slow],  # as above
)


def test_the_table_of_moves_is_the_one_in_the_manual() -> None:
    """The table in the code, less the claims, is the one these tests were written from."""
    assert {state: set(following - {State.CLAIMED}) for state, following in MOVES.items()} == MAY_MOVE


def test_the_sets_of_states_are_those_in_the_manual() -> None:
    """Open, held and retryable states are what they are called."""
    assert OPEN == MAY_BE_CLAIMED
    assert RETRYABLE == MAY_BE_RETRIED
    assert {State.CLAIMED, State.PUBLISHING} == HELD
