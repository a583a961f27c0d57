"""The SQLite ledger: the contract, its file, its neighbours in other processes, and its bad days."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING

import pytest

import provwatch
from ledger.contract import (
    LEASE_SECONDS,
    NOON,
    SOURCE,
    Clock,
    LedgerContract,
    claim,
    receive,
)
from provwatch.errors import ConfigurationError, ProvwatchError
from provwatch.ledger import NewJob, State
from provwatch.ledger.opening import explained
from provwatch.ledger.schema import MIGRATIONS
from provwatch.ledger.sqlite import SqliteLedger
from publish.processes import run_script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from provwatch.ledger import Ledger

ROOT = Path(provwatch.__file__).parents[1]
NEXT_MIGRATIONS = (*MIGRATIONS, ("ALTER TABLE job ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'",))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a ledger could be."""
    return tmp_path / "ledger.db"


def sql(path: Path, question: str) -> object:
    """Return the first value that another program reads from a ledger."""
    with closing(sqlite3.connect(path)) as connection:
        row = connection.execute(question).fetchone()
        connection.commit()
    return row and row[0]


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a Python process of its own that knows provwatch, to talk to it by lines."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


class TestFile(LedgerContract):
    """The contract, for two connections to one file."""

    @pytest.fixture
    def open_ledger(self, clock: Clock, path: Path) -> Iterator[Callable[[], Ledger]]:
        """Open the file once more, as each process would."""
        with ExitStack() as ledgers:
            yield lambda: ledgers.enter_context(SqliteLedger(path, clock=clock, network=False))


class TestMemory(LedgerContract):
    """The contract in memory, where both workers share what there is."""

    @pytest.fixture
    def open_ledger(self, clock: Clock) -> Iterator[Callable[[], Ledger]]:
        """Return the one ledger each time."""
        with SqliteLedger(":memory:", clock=clock) as ledger:
            yield lambda: ledger


class TestNetworkFile(LedgerContract):
    """The contract on a network file system, where one process at a time has the ledger."""

    @pytest.fixture
    def open_ledger(self, clock: Clock, path: Path) -> Iterator[Callable[[], Ledger]]:
        """Return the one ledger each time."""
        with SqliteLedger(path, clock=clock, network=True) as ledger:
            yield lambda: ledger


