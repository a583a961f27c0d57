"""``provwatch diff``: folders and revisions side by side."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import quilt3

from conftest import Finished
from provwatch.cli import diff as command
from publish.registries import browse
from publish.trees import PLANTED, copy_tree, footprint, stored_bytes, write_tree

Run = Callable[..., Finished]
NAME = "lab/run"
TREE = {"counts/S1.tsv": "1", "counts/S2.tsv": "2", "summary.txt": "3"}
NOTHING = {"added": {}, "removed": {}, "changed": {}}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a folder of results without a crate."""
    return write_tree(tmp_path / "lab/run", TREE)


@pytest.fixture
def package(provwatch: Run, registry: Path) -> Callable[..., str]:
    """Package into the registry, and return the top hash."""

    def call(*arguments: object) -> str:
        finished = provwatch("package", "--registry", registry, "--no-summary", "--json", *arguments)
        assert finished.code == 0, finished
        return str(finished.json["top_hash"])

    return call


@pytest.fixture
def diff(provwatch: Run, registry: Path) -> Callable[..., dict[str, Any]]:
    """Compare, and return what differs."""

    def call(*arguments: object) -> dict[str, Any]:
        finished = provwatch("diff", *arguments, "--registry", registry, "--json")
        assert (finished.code, finished.err) == (0, ""), finished
        found: dict[str, Any] = finished.json
        assert list(found)[:6] == ["a", "b", "added", "removed", "changed", "metadata"]
        return found

    return call


def keys(found: dict[str, Any]) -> tuple[list[str], list[str], dict[str, str]]:
    """Return the names of what was added and removed, and in what the others differ."""
    added, removed = ([one["logical_key"] for one in found[name]] for name in ("added", "removed"))
    return added, removed, {one["logical_key"]: one["what"] for one in found["changed"]}


def long_ago(registry: Path, top_hash: str) -> str:
    """Let the package's revision be an old one, so that quilt3 does not overwrite its pointer in the same second."""
    (pointer,) = (registry / ".quilt/named_packages" / NAME).glob("1*")
    pointer.rename(pointer.with_name("1700000000"))
    return top_hash


class TestNothingDiffers:
    """Two that are the same."""

    def test_a_folder_and_its_package(self, run: Path, package: Run, diff: Run) -> None:
        """With the folder alone, or both, in any order, named in any way."""
        top_hash = package(run)
        for words in ([run], [run, NAME], [f"{NAME}@{top_hash[:6]}", run.as_uri()], [NAME, f"{NAME}@latest"]):
            found = diff(*words)
            assert (*keys(found), found["metadata"], found["header"]) == ([], [], {}, NOTHING, {})

    def test_a_folder_with_secrets(
        self, tmp_path: Path, registry: Path, package: Run, diff: Run, recorded: Path
    ) -> None:
        """Redacted copies are compared by what they were made from."""
        run = copy_tree(recorded / "multi-module/results", tmp_path / NAME)
        package(run)
        assert any("redacted" in str(entry.meta) for _, entry in browse(registry, NAME).walk())
        assert keys(diff(run)) == ([], [], {})

    def test_what_quilt3_pushed(self, run: Path, registry: Path, diff: Run) -> None:
        """The files are the same; only metadata and message are not."""
        quilt3.Package().set_dir("/", str(run)).build(NAME, registry=str(registry))
        found = diff(run)
        assert keys(found) == ([], [], {})
        assert (list(found["metadata"]["added"]), list(found["header"])) == (["schema", "warnings"], ["message"])

    def test_nothing_is_written(self, run: Path, registry: Path, package: Run, diff: Run) -> None:
        """Neither in the folder nor in the registry."""
        package(run)
        before = footprint(run, registry)
        diff(run)
        assert footprint(run, registry) == before


