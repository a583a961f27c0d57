"""What a package is called, and what a user adds to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Finished
from package.lost import no_ledger
from provwatch.description import folder_uri
from publish.registries import browse, content, revisions
from publish.trees import write_tree

Run = Callable[..., Finished]


class TestNames:
    """One package, one source."""

    @pytest.fixture
    def other(self, tmp_path: Path) -> Path:
        """Return another folder that would have the same name."""
        return write_tree(tmp_path / "elsewhere/lab/run", {"x": "other"})

    @pytest.mark.parametrize(
        ("lost", "options"),
        [
            pytest.param(False, [], id="by the ledger"),
            pytest.param(False, ["--copy"], id="by the ledger, copied"),
            pytest.param(True, [], id="by where the head's entries lie"),
        ],
    )
    def test_a_taken_name(
        self, run: Path, other: Path, registry: Path, package: Run, options: list[str], *, lost: bool
    ) -> None:
        """A package that is made from another folder is not overwritten by accident."""
        first = package(run, *options)
        if lost:
            no_ledger()
        refused = package(other, code=1)
        assert (refused["outcome"], refused["code"], refused["package"]) == ("failed", "name-taken", "lab/run")
        assert folder_uri(run) in refused["reason"]
        assert "--take-over" in refused["reason"]
        assert revisions(registry, "lab/run") == [first["top_hash"]]

    def test_a_folder_of_links(self, run: Path, tmp_path: Path, registry: Path, package: Run) -> None:
        """Entries in the work directory, referred to in place, do not make the work directory the source."""
        work = write_tree(tmp_path / "work/1a", {"a": "a", "b": "b", "c": "c", "d": "d"})
        for name in "abcd":
            (run / name).symlink_to(work / name)
        package(run, "--link")
        no_ledger()
        (run / "summary.txt").write_text("other")
        assert package(run, "--link")["outcome"] == "pushed"
        assert len(revisions(registry, "lab/run")) == 2

    def test_taking_over(self, run: Path, other: Path, registry: Path, package: Run) -> None:
        """--take-over makes it the other's from then on."""
        package(run)
        assert package(other, "--take-over")["outcome"] == "pushed"
        assert content(registry, "lab/run") == {"x": b"other"}
        assert package(other)["outcome"] == "duplicate"
        assert package(run, code=1)["code"] == "name-taken"
        assert len(revisions(registry, "lab/run")) == 2

    def test_another_registry_or_name(self, run: Path, other: Path, tmp_path: Path, package: Run) -> None:
        """There the name is free."""
        package(run)
        assert package(other, "--name", "lab/other")["outcome"] == "pushed"
        assert package(other, "--registry", tmp_path / "second")["outcome"] == "pushed"

    def test_roots(self, run: Path, other: Path, package: Run, tmp_path: Path) -> None:
        """With a root configured, names say more, for every command."""
        (Path.cwd() / "provwatch.toml").write_text(f'roots = ["{tmp_path}"]')
        assert package(run)["package"] == f"{tmp_path.name}_lab/run"
        assert package(other)["package"] == f"{tmp_path.name}_elsewhere_lab/run"

    @pytest.mark.parametrize("name", ["", "x", "a/b/c", "a b/c", "../x"])
    def test_names_that_are_none(self, run: Path, registry: Path, provwatch: Run, name: str) -> None:
        """They are refused before anything is read."""
        finished = provwatch("package", run, "--registry", registry, "--name", name)
        assert (finished.code, finished.out) == (2, "")
        assert "not a package name" in finished.err
        assert not registry.exists()

    def test_a_name_that_no_disk_takes(self, run: Path, package: Run) -> None:
        """It is an error too."""
        assert "too long" in package(run, "--name", f"{'a' * 300}/b", code=5)["reason"]


class TestMetadata:
    """What a user adds."""

    @pytest.mark.parametrize("given", ["text", "file"])
    def test_it_is_merged_in(self, demo: Path, registry: Path, tmp_path: Path, package: Run, given: str) -> None:
        """As JSON, or from a file."""
        (tmp_path / "metadata.json").write_text('{"project": "atlas", "cost": 1.5}')
        package(
            demo, "--metadata", '{"project": "atlas", "cost": 1.5}' if given == "text" else tmp_path / "metadata.json"
        )
        meta = browse(registry, "demo/results").meta
        assert (meta["project"], meta["cost"]) == ("atlas", 1.5)
        assert meta["schema"] == "1"

    def test_a_clash(self, demo: Path, registry: Path, package: Run) -> None:
        """A key of the schema is not for users; the error says how to get out of it."""
        outcome = package(demo, "--metadata", '{"pipeline": "mine", "samples": 3}', code=1)
        assert outcome["code"] == "metadata-clash"
        assert "pipeline, samples" in outcome["reason"]
        assert "--metadata-prefix" in outcome["reason"]
        package(demo, "--metadata", '{"pipeline": "mine", "samples": 3}', "--metadata-prefix", "lab_")
        meta = browse(registry, "demo/results").meta
        assert (meta["lab_pipeline"], meta["lab_samples"]) == ("mine", 3)

    def test_too_much(self, demo: Path, package: Run) -> None:
        """There is a limit, told in bytes."""
        outcome = package(demo, "--metadata", json.dumps({"x": "y" * 70_000}), code=1)
        assert "is the limit" in outcome["reason"]

    @pytest.mark.parametrize(
        "given", ["{", "[]", "7", "nowhere.json", ".", '{"x": NaN}', '{"x": 1e999}', '{"x": "\\ud800"}']
    )
    def test_what_is_no_metadata(self, demo: Path, registry: Path, provwatch: Run, given: str) -> None:
        """It is a wrong command line."""
        finished = provwatch("package", demo, "--registry", registry, "--metadata", given)
        assert finished.code == 2
        assert "--metadata" in finished.err
        assert not registry.exists()
