"""When a revision is made, and when nothing happens: real folders, a real registry, and quilt3 to look into it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import quilt3

from conftest import Finished
from package.lost import no_ledger
from provwatch import look, publication
from provwatch.publish import local
from publish.processes import run_like_others
from publish.registries import browse, check_readable, content, revisions
from publish.trees import copy_tree, footprint, stored_bytes, write_tree

Run = Callable[..., Finished]


class TestNothingHappens:
    """What is there already is not made again."""

    @pytest.mark.parametrize("lost", [False, True], ids=["with the ledger", "without the ledger"])
    @pytest.mark.parametrize("old", [False, True], ids=["fresh files", "old files"])
    def test_the_same_content_twice(
        self, run: Path, registry: Path, package: Run, request: pytest.FixtureRequest, *, lost: bool, old: bool
    ) -> None:
        """The second time is a duplicate, and not one byte or time stamp of the registry changes."""
        if old:
            request.getfixturevalue("aged")
        first = package(run)
        before = footprint(registry, run)
        if lost:
            no_ledger()
        second = package(run)
        assert (first["outcome"], second["outcome"], second["code"]) == ("pushed", "duplicate", "duplicate")
        assert (second["top_hash"], second["fingerprint"]) == (first["top_hash"], first["fingerprint"])
        assert footprint(registry, run) == before
        assert revisions(registry, "lab/run") == [first["top_hash"]]

    def test_a_registry_that_may_only_be_read(self, run: Path, registry: Path, package: Run) -> None:
        """A duplicate needs no permission to write."""
        package(run)
        folders = [path for path in (registry, *registry.rglob("*")) if path.is_dir()]
        for folder in folders:
            folder.chmod(0o500)
        finished = run_like_others("package", run, "--registry", registry, "--json")
        changed = write_tree(run, {"more": "x"}) and run_like_others("package", run, "--registry", registry, "--json")
        for folder in folders:
            folder.chmod(0o700)
        assert json.loads(finished.stdout)["outcome"] == "duplicate", finished
        assert (changed.returncode, json.loads(changed.stdout)["code"]) == (4, "unwritable")

    def test_the_registry_in_the_folder(self, run: Path, package: Run) -> None:
        """A registry inside the results is not part of them."""
        first = package(run, "--registry", run)
        assert (first["outcome"], first["entries"]) == ("pushed", 3)
        assert package(run, "--registry", run)["outcome"] == "duplicate"
        assert package(run, "--registry", run / "sub")["outcome"] == "pushed"
        assert package(run, "--registry", run / "sub")["outcome"] == "duplicate"

    @pytest.mark.usefixtures("aged")
    def test_touching_is_no_change(self, run: Path, registry: Path, package: Run) -> None:
        """Other time stamps, same bytes: nothing is written."""
        package(run)
        before = footprint(registry)
        os.utime(run / "summary.txt", (1, 1))
        assert package(run)["outcome"] == "duplicate"
        assert footprint(registry) == before

    def test_what_quilt3_made_is_seen(self, run: Path, registry: Path, package: Run) -> None:
        """A package that quilt3 built from the same files is the same content."""
        top_hash = quilt3.Package().set_dir("/", str(run)).build("lab/run", registry=str(registry), message="by hand")
        before = footprint(registry)
        outcome = package(run)
        assert (outcome["outcome"], outcome["top_hash"]) == ("duplicate", top_hash)
        assert footprint(registry) == before

    def test_another_message_is_no_change(self, run: Path, package: Run) -> None:
        """A commit message describes a revision and is no reason for one."""
        package(run)
        assert package(run, "--message", "now with feeling")["outcome"] == "duplicate"

    @pytest.mark.usefixtures("aged")
    def test_nothing_is_read_again(self, run: Path, package: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """An unchanged folder is known by its probe alone: no file is opened, no manifest is read."""
        package(run)
        monkeypatch.setattr(publication, "read_content", None)
        monkeypatch.setattr(local, "parse_manifest", None)
        assert package(run)["outcome"] == "duplicate"


class TestRevisions:
    """Each change is one revision."""

    @pytest.mark.parametrize("lost", [False, True], ids=["with the ledger", "without the ledger"])
    def test_there_and_back(self, run: Path, registry: Path, package: Run, *, lost: bool) -> None:
        """A, B, A gives three revisions, of which the last equals the first."""
        made = []
        for text in ("A", "B", "A"):
            (run / "summary.txt").write_text(text)
            made.append(package(run))
            if lost:
                no_ledger()
        assert [outcome["outcome"] for outcome in made] == ["pushed"] * 3
        hashes = [outcome["top_hash"] for outcome in made]
        assert hashes[0] == hashes[2] != hashes[1]
        assert revisions(registry, "lab/run") == hashes
        assert content(registry, "lab/run")["summary.txt"] == b"A"

    @pytest.mark.usefixtures("aged")
    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda run: (run / "summary.txt").write_text("4"), id="a byte"),
            pytest.param(lambda run: (run / "summary.txt").unlink(), id="a file less"),
            pytest.param(lambda run: (run / "more.txt").write_text(""), id="an empty file more"),
            pytest.param(lambda run: (run / "summary.txt").rename(run / "Summary.txt"), id="a name"),
        ],
    )
    def test_every_change_counts(self, run: Path, registry: Path, package: Run, change: Callable[[Path], Any]) -> None:
        """Whatever changes in the folder, the package follows."""
        first = package(run)
        change(run)
        second = package(run)
        assert second["outcome"] == "pushed"
        assert second["fingerprint"] != first["fingerprint"]
        assert set(content(registry, "lab/run")) == {
            path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()
        }

    def test_user_metadata_counts(self, run: Path, registry: Path, package: Run) -> None:
        """What a person says of a package is part of its content, and leaving it away is a change as well."""
        made = [
            package(run, *more)["outcome"]
            for more in (
                [],
                ["--metadata", '{"project": "atlas"}'],
                ["--metadata", '{"project": "atlas"}'],
                ["--metadata", '{"project": "beta"}'],
                [],
            )
        ]
        assert made == ["pushed", "pushed", "duplicate", "pushed", "pushed"]
        assert browse(registry, "lab/run").meta == {"schema": "1", "warnings": ["no-crate"]}

    def test_dedup_off(self, run: Path, registry: Path, package: Run) -> None:
        """Without it every call is a revision, of the same top hash."""
        first = package(run)
        assert package(run, "--dedup", "off")["outcome"] == "pushed"
        assert revisions(registry, "lab/run") == [first["top_hash"]] * 2

    def test_a_revision_made_by_hand(self, run: Path, registry: Path, package: Run) -> None:
        """The head is what counts: after somebody else's revision the folder is packaged again."""
        first = package(run)
        other = quilt3.Package().set("x", str(run / "summary.txt")).build("lab/run", registry=str(registry))
        time.sleep(1.1 - time.time() % 1)
        assert package(run)["top_hash"] == first["top_hash"]
        assert revisions(registry, "lab/run")[-2:] == [other, first["top_hash"]]

    def test_refresh(self, run: Path, registry: Path, package: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """An upgrade of provwatch alone writes no revision; --refresh describes again, once."""
        package(run)
        with monkeypatch.context() as upgraded:
            upgraded.setattr(look, "NO_CRATE", "no-run-crate")
            assert package(run)["outcome"] == "duplicate"
            assert package(run, "--refresh")["outcome"] == "pushed"
            assert package(run, "--refresh")["outcome"] == "duplicate"
        assert browse(registry, "lab/run").meta["warnings"] == ["no-run-crate"]

    @pytest.mark.parametrize(("dedup", "outcome"), [("content", "pushed"), ("outputs", "duplicate")])
    @pytest.mark.parametrize("pipeline", ["multi-module", "exec-process"])
    def test_a_resumed_run(
        self, recorded: Path, tmp_path: Path, registry: Path, package: Run, pipeline: str, dedup: str, outcome: str
    ) -> None:
        """A ``-resume`` that changed nothing has other times and another order, and the same outputs."""
        for name in ("results", "results_resume"):
            copy_tree(recorded / pipeline / name, tmp_path / pipeline / name)
        more = ("--name", "lab/run", "--dedup", dedup)
        assert package(tmp_path / pipeline / "results", *more)["outcome"] == "pushed"
        before = footprint(registry)
        again = package(tmp_path / pipeline / "results_resume", "--take-over", *more)
        assert again["outcome"] == outcome
        if outcome == "duplicate":
            assert footprint(registry) == before

    def test_outputs_see_a_changed_output(self, recorded: Path, tmp_path: Path, package: Run) -> None:
        """Under --dedup outputs a changed result is a revision."""
        results = copy_tree(recorded / "multi-module/results", tmp_path / "lab/results")
        assert package(results, "--dedup", "outputs")["outcome"] == "pushed"
        (results / "pipeline_info/trace.txt").write_text("other")
        assert package(results, "--dedup", "outputs")["outcome"] == "duplicate"
        (results / "summary.csv").write_text("other")
        assert package(results, "--dedup", "outputs")["outcome"] == "pushed"


class TestPlaces:
    """A duplicate also means that the bytes are where they were asked to be."""

    def test_copies_are_made_afterwards(self, run: Path, registry: Path, package: Run) -> None:
        """--copy on a package that refers to files in place copies them; it stays the same revision."""
        first = package(run)
        adopted = package(run, "--copy")
        assert (adopted["outcome"], adopted["code"]) == ("pushed", "relocated")
        assert adopted["top_hash"] == first["top_hash"]
        assert len(revisions(registry, "lab/run")) == 1
        assert package(run, "--copy")["outcome"] == "duplicate"
        for path in sorted(run.rglob("*")):
            if path.is_file():
                path.unlink()
        check_readable(registry)
        assert stored_bytes(registry)

    def test_copies_stay_without_the_option(self, run: Path, package: Run) -> None:
        """What the registry keeps already need not lie in place."""
        package(run, "--copy")
        assert package(run)["outcome"] == "duplicate"

    def test_a_folder_that_moved(self, run: Path, registry: Path, package: Run) -> None:
        """A package that is taken over by the folder's new place refers to that place."""
        package(run, "--name", "lab/kept")
        moved = run.rename(run.with_name("moved"))
        assert package(moved, "--name", "lab/kept", code=1)["code"] == "name-taken"
        assert package(moved, "--name", "lab/kept", "--take-over")["code"] == "relocated"
        assert package(moved, "--name", "lab/kept")["outcome"] == "duplicate"
        check_readable(registry)

    def test_objects_that_were_lost(self, run: Path, registry: Path, package: Run) -> None:
        """Bytes that are gone from the registry are put back."""
        package(run, "--copy")
        for path in (registry / ".provwatch/objects").iterdir():
            path.unlink()
        assert package(run, "--copy")["code"] == "relocated"
        check_readable(registry)

    def test_a_taken_over_name_is_held(self, run: Path, package: Run) -> None:
        """Who takes a name over holds it, also where nothing had to be written."""
        package(run, "--copy", "--name", "lab/kept")
        twin = copy_tree(run, run.with_name("twin"))
        assert package(twin, "--copy", "--name", "lab/kept", "--take-over")["outcome"] == "duplicate"
        (twin / "more").write_text("more")
        assert package(twin, "--copy", "--name", "lab/kept")["outcome"] == "pushed"


class TestHolding:
    """Whose name it is."""

    def test_a_description_holds_nothing(self, run: Path, tmp_path: Path, package: Run) -> None:
        """Only a revision makes a name somebody's."""
        package(run, "--name", "lab/kept", "--emit", tmp_path / "d.jsonl")
        twin = copy_tree(run, run.with_name("twin"))
        assert package(twin, "--name", "lab/kept")["outcome"] == "pushed"

    def test_an_empty_target(self, run: Path, provwatch: Run) -> None:
        """An unset variable does not publish."""
        finished = provwatch("package", run, "--emit", "")
        assert (finished.code, finished.out) == (2, "")
        assert "--emit is empty" in finished.err