class TestFiles:
    """Files that differ."""

    @pytest.fixture
    def old(self, run: Path, package: Run) -> str:
        """Package the folder and change it; return the revision before."""
        top_hash: str = package(run)
        write_tree(run, {"counts/S1.tsv": "4", "summary.txt": "33", "new": "12345"})
        (run / "counts/S2.tsv").unlink()
        return top_hash

    CHANGES = (["new"], ["counts/S2.tsv"], {"counts/S1.tsv": "content", "summary.txt": "size"})

    def test_what_packaging_would_change(self, run: Path, old: str, diff: Run) -> None:
        """With the folder alone, its package as it is comes first."""
        found = diff(run)
        assert (found["a"], found["b"]) == (f"{NAME}@{old}", f"{run.as_uri()}/")
        assert keys(found) == self.CHANGES
        assert found["added"] == [{"logical_key": "new", "size": 5}]
        assert found["changed"][1] == {"logical_key": "summary.txt", "old_size": 1, "new_size": 2, "what": "size"}

    def test_two_revisions(self, run: Path, old: str, package: Run, diff: Run) -> None:
        """The same, without looking at the folder."""
        package(run)
        assert keys(diff(f"{NAME}@{old}", NAME)) == self.CHANGES
        assert keys(diff(NAME, f"{NAME}@{old[:8]}"))[0] == ["counts/S2.tsv"]

    @pytest.mark.usefixtures("old")
    def test_two_folders(self, run: Path, tmp_path: Path, diff: Run) -> None:
        """As the packages that they would be."""
        assert keys(diff(write_tree(tmp_path / "before", TREE), run)) == self.CHANGES

    def test_a_folder_without_a_package(self, run: Path, registry: Path, diff: Run) -> None:
        """All of it would be new, and nothing is made for that."""
        assert keys(diff(run)) == (sorted(TREE), [], {})
        assert not registry.exists()

    def test_hashes_of_other_types(self, run: Path, registry: Path, package: Run, diff: Run) -> None:
        """They are told to be incomparable, not to differ."""
        package(run)
        other = browse(registry, NAME)
        other["summary.txt"].hash = {"type": "SHA256", "value": "00"}
        other.build(NAME, registry=str(registry))
        assert keys(diff(run))[2] == {"summary.txt": "hash-type"}


class TestMetadata:
    """Metadata and messages that differ."""

    def test_metadata(self, run: Path, package: Run, diff: Run) -> None:
        """Key by key, with both values."""
        old = package(run, "--metadata", '{"project": "x", "gone": 1}')
        package(run, "--metadata", '{"project": "y"}', "--message", "second")
        found = diff(f"{NAME}@{old}", NAME)
        assert found["metadata"] == {
            "added": {},
            "removed": {"gone": 1},
            "changed": {"project": {"old": "x", "new": "y"}},
        }
        assert found["header"] == {"message": {"old": "Files of run", "new": "second"}}

    def test_metadata_of_entries(self, run: Path, registry: Path, package: Run, diff: Run) -> None:
        """The bytes are the same, what is said of them is not."""
        old = long_ago(registry, package(run))
        other = browse(registry, NAME)
        other["summary.txt"].set_meta({"k": "v"})
        other.build(NAME, registry=str(registry))
        assert keys(diff(f"{NAME}@{old}", NAME))[2] == {"summary.txt": "metadata"}


