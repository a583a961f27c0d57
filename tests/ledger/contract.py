"""What every ledger promises: subclass `LedgerContract`, say how to open yours, and pytest runs it all."""

from __future__ import annotations

import random
import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from provwatch.errors import ProvwatchError, UsageError
from provwatch.ledger import Claim, IllegalMoveError, NewJob, StaleClaimError, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from provwatch.ledger import Job, Ledger

NOON = 1_800_000_000.0
LEASE_SECONDS = 60.0
SOURCE, REGISTRY, PACKAGE = "s3://lab/results/runA/", "s3://lab", "results/runA"

TABLE_OF_MOVES = """
    received     skipped ignored incomplete quarantined
    claimed      publishing done retry failed skipped ignored incomplete quarantined
    publishing   done retry failed skipped
    retry        skipped
    incomplete   skipped
    done
    failed
    skipped
    ignored
    quarantined
"""
MAY_MOVE = {
    State(state): {State(target) for target in targets}
    for state, *targets in map(str.split, TABLE_OF_MOVES.strip().splitlines())
}
"""What `Ledger.move` allows, written down a second time on purpose; claims are no moves."""

MAY_BE_CLAIMED = {State.RECEIVED, State.CLAIMED, State.PUBLISHING, State.RETRY, State.INCOMPLETE}
MAY_BE_RETRIED = {State.FAILED, State.QUARANTINED, State.RETRY, State.INCOMPLETE}


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self, now: float = NOON) -> None:
        """Start at a time in unix seconds."""
        self.now = now

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass, or set the clock back."""
        self.now += seconds


def receive(ledger: Ledger, key: str = "run A", source: str = SOURCE) -> Job:
    """Record one job."""
    return ledger.receive([NewJob(key, source)])[0]


def claim(ledger: Ledger, job: Job, lease_seconds: float = LEASE_SECONDS) -> Claim:
    """Claim a job that is there to be claimed."""
    claimed = ledger.claim(job.id, lease_seconds)
    assert claimed is not None
    return claimed


def look(ledger: Ledger, job: Job | Claim) -> Job:
    """Return a job as it is now."""
    now = ledger.job(job.job_id if isinstance(job, Claim) else job.id)
    assert now is not None
    return now


def bring_to(ledger: Ledger, state: State, key: str = "run A") -> Job:
    """Return a job that went the shortest way to a state."""
    job = receive(ledger, key)
    if state is State.RECEIVED:
        return job
    claimed = claim(ledger, job)
    return look(ledger, job) if state is State.CLAIMED else ledger.move(claimed, state)


def finish(
    ledger: Ledger,
    key: str,
    state: State = State.DONE,
    *,
    source: str = SOURCE,
    code: str = "",
) -> Job:
    """Take a new job all the way to its end, with what it found out about the package."""
    claimed = claim(ledger, receive(ledger, key, source))
    return ledger.move(
        claimed,
        state,
        code=code,
        registry=REGISTRY,
        package=PACKAGE,
        probe=f"probe of {key}",
        fingerprint=f"fingerprint of {key}",
        top_hash=f"top hash of {key}",
    )


def keys(jobs: Iterator[Job] | list[Job]) -> list[str]:
    """Return the keys of jobs, in their order."""
    return [job.key for job in jobs]


class LedgerContract:
    """The suite; ``ledger`` and ``rival`` are two workers at the same store."""

    @pytest.fixture
    def clock(self) -> Clock:
        """Return the clock of both workers."""
        return Clock()

    @pytest.fixture
    def open_ledger(self, clock: Clock) -> Iterator[Callable[[], Ledger]]:
        """Yield a function that opens the test's store, each time for another worker, and close them all."""
        raise NotImplementedError

    @pytest.fixture
    def ledger(self, open_ledger: Callable[[], Ledger]) -> Ledger:
        """Return an empty ledger."""
        return open_ledger()

    @pytest.fixture
    def rival(self, ledger: Ledger, open_ledger: Callable[[], Ledger]) -> Ledger:
        """Return the same ledger as another worker sees it."""
        del ledger  # the first worker opens it first
        return open_ledger()

    # Nothing happens.

    def test_an_empty_ledger_has_nothing_to_say(self, ledger: Ledger) -> None:
        """Every question has an answer before the first event."""
        assert ledger.due(10) == []
        assert list(ledger.jobs()) == []
        assert ledger.job("0") is None
        assert ledger.job("") is None
        assert ledger.claim("0", LEASE_SECONDS) is None
        assert ledger.last_done(SOURCE, REGISTRY, PACKAGE) is None
        assert ledger.holder(REGISTRY, PACKAGE) is None
        assert ledger.forget("0") is False

    def test_receiving_nothing_is_fine(self, ledger: Ledger) -> None:
        """An empty batch leaves the ledger empty."""
        assert ledger.receive([]) == []
        assert list(ledger.jobs()) == []

    @pytest.mark.parametrize("state", State)
    def test_a_key_that_is_known_changes_nothing(self, ledger: Ledger, clock: Clock, state: State) -> None:
        """An event delivered again finds its job as it stands, finished or not."""
        job = bring_to(ledger, state)
        clock.sleep(5)
        again = NewJob(job.key, "another source", "another/package", "another registry", "{}")
        assert ledger.receive([again]) == [job]
        assert list(ledger.jobs()) == [job]

    def test_one_key_twice_in_a_batch_is_one_job(self, ledger: Ledger) -> None:
        """The answer has one job for each entry of the batch, in its order."""
        first, second, third = ledger.receive([NewJob("a", "1"), NewJob("b", "2"), NewJob("a", "3")])
        assert (first.source, second.source) == ("1", "2")
        assert third == first
        assert len(list(ledger.jobs())) == 2

    def test_closing_twice_does_no_harm(self, ledger: Ledger) -> None:
        """A ledger is a context manager that does not mind being closed within."""
        with ledger as same:
            assert same is ledger
            ledger.close()

    # Receiving.

    def test_a_new_job_is_received_and_due(self, ledger: Ledger) -> None:
        """A new job has what the event said, the time, and nothing else."""
        (job,) = ledger.receive([NewJob("key", SOURCE, PACKAGE, REGISTRY, '{"source_prefix": "s3://lab/"}')])
        assert (job.key, job.source, job.package, job.registry) == ("key", SOURCE, PACKAGE, REGISTRY)
        assert job.description == '{"source_prefix": "s3://lab/"}'
        assert (job.state, job.attempts, job.fence, job.owner) == (State.RECEIVED, 0, 0, "")
        assert (job.first_seen, job.updated, job.lease_until, job.next_at) == (NOON, NOON, 0, 0)
        assert {job.code, job.reason, job.probe, job.fingerprint, job.top_hash, job.outcome} == {""}
        assert ledger.due(10) == [job]
        assert ledger.job(job.id) == job

    def test_ids_are_short_safe_in_urls_and_in_order(self, ledger: Ledger, clock: Clock) -> None:
        """Ids sort in the order of arrival, within a millisecond and when the clock is set back too."""
        jobs = ledger.receive([NewJob(f"a{number}", SOURCE) for number in range(300)])
        clock.sleep(-3600)
        jobs += ledger.receive([NewJob(f"b{number}", SOURCE) for number in range(300)])
        ids = [job.id for job in jobs]
        assert ids == sorted(set(ids))
        assert all(re.fullmatch(r"[0-9a-z]{8,16}", job_id) for job_id in ids)

    TEXTS = (
        pytest.param("", id="empty"),
        pytest.param("résumé/ラン/🧬", id="unicode"),
        pytest.param("e\u0301 is not \u00e9", id="unnormalised"),
        pytest.param("a\x00b", id="nul"),
        pytest.param("two\nlines\r\n", id="lines"),
        pytest.param("'; DROP TABLE job; --", id="quotes"),
        pytest.param("%_*?[a]\\", id="wildcards"),
        pytest.param("x" * 300_000, id="long"),
    )

    @pytest.mark.parametrize("text", TEXTS)
    def test_text_comes_back_as_it_went_in(self, ledger: Ledger, text: str) -> None:
        """Keys, sources, descriptions and reasons are opaque."""
        (job,) = ledger.receive([NewJob(f"key {text}", f"source {text}", description=text)])
        assert job.description == text
        job = ledger.move(claim(ledger, job), State.FAILED, reason=text)
        assert ledger.receive([NewJob(f"key {text}", "")]) == [job]
        assert list(ledger.jobs(source=f"source {text}")) == [job]
        assert job.reason == text

    def test_names_that_are_no_text_are_kept_escaped(self, ledger: Ledger) -> None:
        """An undecodable file name neither stops the batch nor becomes another job each time."""
        new = NewJob("run\udcff", "run\udcff")
        job, neighbour = ledger.receive([new, NewJob("b", "b")])
        assert job.source == "run\\udcff"
        assert neighbour.source == "b"
        assert ledger.receive([new]) == [job]
        assert list(ledger.jobs(source=new.source)) == [job]
        assert ledger.move(claim(ledger, job), State.FAILED, reason="\udcff").reason == "\\udcff"

    # Claiming.

    def test_a_claim_counts_and_has_a_lease(self, ledger: Ledger, clock: Clock) -> None:
        """Each claim is one attempt more, and the fence goes up with it."""
        job = receive(ledger)
        clock.sleep(1)
        assert claim(ledger, job) == Claim(job.id, 1)
        job = look(ledger, job)
        assert (job.state, job.attempts, job.fence) == (State.CLAIMED, 1, 1)
        assert job.owner
        assert (job.lease_until, job.updated, job.first_seen) == (clock() + LEASE_SECONDS, clock(), NOON)

    @pytest.mark.parametrize("state", State)
    def test_what_is_not_there_to_be_claimed_is_left_alone(self, ledger: Ledger, state: State) -> None:
        """Only received, retry and incomplete jobs are free; held and finished ones are not."""
        job = bring_to(ledger, state)
        is_free = state in {State.RECEIVED, State.RETRY, State.INCOMPLETE}
        assert (ledger.due(10) == [job]) == is_free
        assert (ledger.claim(job.id, LEASE_SECONDS) is not None) == is_free
        assert is_free or look(ledger, job) == job

    @pytest.mark.parametrize("state", State)
    def test_time_frees_what_is_not_finished(self, ledger: Ledger, clock: Clock, state: State) -> None:
        """A lease that ran out can be taken over; what is finished stays finished for ever."""
        job = bring_to(ledger, state)
        clock.sleep(1e9)
        assert (ledger.due(10) == [job]) == (state in MAY_BE_CLAIMED)
        assert (ledger.claim(job.id, LEASE_SECONDS) is not None) == (state in MAY_BE_CLAIMED)

    @pytest.mark.parametrize("state", [State.RETRY, State.INCOMPLETE])
    def test_a_job_waits_until_its_time(self, ledger: Ledger, clock: Clock, state: State) -> None:
        """A job moved with ``next_at`` is due at that very second, and not before."""
        job = ledger.move(claim(ledger, receive(ledger)), state, next_at=NOON + 30)
        clock.sleep(29.9)
        assert ledger.due(10) == []
        assert ledger.claim(job.id, LEASE_SECONDS) is None
        clock.sleep(0.1)
        assert ledger.due(10) == [job]
        assert claim(ledger, job).fence == 2
        assert look(ledger, job).next_at == 0

    def test_a_live_claim_keeps_others_out(self, ledger: Ledger, rival: Ledger, clock: Clock) -> None:
        """The lease runs out at its second, not before; the new owner has the next fence."""
        job = receive(ledger)
        claim(ledger, job)
        clock.sleep(LEASE_SECONDS - 0.1)
        assert rival.claim(job.id, LEASE_SECONDS) is None
        assert rival.due(10) == []
        clock.sleep(0.1)
        assert keys(rival.due(10)) == [job.key]
        assert claim(rival, job) == Claim(job.id, 2)

    def test_due_jobs_come_in_the_order_of_arrival(self, ledger: Ledger, clock: Clock) -> None:
        """What waited longest is first, whether it is new, to be retried or abandoned."""
        for key in "abcde":
            receive(ledger, key)
            clock.sleep(1)
        a, b, c, d, _ = ledger.jobs(newest_first=False)
        ledger.move(claim(ledger, c), State.RETRY, next_at=clock() + 5)
        claim(ledger, a, lease_seconds=5)
        claim(ledger, b, lease_seconds=500)
        ledger.move(claim(ledger, d), State.DONE)
        assert keys(ledger.due(10)) == ["e"]
        clock.sleep(5)
        assert keys(ledger.due(10)) == ["a", "c", "e"]
        assert keys(ledger.due(2)) == ["a", "c"]
        assert ledger.due(0) == []

    # The fence.

    def test_a_replaced_worker_can_do_nothing_more(
        self,
        ledger: Ledger,
        rival: Ledger,
        clock: Clock,
    ) -> None:
        """Whoever slept past the lease is told so, and the successor's work stays as it is."""
        job = receive(ledger)
        old = claim(ledger, job)
        clock.sleep(LEASE_SECONDS)
        new = claim(rival, job)
        ours = rival.move(new, State.PUBLISHING, probe="ours")
        for state in MAY_MOVE[State.CLAIMED]:
            with pytest.raises(StaleClaimError, match=job.id):
                ledger.move(old, state, probe="theirs")
        with pytest.raises(StaleClaimError) as caught:
            ledger.renew(old, LEASE_SECONDS)
        assert caught.value.code == "stale-claim"
        assert look(ledger, job) == ours
        assert rival.move(new, State.DONE).probe == "ours"

    def test_a_late_worker_nobody_replaced_may_finish(self, ledger: Ledger, clock: Clock) -> None:
        """A lease that ran out is an offer to others; as long as nobody takes it, nothing is lost."""
        held = claim(ledger, receive(ledger))
        clock.sleep(10 * LEASE_SECONDS)
        assert ledger.move(held, State.DONE).state is State.DONE

    def test_renewing_holds_the_job_from_now_on(self, ledger: Ledger, rival: Ledger, clock: Clock) -> None:
        """A worker that renews in time is never replaced, while claimed and while publishing."""
        job = receive(ledger)
        held = claim(ledger, job)
        for state in (State.CLAIMED, State.PUBLISHING):
            if state is State.PUBLISHING:
                ledger.move(held, state)
            clock.sleep(LEASE_SECONDS - 1)
            ledger.renew(held, LEASE_SECONDS)
            clock.sleep(LEASE_SECONDS - 1)
            assert rival.claim(job.id, LEASE_SECONDS) is None
            assert (look(ledger, job).state, look(ledger, job).attempts) == (state, 1)

    @pytest.mark.parametrize("state", sorted(set(State) - {State.CLAIMED, State.PUBLISHING}))
    def test_there_is_nothing_to_renew_when_nobody_works(self, ledger: Ledger, state: State) -> None:
        """A heartbeat that comes after the end does not bring the job back to life."""
        job = bring_to(ledger, state)
        with pytest.raises(StaleClaimError):
            ledger.renew(Claim(job.id, job.fence), LEASE_SECONDS)
        assert look(ledger, job) == job

    @pytest.mark.parametrize("seconds", [-3600.0, 3600.0], ids=["back", "ahead"])
    def test_a_wrong_clock_never_makes_two_live_claims(
        self,
        ledger: Ledger,
        rival: Ledger,
        clock: Clock,
        seconds: float,
    ) -> None:
        """When the clock jumps by an hour, either nobody can take over, or the first claim is dead."""
        job = receive(ledger)
        first = claim(ledger, job)
        clock.sleep(seconds)
        second = rival.claim(job.id, LEASE_SECONDS)
        clock.sleep(-seconds)
        if second is None:
            ledger.renew(first, LEASE_SECONDS)
        else:
            rival.renew(second, LEASE_SECONDS)
            with pytest.raises(StaleClaimError):
                ledger.renew(first, LEASE_SECONDS)

    # Moving.

    @pytest.mark.parametrize("state", State)
    def test_only_the_moves_of_the_table_are_made(self, ledger: Ledger, state: State) -> None:
        """Every other move is refused as a mistake of the caller, and changes nothing."""
        for number, target in enumerate(State):
            job = bring_to(ledger, state, key=f"run {number}")
            right = Claim(job.id, job.fence)
            if target in MAY_MOVE[state]:
                assert ledger.move(right, target).state is target
            else:
                with pytest.raises(IllegalMoveError, match=f"{state} to {target}"):
                    ledger.move(right, target)
                assert look(ledger, job) == job

    def test_a_move_records_what_is_new(self, ledger: Ledger, clock: Clock) -> None:
        """Facts stay until they are given again; code and reason belong to one state only."""
        held = claim(ledger, receive(ledger))
        clock.sleep(1)
        ledger.move(held, State.PUBLISHING, probe="p", fingerprint="f", package=PACKAGE, registry=REGISTRY)
        clock.sleep(1)
        job = ledger.move(held, State.RETRY, code="unreachable", reason="No answer", next_at=NOON + 9)
        job = look(ledger, job)
        assert (job.state, job.code, job.reason) == (State.RETRY, "unreachable", "No answer")
        assert (job.probe, job.fingerprint, job.package, job.registry) == ("p", "f", PACKAGE, REGISTRY)
        assert (job.lease_until, job.next_at, job.updated) == (0, NOON + 9, NOON + 2)

        clock.sleep(10)
        job = ledger.move(claim(ledger, job), State.DONE, top_hash="t", outcome="pushed", probe="p2")
        assert (job.code, job.reason, job.next_at, job.attempts) == ("", "", 0, 2)
        assert (job.top_hash, job.outcome, job.probe, job.fingerprint) == ("t", "pushed", "p2", "f")
        assert look(ledger, job) == job

    def test_a_reason_belongs_to_one_state(self, ledger: Ledger) -> None:
        """Code and reason of a state are gone when the job is claimed, or moved on without any."""
        for number, last in enumerate((State.SKIPPED, State.CLAIMED)):
            held = claim(ledger, receive(ledger, f"run {number}"))
            ledger.move(held, State.RETRY, code="unreachable", reason="No answer")
            if last is State.CLAIMED:
                assert ledger.claim(held.job_id, LEASE_SECONDS)
            else:
                ledger.move(held, last)
            job = look(ledger, held)
            assert (job.state, job.code, job.reason) == (last, "", "")

    def test_publishing_keeps_the_lease(self, ledger: Ledger) -> None:
        """To say that the side effect begins is no renewal."""
        held = claim(ledger, receive(ledger))
        assert ledger.move(held, State.PUBLISHING).lease_until == NOON + LEASE_SECONDS

    @pytest.mark.parametrize("state", [State.RECEIVED, State.RETRY, State.INCOMPLETE])
    def test_a_job_nobody_holds_is_moved_by_its_fence(self, ledger: Ledger, state: State) -> None:
        """What is superseded before anybody claimed it can be skipped, unless somebody just claimed it."""
        job = bring_to(ledger, state, key="free")
        assert ledger.move(Claim(job.id, job.fence), State.SKIPPED, code="superseded").code == "superseded"
        job = bring_to(ledger, state, key="taken meanwhile")
        claim(ledger, job)
        with pytest.raises(StaleClaimError):
            ledger.move(Claim(job.id, job.fence), State.SKIPPED, code="superseded")

    # Looking.

    def test_the_beginning_of_an_id_is_enough_when_it_is_unique(self, ledger: Ledger) -> None:
        """A person may type less than the whole id, as long as only one job is meant."""
        first, second = receive(ledger, "a"), receive(ledger, "b")
        assert ledger.job(first.id) == first
        different = next(n for n, (x, y) in enumerate(zip(first.id, second.id, strict=True)) if x != y)
        assert ledger.job(second.id[: different + 1]) == second
        assert ledger.job(first.id + "0") is None
        for no_id in ("%", "*", "?", "~"):
            assert ledger.job(no_id) is None
        with pytest.raises(UsageError, match=f"{first.id} and {second.id}.*more characters"):
            ledger.job(first.id[:different])

    @pytest.fixture
    def history(self, ledger: Ledger, clock: Clock) -> Ledger:
        """Return a ledger with jobs a to d, one an hour since noon; b is done, d failed; a changed last."""
        for key in "abcd":
            receive(ledger, key, source=f"source {key}" if key != "c" else "source a")
            if key in "bd":
                job = next(ledger.jobs(limit=1))
                ledger.move(claim(ledger, job), State.DONE if key == "b" else State.FAILED)
            clock.sleep(3600)
        (first,) = ledger.jobs(limit=1, newest_first=False)
        claim(ledger, first)
        return ledger

    QUESTIONS = (
        pytest.param({"states": [State.IGNORED]}, "", id="no such state"),
        pytest.param({"source": "source"}, "", id="no such source"),
        pytest.param({"since": NOON + 4 * 3600 + 1}, "", id="nothing so new"),
        pytest.param({"limit": 0}, "", id="none wanted"),
        pytest.param({}, "dcba", id="all"),
        pytest.param({"newest_first": False}, "abcd", id="oldest first"),
        pytest.param({"states": [State.DONE]}, "b", id="one state"),
        pytest.param({"states": {State.DONE, State.FAILED}}, "db", id="two states"),
        pytest.param({"source": "source a"}, "ca", id="one source"),
        pytest.param({"since": NOON + 2 * 3600}, "dca", id="changed since"),
        pytest.param({"limit": 2}, "dc", id="the newest two"),
        pytest.param({"limit": 2, "newest_first": False}, "ab", id="the oldest two"),
        pytest.param({"limit": 9}, "dcba", id="more than there are"),
        pytest.param({"source": "source a", "states": [State.CLAIMED], "limit": 1}, "a", id="all at once"),
    )

    @pytest.mark.parametrize(("question", "answer"), QUESTIONS)
    def test_jobs_are_listed_by_state_source_and_time(
        self,
        history: Ledger,
        question: dict[str, object],
        answer: str,
    ) -> None:
        """All conditions must hold; the order is that of arrival."""
        assert "".join(keys(history.jobs(**question))) == answer  # type: ignore[arg-type]  # a table row

    def test_a_long_history_is_streamed_while_others_write(self, ledger: Ledger, rival: Ledger) -> None:
        """A reader that takes its time sees each job once and keeps nobody from writing."""
        jobs = ledger.receive([NewJob(f"{number:04}", SOURCE) for number in range(1000)])
        stream = ledger.jobs(newest_first=False)
        seen = [next(stream)]
        claim(rival, jobs[0])
        assert rival.forget(jobs[-1].id)
        seen += stream
        assert keys(seen) == keys(jobs[:-1])
        assert keys(ledger.jobs(limit=450)) == keys(jobs[-2:-452:-1])

    # What a package holds.

    def test_the_last_done_job_remembers_what_it_saw(self, ledger: Ledger) -> None:
        """It tells whether a source changed since it was packaged, and into which revision it went."""
        job = finish(ledger, "one")
        assert ledger.last_done(SOURCE, REGISTRY, PACKAGE) == job
        assert job.probe == "probe of one"
        assert job.fingerprint == "fingerprint of one"
        assert job.top_hash == "top hash of one"

    OTHERS = (
        pytest.param(("s3://lab/results/runB/", REGISTRY, PACKAGE), id="source"),
        pytest.param((SOURCE, "s3://other", PACKAGE), id="registry"),
        pytest.param((SOURCE, REGISTRY, "results/runB"), id="package"),
        pytest.param((SOURCE, REGISTRY, ""), id="no package"),
    )

    @pytest.mark.parametrize("triple", OTHERS)
    def test_another_triple_was_not_done(self, ledger: Ledger, triple: tuple[str, str, str]) -> None:
        """Source, registry and package must all be the same."""
        finish(ledger, "one")
        assert ledger.last_done(*triple) is None

    @pytest.mark.parametrize("state", sorted(set(State) - {State.DONE}))
    def test_what_is_not_done_says_nothing_of_the_package(self, ledger: Ledger, state: State) -> None:
        """A package does not change by what was tried, skipped or refused after the last revision."""
        done = finish(ledger, "one")
        bring_to(ledger, state, "two")
        if state not in {State.RECEIVED, State.CLAIMED}:
            finish(ledger, "three", state)
        assert ledger.last_done(SOURCE, REGISTRY, PACKAGE) == done
        assert ledger.holder(REGISTRY, PACKAGE) == SOURCE

    def test_a_duplicate_was_done_but_holds_nothing(self, ledger: Ledger) -> None:
        """Who found its content in the package need not look again, but did not make the revision."""
        finish(ledger, "one")
        other = "file:///data/copy/"
        job = finish(ledger, "two", State.SKIPPED, source=other, code="duplicate")
        assert ledger.last_done(other, REGISTRY, PACKAGE) == job
        assert ledger.holder(REGISTRY, PACKAGE) == SOURCE

    def test_the_last_source_to_make_a_revision_holds_the_package(self, ledger: Ledger) -> None:
        """After a take-over the package is the other source's, and each source keeps its own last job."""
        mine = finish(ledger, "one")
        other = "file:///data/other/"
        theirs = finish(ledger, "two", source=other)
        assert ledger.holder(REGISTRY, PACKAGE) == other
        assert ledger.last_done(SOURCE, REGISTRY, PACKAGE) == mine
        assert ledger.last_done(other, REGISTRY, PACKAGE) == theirs

    @pytest.mark.parametrize("seconds", [1.0, 0.0, -3600.0], ids=["on", "still", "back"])
    def test_the_last_one_finished_counts_whatever_the_clock(
        self,
        ledger: Ledger,
        clock: Clock,
        seconds: float,
    ) -> None:
        """A, B, A in a source is three revisions, so "last" must not depend on the clock or on arrival."""
        early, late = receive(ledger, "arrived first"), receive(ledger, "arrived last")
        for job in (late, early):
            ledger.move(claim(ledger, job), State.DONE, registry=REGISTRY, package=PACKAGE)
            clock.sleep(seconds)
        last = ledger.last_done(SOURCE, REGISTRY, PACKAGE)
        assert last is not None
        assert last.key == early.key

    # A person's hand.

    @pytest.mark.parametrize("state", sorted(MAY_BE_RETRIED))
    def test_a_person_can_have_a_job_retried_at_once(
        self,
        ledger: Ledger,
        clock: Clock,
        state: State,
    ) -> None:
        """The job is due now with its attempts counted anew; why it needs it stays written beside it."""
        held = claim(ledger, receive(ledger))
        ledger.move(held, state, code="why", reason="Because", next_at=NOON + 900)
        clock.sleep(1)
        job = ledger.retry_now(held.job_id)
        assert (job.state, job.attempts, job.next_at) == (State.RETRY, 0, clock())
        assert (job.code, job.reason, job.updated, job.fence) == ("why", "Because", clock(), 1)
        assert ledger.due(10) == [job]
        assert claim(ledger, job).fence == 2

    @pytest.mark.parametrize("state", sorted(set(State) - MAY_BE_RETRIED))
    def test_what_cannot_be_retried_says_what_to_do_instead(self, ledger: Ledger, state: State) -> None:
        """The error is a sentence with a next step, and the job stays as it is."""
        job = bring_to(ledger, state)
        with pytest.raises(UsageError, match=f"{job.id} is {state}") as caught:
            ledger.retry_now(job.id)
        assert caught.value.hint
        assert look(ledger, job) == job

    def test_a_job_that_is_not_there_cannot_be_retried(self, ledger: Ledger) -> None:
        """A mistyped id is told so."""
        with pytest.raises(ProvwatchError, match="no job 'nonsense'"):
            ledger.retry_now("nonsense")

    @pytest.mark.parametrize("state", State)
    def test_a_forgotten_job_makes_its_event_new(self, ledger: Ledger, state: State) -> None:
        """Nothing is left of it, and whoever still worked on it is told so."""
        job = bring_to(ledger, state)
        assert ledger.forget(job.id) is True
        assert ledger.forget(job.id) is False
        assert ledger.job(job.id) is None
        with pytest.raises(StaleClaimError):
            ledger.move(Claim(job.id, job.fence), State.DONE)
        again = receive(ledger, job.key)
        assert (again.state, again.fence) == (State.RECEIVED, 0)
        assert again.id != job.id

    def test_a_forgotten_revision_is_no_longer_the_last(self, ledger: Ledger) -> None:
        """The revision before it is the last one again, and new ones still come after it."""
        first, second, third = (finish(ledger, key) for key in ("one", "two", "three"))
        ledger.forget(third.id)
        assert ledger.last_done(SOURCE, REGISTRY, PACKAGE) == second
        ledger.forget(first.id)
        assert ledger.last_done(SOURCE, REGISTRY, PACKAGE) == second
        fourth = finish(ledger, "four")
        assert ledger.last_done(SOURCE, REGISTRY, PACKAGE) == fourth

    # Races.

    def test_of_many_threads_exactly_one_gets_each_job(self, ledger: Ledger, rival: Ledger) -> None:
        """Two workers with four threads each want the same twenty jobs at the same time."""
        jobs = ledger.receive([NewJob(f"run {number}", SOURCE) for number in range(20)])
        barrier = Barrier(8)

        def grab(worker: Ledger) -> list[Claim]:
            order = random.sample(jobs, len(jobs))
            barrier.wait()
            return [got for job in order if (got := worker.claim(job.id, LEASE_SECONDS))]

        with ThreadPoolExecutor(8) as threads:
            claims = [got for hand in threads.map(grab, [ledger, rival] * 4) for got in hand]
        assert sorted(got.job_id for got in claims) == [job.id for job in jobs]
        assert {got.fence for got in claims} == {1}

    def test_of_many_threads_exactly_one_makes_each_job(self, ledger: Ledger, rival: Ledger) -> None:
        """The same events arriving at several workers at once are the same jobs for all of them."""
        batch = [NewJob(f"run {number}", SOURCE) for number in range(10)]
        barrier = Barrier(8)

        def receive_all(worker: Ledger) -> list[Job]:
            barrier.wait()
            return worker.receive(batch)

        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(receive_all, [ledger, rival] * 4))
        assert all(answer == answers[0] for answer in answers)
        assert len(list(ledger.jobs())) == len(batch)

    def test_of_two_workers_only_one_finishes(self, ledger: Ledger, rival: Ledger, clock: Clock) -> None:
        """When old and new owner finish at the same time, the new one's word is what remains."""
        for number in range(20):
            job = receive(ledger, f"run {number}")
            old = claim(ledger, job)
            clock.sleep(LEASE_SECONDS)
            new = claim(rival, job)
            barrier = Barrier(2)

            def end(hand: tuple[Ledger, Claim, str], barrier: Barrier = barrier) -> str:
                worker, claimed, word = hand
                barrier.wait()
                try:
                    return worker.move(claimed, State.DONE, outcome=word).outcome
                except StaleClaimError:
                    return "stale"

            with ThreadPoolExecutor(2) as threads:
                words = list(threads.map(end, [(ledger, old, "old"), (rival, new, "new")]))
            assert words == ["stale", "new"]
            assert look(ledger, job).outcome == "new"