class TestItsFile:
    """What is on the disk, and for whom."""

    def test_memory_leaves_no_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A dry run writes nothing."""
        monkeypatch.chdir(tmp_path)
        with SqliteLedger(":memory:") as ledger:
            receive(ledger)
        assert list(tmp_path.iterdir()) == []

    def test_it_is_still_there_the_next_time(self, path: Path) -> None:
        """What was recorded is found again after closing."""
        with SqliteLedger(path) as ledger:
            job = receive(ledger)
        with SqliteLedger(path) as ledger:
            assert list(ledger.jobs()) == [job]

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
    def test_only_its_user_may_look(self, tmp_path: Path) -> None:
        """New folders and files are private, the log beside the ledger too."""
        home = tmp_path / "new" / "home"
        with SqliteLedger(home / "ledger.db") as ledger:
            receive(ledger)
            files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in home.iterdir()}
        assert files == dict.fromkeys(["ledger.db", "ledger.db-wal", "ledger.db-shm"], 0o600)
        assert [stat.S_IMODE(folder.stat().st_mode) for folder in (home, home.parent)] == [0o700, 0o700]

    def test_its_owner_is_the_host_and_process(self) -> None:
        """A claim says who has it, so that a person can look there."""
        with SqliteLedger(":memory:", host="node7") as ledger:
            job = receive(ledger)
            claim(ledger, job)
            assert next(ledger.jobs()).owner == f"node7:{os.getpid()}"
        with SqliteLedger(":memory:", owner="ann") as ledger:
            claim(ledger, receive(ledger))
            assert next(ledger.jobs()).owner == "ann"

    def test_it_survives_a_power_cut_on_a_local_disk(self, path: Path) -> None:
        """Every transaction is on the disk when it ends (FULL), in a log that readers do not block (WAL)."""
        with SqliteLedger(path, network=False) as ledger:
            assert ledger._connection.execute("PRAGMA synchronous").fetchone() == (2,)
            assert sql(path, "PRAGMA journal_mode") == "wal"

    QUESTIONS = (
        pytest.param(lambda ledger: ledger.due(5), "job_open", id="due"),
        pytest.param(lambda ledger: ledger.last_done("a", "b", "c"), "job_finished", id="last done"),
        pytest.param(lambda ledger: ledger.holder("b", "c"), "job_finished", id="holder"),
        pytest.param(lambda ledger: list(ledger.jobs(source=SOURCE)), "job_by_source", id="by source"),
        pytest.param(lambda ledger: list(ledger.jobs(states=[State.FAILED])), "job_by_state", id="by state"),
    )

    @pytest.mark.parametrize(("ask", "index"), QUESTIONS)
    def test_a_long_history_makes_no_question_slow(
        self,
        ask: Callable[[Ledger], object],
        index: str,
    ) -> None:
        """The questions asked for every job are answered from an index, without sorting."""
        with SqliteLedger(":memory:") as ledger:
            asked: list[str] = []
            ledger._connection.set_trace_callback(asked.append)
            ask(ledger)
            ledger._connection.set_trace_callback(None)
            plan = "".join(row[3] for row in ledger._connection.execute(f"EXPLAIN QUERY PLAN {asked[0]}"))
        assert f"INDEX {index}" in plan
        assert "TEMP B-TREE" not in plan

    def test_it_loads_little(self) -> None:
        """The hook of a finished run opens the ledger, so it must not wait for libraries."""
        script = """
            import sys
            before = set(sys.modules)
            import provwatch.ledger
            assert "sqlite3" not in sys.modules
            import provwatch.ledger.sqlite
            print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
        """
        with start("\n".join(line[12:] for line in script.splitlines())) as process:
            loaded = set(process.communicate()[0].split())
        assert loaded <= set(sys.stdlib_module_names) | {"provwatch"}


class TestNetwork:
    """A ledger in a home directory on NFS and the like."""

    def test_it_keeps_a_rollback_journal(self, path: Path) -> None:
        """The write-ahead log needs memory that machines do not share."""
        with SqliteLedger(path, network=True) as ledger:
            assert ledger._connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert sql(path, "SELECT value FROM meta WHERE name = 'host'")

    def test_a_ledger_that_was_moved_there_is_converted(self, path: Path) -> None:
        """A write-ahead log of former days is folded in."""
        with SqliteLedger(path, network=False) as ledger:
            job = receive(ledger)
        with SqliteLedger(path, network=True) as ledger:
            assert list(ledger.jobs()) == [job]
        assert sql(path, "PRAGMA journal_mode") == "delete"

    def test_the_same_host_may_come_back(self, path: Path) -> None:
        """One process after the other is fine."""
        for _ in range(2):
            with SqliteLedger(path, network=True, host="node1") as ledger:
                receive(ledger)

    def test_another_host_is_refused(self, path: Path) -> None:
        """Both hosts are named, and the way out."""
        SqliteLedger(path, network=True, host="node1").close()
        with pytest.raises(ConfigurationError, match=r"node1.*node2.*PROVWATCH_HOME.*local disk") as caught:
            SqliteLedger(path, network=True, host="node2")
        assert (caught.value.code, caught.value.where) == ("ledger-host", str(path))

    def test_one_process_at_a_time(self, path: Path) -> None:
        """A second one is told why it waits in vain."""
        with (
            SqliteLedger(path, network=True),
            pytest.raises(ProvwatchError, match="one process at a time") as caught,
        ):
            SqliteLedger(path, network=True, busy_seconds=0.05)
        assert caught.value.code == "ledger-busy"

    @pytest.mark.parametrize(("kind", "mode"), [("nfs4", "delete"), ("ext4", "wal")])
    def test_it_is_found_out_from_the_file_system(
        self,
        path: Path,
        monkeypatch: pytest.MonkeyPatch,
        kind: str,
        mode: str,
    ) -> None:
        """Nobody needs to set anything."""
        monkeypatch.setattr("provwatch.ledger.opening.filesystem_type", lambda _: kind)
        SqliteLedger(path).close()
        assert sql(path, "PRAGMA journal_mode") == mode


class TestVersions:
    """Ledgers of yesterday and tomorrow."""

    def test_todays_ledger_is_left_alone(self, path: Path) -> None:
        """Opening it again neither changes nor copies it."""
        SqliteLedger(path).close()
        before = path.read_bytes()
        SqliteLedger(path).close()
        assert path.read_bytes() == before
        assert [file.name for file in path.parent.iterdir()] == ["ledger.db"]

    @pytest.mark.parametrize("network", [False, True], ids=["local", "network"])
    def test_an_older_ledger_is_upgraded_after_a_backup(self, path: Path, network: bool) -> None:  # noqa: FBT001
        """Its jobs stay, and the copy beside it is as private and still of the old version."""
        with SqliteLedger(path, network=network) as ledger:
            job = receive(ledger)
        with SqliteLedger(path, network=network, migrations=NEXT_MIGRATIONS) as ledger:
            assert list(ledger.jobs()) == [job]
            claim(ledger, job)
        assert sql(path, "PRAGMA user_version") == 2
        assert sql(path, "SELECT colour FROM job") == "blue"

        copy = path.with_name("ledger.db.backup-v1")
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        with SqliteLedger(copy) as ledger:
            assert list(ledger.jobs()) == [job]

    def test_several_versions_at_once_need_one_backup(self, path: Path) -> None:
        """The ledger as it was last used is what a person may want back."""
        SqliteLedger(path).close()
        SqliteLedger(path, migrations=(*NEXT_MIGRATIONS, ("CREATE TABLE extra (x)",))).close()
        assert sorted(file.name for file in path.parent.iterdir()) == ["ledger.db", "ledger.db.backup-v1"]

    def test_memory_needs_no_backup(self) -> None:
        """All steps are applied to the empty ledger."""
        with SqliteLedger(":memory:", migrations=NEXT_MIGRATIONS) as ledger:
            assert ledger._connection.execute("PRAGMA user_version").fetchone() == (2,)

    def test_a_step_that_fails_leaves_the_old_ledger(self, path: Path) -> None:
        """Half a step is no step, and provwatch of yesterday can still use the ledger."""
        with SqliteLedger(path) as ledger:
            job = receive(ledger)
        broken = (*MIGRATIONS, ("ALTER TABLE job ADD COLUMN colour TEXT", "NONSENSE"))
        with pytest.raises(sqlite3.OperationalError, match="NONSENSE"):
            SqliteLedger(path, migrations=broken)
        with SqliteLedger(path) as ledger:
            assert list(ledger.jobs()) == [job]
        with pytest.raises(sqlite3.OperationalError, match="colour"):
            sql(path, "SELECT colour FROM job")

    def test_a_newer_ledger_is_refused(self, path: Path) -> None:
        """Both versions are named, and the file is not touched."""
        SqliteLedger(path, migrations=NEXT_MIGRATIONS).close()
        before = path.read_bytes()
        with pytest.raises(ConfigurationError, match=r"version 2.*up to 1.*Upgrade provwatch") as caught:
            SqliteLedger(path)
        assert (caught.value.code, caught.value.where) == ("ledger-newer", str(path))
        assert path.read_bytes() == before

    def test_many_processes_upgrade_once(self, path: Path) -> None:
        """Whoever comes second finds the work done, and leaves the backup of the old ledger alone."""
        with SqliteLedger(path) as ledger:
            receive(ledger)
        script = """if True:
            import sys
            from provwatch.ledger.schema import MIGRATIONS
            from provwatch.ledger.sqlite import SqliteLedger
            sys.stdin.readline()
            steps = (*MIGRATIONS, ("ALTER TABLE job ADD COLUMN colour TEXT",), ("CREATE TABLE extra (x)",))
            with SqliteLedger(sys.argv[1], network=False, migrations=steps) as ledger:
                print(len(list(ledger.jobs())))
        """
        assert race(script, path) == ["1"] * 4
        assert sql(path, "PRAGMA user_version") == 3
        assert sql(path.with_name("ledger.db.backup-v1"), "PRAGMA user_version") == 1


def race(script: str, *arguments: object) -> list[str]:
    """Start four processes that first read a line, let them all go, and return what each one printed."""
    processes = [start(script, *arguments) for _ in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=30)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    return answers


class TestProcesses:
    """Several provwatch at one ledger, and some that die."""

    CLAIM_ALL = """if True:
        import random, sys
        from provwatch.ledger import NewJob
        from provwatch.ledger.sqlite import SqliteLedger
        sys.stdin.readline()
        with SqliteLedger(sys.argv[1], network=sys.argv[2] == "network") as ledger:
            jobs = ledger.receive([NewJob(f"run {number}", "source") for number in range(50)])
            random.shuffle(jobs)
            print(*(job.id for job in jobs if ledger.claim(job.id, 60)))
    """

    @pytest.mark.parametrize("place", ["local", "network"])
    def test_of_many_processes_exactly_one_gets_each_job(self, path: Path, place: str) -> None:
        """Starting without a ledger, each opens it, receives the same jobs and claims them all.

        On a network file system they take turns. At first they could not, for each kept its lock for readers
        while it waited for the other's.
        """
        claims = [job_id for answer in race(self.CLAIM_ALL, path, place) for job_id in answer.split()]
        with SqliteLedger(path) as ledger:
            assert sorted(claims) == [job.id for job in ledger.jobs(newest_first=False)]
        assert len(claims) == 50

    CLAIM_AND_WAIT = """if True:
        import sys, time
        from provwatch.ledger import State
        from provwatch.ledger.sqlite import SqliteLedger
        ledger = SqliteLedger(sys.argv[1], network=False)
        claim = ledger.claim(sys.argv[2], 60)
        ledger.move(claim, State.PUBLISHING, probe="seen")
        print("publishing", flush=True)
        time.sleep(60)
    """

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
    def test_the_job_of_a_killed_process_is_taken_over(self, path: Path) -> None:
        """Its claim outlives it until the lease runs out; what it recorded is there."""
        clock = Clock(time.time())
        with SqliteLedger(path, clock=clock, network=False) as ledger:
            job = receive(ledger)
            with start(self.CLAIM_AND_WAIT, path, job.id) as process:
                assert process.stdout is not None
                assert process.stdout.readline() == "publishing\n"
                process.send_signal(signal.SIGKILL)
            assert ledger.claim(job.id, LEASE_SECONDS) is None
            clock.sleep(61 + LEASE_SECONDS)
            held = claim(ledger, job)
            assert held.fence == 2
            assert ledger.move(held, State.DONE).probe == "seen"

    WRITE_FOR_EVER = """if True:
        import itertools, sys
        from provwatch.ledger import NewJob, State
        from provwatch.ledger.sqlite import SqliteLedger
        ledger = SqliteLedger(sys.argv[1], network=sys.argv[2] == "network")
        for number in itertools.count():
            jobs = ledger.receive([NewJob(f"{number} {half}", "source") for half in ("left", "right")])
            ledger.move(ledger.claim(jobs[0].id, 60), State.DONE)
            print(number, flush=True)
    """

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
    @pytest.mark.parametrize("seconds", [0.01, 0.05, 0.1])
    @pytest.mark.parametrize("place", ["local", "network"])
    def test_a_process_killed_while_writing_leaves_a_whole_ledger(
        self,
        path: Path,
        place: str,
        seconds: float,
    ) -> None:
        """Batches are there as a whole or not at all, and nothing that was confirmed is lost."""
        with start(self.WRITE_FOR_EVER, path, place) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
            confirmed = ["0", *process.stdout.read().split("\n")[:-1]]
        with SqliteLedger(path, network=place == "network") as ledger:
            keys = {job.key for job in ledger.jobs()}
            done = {job.key for job in ledger.jobs(states=[State.DONE])}
        assert {f"{number} left" for number in confirmed} <= done
        assert {key.replace("left", "right") for key in keys} == {key for key in keys if "right" in key}
        assert sql(path, "PRAGMA integrity_check") == "ok"

    def test_opening_waits_for_a_process_that_writes(self, path: Path) -> None:
        """Also where SQLite itself would not wait: for the write-ahead log to be switched on."""
        SqliteLedger(path, network=True).close()
        with closing(sqlite3.connect(path, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            Timer(0.1, other.rollback).start()
            with SqliteLedger(path, network=False) as ledger:
                assert receive(ledger)
        assert sql(path, "PRAGMA journal_mode") == "wal"

    def test_a_ledger_that_others_hold_too_long_says_so(self, path: Path) -> None:
        """The error names the file; nothing was written, and the ledger works again afterwards."""
        with (
            SqliteLedger(path, network=False, busy_seconds=0.05) as ledger,
            closing(sqlite3.connect(path)) as other,
        ):
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(ProvwatchError, match="Another process") as caught:
                receive(ledger)
            assert (caught.value.code, caught.value.where) == ("ledger-busy", str(path))
            assert list(ledger.jobs()) == []
            other.rollback()
            assert receive(ledger).state is State.RECEIVED


class TestBadDays:
    """Files and disks that are not what they should be: a sentence with a next step, never a traceback."""

    def test_an_empty_file_becomes_a_ledger(self, path: Path) -> None:
        """A crash between making the file and its tables does no harm."""
        path.touch()
        with SqliteLedger(path) as ledger:
            assert receive(ledger)

    @pytest.mark.parametrize("network", [False, True], ids=["local", "network"])
    def test_a_file_that_is_no_database(self, path: Path, network: bool) -> None:  # noqa: FBT001 - a table row
        """It is left as it is for the person to move away."""
        path.write_bytes(b"not a ledger, but something long enough to be taken for one " * 20)
        before = path.read_bytes()
        with pytest.raises(ConfigurationError, match="Move it away to start again") as caught:
            SqliteLedger(path, network=network)
        assert (caught.value.code, caught.value.where) == ("ledger-broken", str(path))
        assert path.read_bytes() == before

    def test_a_damaged_ledger(self, path: Path) -> None:
        """Damage inside the file is found when it is read."""
        with SqliteLedger(path) as ledger:
            ledger.receive([NewJob(f"run {number}", SOURCE) for number in range(200)])
        content = bytearray(path.read_bytes())
        content[4096:] = b"\xff" * (len(content) - 4096)
        path.write_bytes(content)
        with pytest.raises(ConfigurationError) as caught, SqliteLedger(path) as ledger:
            list(ledger.jobs())
        assert caught.value.code == "ledger-broken"

    def test_the_database_of_another_program(self, path: Path) -> None:
        """Nothing is added to it."""
        sql(path, "CREATE TABLE bookmarks (url)")
        before = path.read_bytes()
        with pytest.raises(ConfigurationError, match="another program") as caught:
            SqliteLedger(path)
        assert caught.value.code == "ledger-foreign"
        assert path.read_bytes() == before

    def test_a_folder_in_the_place_of_the_ledger(self, path: Path) -> None:
        """A folder is no file."""
        path.mkdir()
        with pytest.raises(ConfigurationError, match="PROVWATCH_HOME") as caught:
            SqliteLedger(path)
        assert caught.value.code == "ledger-unwritable"

    def test_a_file_in_the_place_of_its_folder(self, path: Path) -> None:
        """A file is no folder."""
        path.touch()
        with pytest.raises(ConfigurationError, match="PROVWATCH_HOME") as caught:
            SqliteLedger(path / "home" / "ledger.db")
        assert caught.value.code == "ledger-unwritable"

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
    def test_a_folder_that_is_not_ours(self, path: Path) -> None:
        """Without permission to write there is no ledger; as somebody whom permissions hold for, root or not."""
        script = """if True:
            import sys
            from provwatch.errors import ConfigurationError
            from provwatch.ledger.sqlite import SqliteLedger
            try:
                SqliteLedger(sys.argv[1])
            except ConfigurationError as error:
                print(error.code, error)
        """
        path.parent.chmod(0o500)
        finished = run_script(script, path, others=True)
        path.parent.chmod(0o700)
        assert finished.stdout.startswith("ledger-unwritable "), finished.stderr
        assert "Permission denied" in finished.stdout
        assert not path.exists()

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
    def test_a_disk_that_takes_no_more(self, path: Path) -> None:
        """A write that fails, here by a limit on file sizes, leaves the ledger as it was, ready to go on."""
        script = """if True:
            import resource, sys
            from provwatch.errors import ProvwatchError
            from provwatch.ledger import NewJob
            from provwatch.ledger.sqlite import SqliteLedger
            with SqliteLedger(sys.argv[1]) as ledger:
                ledger.receive([NewJob("before", "source")])
                resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
                try:
                    ledger.receive([NewJob("during", "source", description="x" * 1_000_000)])
                except ProvwatchError as error:
                    print(error.code)
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                ledger.receive([NewJob("after", "source")])
        """
        with start(script, path) as process:
            assert process.communicate(timeout=30)[0] == "ledger-disk\n"
        with SqliteLedger(path) as ledger:
            assert [job.key for job in ledger.jobs()] == ["after", "before"]

    def test_a_full_disk(self, path: Path) -> None:
        """SQLite's own limit on pages raises the very error of a full disk."""
        with SqliteLedger(path) as ledger:
            job = receive(ledger)
            ledger._connection.execute("PRAGMA max_page_count = 20")
            with pytest.raises(ProvwatchError, match="disk is full") as caught:
                ledger.receive([NewJob(f"run {number}", "x" * 1000) for number in range(1000)])
            assert (caught.value.code, caught.value.where) == ("ledger-full", str(path))
            assert list(ledger.jobs()) == [job]

    def test_a_disk_that_became_read_only(self, path: Path) -> None:
        """The errors of a connection that cannot write are explained."""
        SqliteLedger(path).close()
        with (
            closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection,
            pytest.raises(ConfigurationError) as caught,
            explained(str(path)),
        ):
            connection.execute("DELETE FROM job")
        assert caught.value.code == "ledger-unwritable"
        assert isinstance(caught.value.__cause__, sqlite3.OperationalError)

    def test_an_error_of_ours_is_not_explained_away(self, path: Path) -> None:
        """A mistake in the SQL is a bug, and shows as one."""
        with (
            closing(sqlite3.connect(path)) as connection,
            pytest.raises(sqlite3.OperationalError, match="syntax"),
            explained(str(path)),
        ):
            connection.execute("NONSENSE")

    def test_a_failure_within_a_batch_leaves_nothing(self, path: Path) -> None:
        """All jobs of a batch are received, or none."""
        with SqliteLedger(path) as ledger:
            with pytest.raises(AttributeError):
                ledger.receive([NewJob("good", SOURCE), None])  # type: ignore[list-item]  # the mistake
            assert list(ledger.jobs()) == []

    def test_two_ids_that_collide(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Processes that draw the same number in the same millisecond still make two jobs."""
        monkeypatch.setattr("os.urandom", bytes)
        clock = Clock(NOON)
        with (
            SqliteLedger(path, clock=clock, network=False) as one,
            SqliteLedger(path, clock=clock, network=False) as two,
        ):
            assert receive(one, "a").id < receive(two, "b").id
