"""A dry run says what the real one would do, and writes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Finished
from publish.trees import copy_tree, footprint, write_tree

Run = Callable[..., Finished]


class TestDryRun:
    """``--dry-run`` says what would happen."""

    @pytest.fixture
    def dry(self, provwatch: Run, registry: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
        """Do a dry run, see that it leaves no trace anywhere, and return its plan."""

        def call(*arguments: object) -> dict[str, Any]:
            before = footprint(tmp_path, Path.cwd())
            finished = provwatch("package", *arguments, "--registry", registry, "--dry-run", "--json")
            assert footprint(tmp_path, Path.cwd()) == before
            assert finished.code == 0, finished
            assert finished.json["outcome"] == "planned"
            plan: dict[str, Any] = finished.json["plan"]
            return plan

        return call

    @pytest.mark.parametrize("used", [False, True], ids=["at first", "after others"])
    def test_it_writes_nothing_at_all(self, run: Path, tmp_path: Path, package: Run, dry: Run, *, used: bool) -> None:
        """No registry, no ledger, no cache, not even a time stamp of one."""
        if used:
            package(write_tree(tmp_path / "other/run", {"x": "x"}))
        assert dry(run) == {"commit_message": "Files of run", "read_bytes": 3, "store_bytes": 0, "would": "push"}

    @pytest.mark.usefixtures("aged")
    def test_a_duplicate(self, run: Path, package: Run, dry: Run) -> None:
        """Where every hash is known, nothing is read to find out."""
        package(run)
        assert dry(run) | {"commit_message": ""} == {
            "commit_message": "",
            "read_bytes": 0,
            "store_bytes": 0,
            "would": "duplicate",
            "diff": {"added": [], "removed": [], "changed": [], "not_read": [], "metadata": []},
        }

    @pytest.mark.usefixtures("aged")
    def test_a_change(self, run: Path, package: Run, dry: Run) -> None:
        """Another size is another content; the same size may be."""
        package(run)
        (run / "summary.txt").write_text("4")
        assert (dry(run)["would"], dry(run)["read_bytes"]) == ("push unless the content is the same", 1)
        assert dry(run, "--dedup", "off")["would"] == "push"
        (run / "summary.txt").write_text("44")
        assert (dry(run)["would"], dry(run)["read_bytes"]) == ("push", 2)

    @pytest.mark.parametrize(
        ("known", "changed", "not_read"),
        [
            pytest.param(False, ["counts/S1.tsv"], ["summary.txt"], id="sizes alone"),
            pytest.param(True, ["counts/S1.tsv", "summary.txt"], [], id="all hashes known"),
        ],
    )
    @pytest.mark.usefixtures("aged")
    def test_what_differs_from_the_package(
        self, run: Path, package: Run, dry: Run, *, known: bool, changed: list[str], not_read: list[str]
    ) -> None:
        """Compared with the head: by content where all hashes are known, otherwise by name and size."""
        package(run)
        write_tree(run, {"counts/S1.tsv": "11", "summary.txt": "4", "new": "5"})
        (run / "counts/S2.tsv").unlink()
        if known:
            package(run, "--name", "lab/other", "--take-over")
        assert dry(run, "--metadata", '{"project": "x"}', "--name", "lab/run", "--take-over")["diff"] == {
            "added": ["new"],
            "removed": ["counts/S2.tsv"],
            "changed": changed,
            "not_read": not_read,
            "metadata": ["project"],
        }

    def test_what_differs_for_people(self, run: Path, registry: Path, package: Run, provwatch: Run) -> None:
        """A few lines, with the first names."""
        package(run)
        write_tree(run, {f"many/{number}": "x" for number in range(8)})
        (run / "counts/S2.tsv").unlink()
        said = provwatch("package", run, "--registry", registry, "--dry-run").out
        assert "would add   8: many/0, many/1, many/2, many/3, many/4, many/5, ...\n" in said
        assert "would drop  1: counts/S2.tsv\n" in said
        assert "same size   2, content not read\n" in said
        assert "would change" not in said

    def test_what_would_be_copied(self, run: Path, tmp_path: Path, dry: Run) -> None:
        """Copies, and what links lead to outside the folder."""
        work = write_tree(tmp_path / "work", {"x": "four"})
        (run / "x").symlink_to(work / "x")
        assert dry(run)["store_bytes"] == 4
        assert dry(run, "--link")["store_bytes"] == 0
        assert dry(run, "--copy")["store_bytes"] == 7

    def test_a_taken_name(self, run: Path, tmp_path: Path, registry: Path, provwatch: Run, package: Run) -> None:
        """What would fail fails."""
        package(run)
        other = write_tree(tmp_path / "other", {"x": "x"})
        finished = provwatch("package", other, "--name", "lab/run", "--registry", registry, "--dry-run", "--json")
        assert (finished.code, finished.json["code"]) == (1, "name-taken")

    def test_emitting(self, run: Path, tmp_path: Path, provwatch: Run, dry: Run) -> None:
        """Nothing is sent; what would go to stdout leaves it empty."""
        assert dry(run, "--emit", tmp_path / "out.jsonl")["would"] == "emit"
        finished = provwatch("package", run, "--emit", "-", "--dry-run", "--json")
        assert (finished.out, json.loads(finished.err)["plan"]["would"]) == ("", "emit")

    def test_for_people(self, run: Path, registry: Path, provwatch: Run) -> None:
        """The summary says what would happen."""
        said = provwatch("package", run, "--registry", registry, "--dry-run")
        assert "planned lab/run" in said.out
        assert "would" in said.out


class TestDryRuns:
    """A dry run knows what the real one knows."""

    def test_a_name_that_is_taken(self, run: Path, package: Run) -> None:
        """The ledger is asked, though nothing is written to it."""
        package(run, "--copy", "--name", "lab/kept")
        twin = copy_tree(run, run.with_name("twin"))
        assert package(twin, "--name", "lab/kept", "--dry-run", code=1)["code"] == "name-taken"

    def test_copies(self, run: Path, package: Run) -> None:
        """It says that bytes would be put elsewhere."""
        package(run)
        assert package(run, "--copy", "--dry-run")["plan"]["would"] in {
            "relocate",
            "push unless the content is the same",
        }
