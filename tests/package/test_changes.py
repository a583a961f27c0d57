"""Folders and packages that change while they are worked on, and being asked to stop."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import quilt3

from conftest import Finished
from provwatch import processor, publication
from provwatch.ledger import HELD, Job
from provwatch.ledger.sqlite import SqliteLedger
from provwatch.publish.local import LocalRegistry
from publish.processes import provwatch_command, run_command, start_provwatch
from publish.registries import browse, check_readable, content, revisions
from publish.trees import stored_bytes, write_tree

Run = Callable[..., Finished]


class TestChanges:
    """Files that change while they are packaged, and others who publish."""

    def test_a_file_that_changes_once(
        self, run: Path, registry: Path, package: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The folder is looked at again, and what is packaged is what is there then."""
        reached: list[str] = []

        def meddle(name: str) -> None:
            if name == "after_store" and not reached:
                reached.append(name)
                (run / "summary.txt").write_text("changed meanwhile")

        for module in (processor, publication):
            monkeypatch.setattr(module, "reach", meddle)
        assert package(run)["outcome"] == "pushed"
        assert content(registry, "lab/run")["summary.txt"] == b"changed meanwhile"
        check_readable(registry)

    @pytest.mark.parametrize("place", ["after_hash", "after_store"])
    @pytest.mark.parametrize("options", [[], ["--copy"]], ids=["in place", "copied"])
    def test_a_file_that_never_rests(
        self,
        run: Path,
        registry: Path,
        package: Run,
        monkeypatch: pytest.MonkeyPatch,
        place: str,
        options: list[str],
    ) -> None:
        """After three tries it is an error that names the file, and nothing is published."""
        times: list[str] = []

        def meddle(name: str) -> None:
            if name == place:
                times.append(name)
                (run / "summary.txt").write_text("x" * len(times))

        for module in (processor, publication):
            monkeypatch.setattr(module, "reach", meddle)
        outcome = package(run, *options, code=1)
        assert (outcome["code"], len(times)) == ("changed-while-reading", processor.TRIES)
        assert "summary.txt" in outcome["reason"]
        assert not (registry / ".quilt").exists()

    def test_a_folder_that_is_emptied_meanwhile(
        self, run: Path, registry: Path, package: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is refused as any empty folder is."""

        def meddle(name: str) -> None:
            if name == "after_store":
                for path in [path for path in run.rglob("*") if path.is_file()]:
                    path.unlink()

        for module in (processor, publication):
            monkeypatch.setattr(module, "reach", meddle)
        assert package(run, code=1)["code"] == "empty"
        assert not (registry / ".quilt").exists()

    def test_a_file_that_appears_meanwhile(
        self, run: Path, registry: Path, package: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is in the package."""

        def meddle(name: str) -> None:
            if name == "after_hash" and not (run / "late").exists():
                write_tree(run, {"late": "x"})

        for module in (processor, publication):
            monkeypatch.setattr(module, "reach", meddle)
        package(run)
        assert "late" in content(registry, "lab/run")

    def meanwhile(self, monkeypatch: pytest.MonkeyPatch, registry: Path, files: Path, times: int = 1) -> list[str]:
        """Have somebody else publish some files under the name directly before provwatch does."""
        made: list[str] = []
        publish = LocalRegistry.publish

        def late(self: LocalRegistry, revision: Any, expected: str) -> str:
            if len(made) < times:
                package = quilt3.Package().set_dir("/", str(files)).set_meta({"turn": len(made)} if times > 1 else {})
                time.sleep(1.05 - time.time() % 1)
                made.append(package.build("lab/run", registry=str(registry)))
            return publish(self, revision, expected)

        monkeypatch.setattr(LocalRegistry, "publish", late)
        return made

    def test_another_revision_meanwhile(
        self, run: Path, tmp_path: Path, registry: Path, package: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Ours is compared with it and comes after it: none is lost."""
        made = self.meanwhile(monkeypatch, registry, write_tree(tmp_path / "other", {"x": "x"}))
        outcome = package(run, "--take-over")
        assert outcome["outcome"] == "pushed"
        assert revisions(registry, "lab/run") == [*made, outcome["top_hash"]]

    def test_the_same_revision_meanwhile(
        self, run: Path, registry: Path, package: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Then ours is a duplicate: none is doubled."""
        made = self.meanwhile(monkeypatch, registry, run)
        outcome = package(run)
        assert (outcome["outcome"], outcome["top_hash"]) == ("duplicate", made[0])
        assert revisions(registry, "lab/run") == made

    def test_another_revision_each_time(
        self, run: Path, tmp_path: Path, registry: Path, package: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After three tries it is an error, and the others' revisions are all there."""
        made = self.meanwhile(monkeypatch, registry, write_tree(tmp_path / "other", {"x": "x"}), times=9)
        outcome = package(run, "--take-over", code=1)
        assert (outcome["code"], len(made)) == ("head-moved", processor.TRIES)
        assert revisions(registry, "lab/run") == made

    @pytest.mark.parametrize("same", [False, True], ids=["two contents", "one content"])
    def test_two_processes_at_once(self, run: Path, tmp_path: Path, registry: Path, *, same: bool) -> None:
        """Two of them give two revisions in order, or one and a duplicate; never a lost or a doubled one."""
        other = run if same else write_tree(tmp_path / "other", {"x": "x"})
        options = ("--registry", registry, "--name", "lab/run", "--take-over", "--json")
        for _turn in range(2):
            write_tree(run, {"turn": str(time.time())})
            write_tree(other, {"turn": str(time.time())})
            before = revisions(registry, "lab/run") if registry.exists() else []
            both = [start_provwatch("package", folder, *options) for folder in (run, other)]
            ended = [process.communicate(timeout=60) for process in both]
            outcomes = [json.loads(out) for out, _ in ended]
            assert [process.returncode for process in both] == [0, 0], ended
            words = sorted(outcome["outcome"] for outcome in outcomes)
            made = revisions(registry, "lab/run")[len(before) :]
            assert words == (["duplicate", "pushed"] if same else ["pushed", "pushed"])
            assert sorted(made) == sorted(one["top_hash"] for one in outcomes if one["outcome"] == "pushed")
            assert browse(registry, "lab/run").top_hash == made[-1]
            check_readable(registry)

    def test_stopping(self, tmp_path: Path, registry: Path, provwatch: Run) -> None:
        """The first Ctrl-C hands back what is in hand: exit 0, nothing published, and a retry does it."""
        run = tmp_path / "lab/run"
        run.mkdir(parents=True)
        with (run / "large").open("wb") as file:
            file.truncate(60 << 30)
        process = start_provwatch("package", run, "--registry", registry, "--threads", "1", "--json")
        try:
            while "claimed" not in provwatch("history").out:
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
        assert process.returncode == 0, err
        assert json.loads(out)["code"] == "interrupted"
        assert "stopping" in err
        assert stored_bytes(registry) == {}
        (run / "large").write_text("small")
        assert provwatch("history", "retry", json.loads(out)["id"], "--json").json["outcome"] == "pushed"


class TestBeingAskedToStop:
    """What is left behind, and what is seen of it."""

    def test_a_job_whose_process_died_is_closed(self, run: Path, registry: Path, provwatch: Run) -> None:
        """The next success closes it."""
        command = provwatch_command("package", run, "--registry", registry)
        run_command(command, PROVWATCH_FAILPOINT="after_hash")
        assert [json.loads(line)["state"] for line in provwatch("history", "--json").out.splitlines()] == ["claimed"]
        provwatch("package", run, "--registry", registry)
        jobs = [json.loads(line) for line in provwatch("history", "--json").out.splitlines()]
        assert [(job["state"], job["outcome"]) for job in jobs] == [("done", "pushed"), ("skipped", "superseded")]

    def test_litter_is_swept(self, run: Path, registry: Path, package: Run) -> None:
        """What was left half-done more than a day ago goes with the next revision."""
        old, new = registry / ".provwatch/tmp/old", registry / ".provwatch/staging/new"
        for path in (old, new):
            path.parent.mkdir(parents=True)
            path.write_text("half")
        os.utime(old, (0, 0))
        package(run)
        assert (old.exists(), new.exists()) == (False, True)

    def test_a_job_that_another_closed_meanwhile(
        self, run: Path, registry: Path, package: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Being second at tidying up does not spoil what was published."""
        command = provwatch_command("package", run, "--registry", registry)
        run_command(command, PROVWATCH_FAILPOINT="after_hash")
        real = SqliteLedger.jobs

        def forgotten(ledger: SqliteLedger, **wanted: Any) -> Iterator[Job]:
            for job in list(real(ledger, **wanted)):
                if wanted.get("states") == HELD:
                    ledger.forget(job.id)
                yield job

        monkeypatch.setattr(SqliteLedger, "jobs", forgotten)
        assert package(run)["outcome"] == "pushed"