class TestForPeople:
    """What a person sees."""

    def test_a_few_lines(self, run: Path, registry: Path, package: Run, provwatch: Run) -> None:
        """Everything in lines that begin alike."""
        package(run, "--metadata", '{"old": "o", "both": [1, 2]}')
        write_tree(run, {"counts/S1.tsv": "4", "summary.txt": "33", "new": "12345"})
        (run / "counts/S2.tsv").unlink()
        said = provwatch("diff", run, "--registry", registry)
        assert said.out.splitlines()[1:] == [
            "  + new  5 B",
            "  - counts/S2.tsv  1 B",
            "  ~ counts/S1.tsv  other content",
            "  ~ summary.txt  1 B -> 2 B",
            "metadata:",
            "  - both  [1, 2]",
            '  - old  "o"',
            "1 added (5 B), 1 removed (1 B), 2 changed; 2 metadata keys differ",
        ]

    def test_long_lists_are_counted(
        self, run: Path, registry: Path, package: Run, provwatch: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first ones stand for all; JSON has them all."""
        monkeypatch.setattr(command, "LINES", 2)
        package(run)
        write_tree(run, {f"new/{number}": "x" for number in range(5)})
        said = provwatch("diff", run, "--registry", registry)
        assert said.out.splitlines()[1:4] == ["  + new/0  1 B", "  + new/1  1 B", "  + and 3 more"]
        assert len(provwatch("diff", run, "--registry", registry, "--json").json["added"]) == 5

    def test_hostile_text_stays_text(self, run: Path, registry: Path, package: Run, provwatch: Run) -> None:
        """Names and values cannot forge lines or colours, and long ones are cut."""
        package(run)
        write_tree(run, {"a\n+ forged\x1b[31m": "x"})
        hostile = browse(registry, NAME)
        hostile.set_meta({"k\n\x1b[1mey": "\u202e" + "x" * 1000, "new\nline": {"\x1b": 1}})
        hostile.build(NAME, registry=str(registry), message="m\r\x1b]0;t\x07")
        said = provwatch("diff", run, "--registry", registry)
        assert not set("\x1b\r\x07\u202e") & set(said.out)
        assert max(map(len, said.out.splitlines())) < 250
        assert [line for line in said.out.splitlines() if line.startswith("+")] == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param([""], 2, "is empty", id="nothing"),
        pytest.param(["lab/run"], 2, "differs from nothing", id="a package alone"),
        pytest.param(["./nowhere"], 2, "neither a folder nor a package", id="no folder"),
        pytest.param(["s3://bucket/prefix"], 2, "neither a folder nor a package", id="a prefix"),
        pytest.param(["lab/run@", "lab/none"], 5, "there is no package lab/none", id="no such package"),
        pytest.param(["lab/run@abc", "lab/run"], 2, "is no top hash", id="too short"),
        pytest.param(["lab/run@XYZXYZ", "lab/run"], 2, "is no top hash", id="no hash"),
        pytest.param(["lab/run@../../x", "lab/run"], 2, "is no top hash", id="a path"),
        pytest.param(["lab/run@000000", "lab/run"], 5, "has no revision", id="no such revision"),
        pytest.param([f"lab/run@{'0' * 64}", "lab/run"], 5, "has no revision", id="no such full hash"),
        pytest.param([f"lab/run@{'0' * 65}", "lab/run"], 2, "is no top hash", id="too long"),
        pytest.param(["quilt+s3://b#pkg=a/b", "lab/run"], 2, "names no package", id="a URI without a package"),
        pytest.param(["quilt+s3://bucket#package=ab", "lab/run"], 2, "no package name", id="a URI with a bad name"),
        pytest.param(["quilt+s3://bucket#package=a/b&path=c", "lab/run"], 2, "whole packages", id="a URI of an entry"),
    ],
)
def test_what_cannot_be_compared(
    words: list[str], code: int, said: str, run: Path, registry: Path, package: Run, provwatch: Run
) -> None:
    """One sentence, and the exit code as documented."""
    package(run)
    finished = provwatch("diff", *words, "--registry", registry, "--json")
    assert (finished.code, finished.out, finished.err.count("\n")) == (code, "", 1)
    assert said in finished.err


def test_several_revisions_begin_alike(run: Path, registry: Path, package: Run, provwatch: Run) -> None:
    """They are named, so that one can be chosen."""
    top_hash = package(run)
    twin = f"{top_hash[:10]}{'0' * 54}"
    (registry / ".quilt/named_packages" / NAME / "1700000000").write_text(twin)
    finished = provwatch("diff", f"{NAME}@{top_hash[:10]}", NAME, "--registry", registry)
    assert (finished.code, top_hash in finished.err, twin in finished.err) == (2, True, True)


def test_revisions_of_other_packages_are_not_found(run: Path, registry: Path, package: Run, provwatch: Run) -> None:
    """A top hash is looked for among the package's own."""
    package(run)
    other = package(run, "--name", "lab/other", "--message", "other", "--take-over")
    for wanted in (other, other[:7]):
        assert "has no revision" in provwatch("diff", f"{NAME}@{wanted}", NAME, "--registry", registry).err
    assert provwatch("diff", f"lab/other@{other}", NAME, "--registry", registry).code == 0


def test_a_name_that_is_a_folder_too(run: Path, registry: Path, package: Run, diff: Run, tmp_path: Path) -> None:
    """The folder is meant, unless ``@`` says otherwise."""
    package(run)
    write_tree(Path.cwd() / NAME, {"only": "here"})
    assert keys(diff(NAME, run))[1] == ["only"]
    assert keys(diff(f"{NAME}@latest", run)) == ([], [], {})


def test_generated_files_are_left_out(run: Path, registry: Path, package: Run, diff: Run) -> None:
    """What provwatch added itself is not what the folder lacks."""
    old = long_ago(registry, package(run))
    marked = browse(registry, NAME)
    marked.set("README.md", str(write_tree(run.parent / "made", {"README.md": "x"}) / "README.md"))
    marked["README.md"].set_meta({"provwatch": {"generated": True}})
    marked.build(NAME, registry=str(registry))
    assert keys(diff(run)) == ([], [], {})
    assert diff(f"{NAME}@{old}", NAME)["generated"] == ["README.md"]


def test_no_secret_is_shown(tmp_path: Path, registry: Path, provwatch: Run, recorded: Path) -> None:
    """A folder's metadata is redacted before it is compared."""
    run = copy_tree(recorded / "multi-module/results", tmp_path / NAME)
    said = provwatch("diff", run, "--registry", registry, "--json")
    assert said.code == 0
    assert PLANTED not in json.dumps(said.json).encode()
    assert not any(PLANTED in data for data in stored_bytes(Path.cwd()).values())
