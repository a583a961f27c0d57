"""What becomes of the files of a folder, read back with quilt3."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Finished
from provwatch.publish.hashing import digest_bytes
from provwatch.publish.objects import ObjectStore
from publish.registries import browse, check_readable, content
from publish.trees import footprint, write_tree

Run = Callable[..., Finished]


class TestEntries:
    """Where the bytes of a package lie."""

    def test_in_place(self, run: Path, registry: Path, package: Run) -> None:
        """Entries refer to the files where they are; the registry holds the manifest alone."""
        package(run)
        assert {str(entry.physical_key) for _, entry in browse(registry, "lab/run").walk()} == {
            (run / key).as_uri() for key in ("counts/S1.tsv", "counts/S2.tsv", "summary.txt")
        }
        assert not (registry / ".provwatch/objects").exists()
        check_readable(registry)

    def test_copied(self, run: Path, registry: Path, package: Run) -> None:
        """With --copy a package outlives its folder, and the same bytes are kept once."""
        (run / "twice").write_text("1")
        package(run, "--copy")
        before = content(registry, "lab/run")
        for path in (run / "counts/S1.tsv", run / "summary.txt"):
            path.unlink()
        assert content(registry, "lab/run") == before
        assert len(list((registry / ".provwatch/objects").iterdir())) == 3
        check_readable(registry)

    def test_copied_revisions_share_what_did_not_change(self, run: Path, registry: Path, package: Run) -> None:
        """A second revision adds its own bytes only, and the first stays readable."""
        first = package(run, "--copy")
        objects = registry / ".provwatch/objects"
        before = footprint(*objects.iterdir())
        (run / "summary.txt").write_text("other")
        package(run, "--copy")
        after = footprint(*objects.iterdir())
        assert {path: after[path] for path in before} == before
        assert len(after) == len(before) + 1
        assert content(registry, "lab/run", first["top_hash"])["summary.txt"] == b"3"

    @pytest.mark.usefixtures("aged")
    def test_a_large_file_is_copied_once(
        self, run: Path, registry: Path, package: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A file of many parts is not copied again because another one changed."""
        (run / "large").write_bytes(b"x" * (9 << 20))
        package(run, "--copy")
        (run / "summary.txt").write_text("other")
        copied: list[str] = []
        put_file = ObjectStore.put_file

        def put(self: ObjectStore, file: Any) -> Any:
            copied.append(file.logical_key)
            return put_file(self, file)

        monkeypatch.setattr(ObjectStore, "put_file", put)
        package(run, "--copy")
        assert copied == ["summary.txt"]
        check_readable(registry)

    def test_what_is_copied_stays_copied(self, run: Path, registry: Path, package: Run) -> None:
        """A package of the same content under another name, in place, takes nothing away from the one with copies."""
        copied = package(run, "--copy", "--name", "lab/copied")
        linked = package(run, "--name", "lab/linked")
        assert linked["top_hash"] == copied["top_hash"]
        before = content(registry, "lab/copied")
        (run / "summary.txt").unlink()
        assert content(registry, "lab/copied") == content(registry, "lab/linked") == before

    def test_copies_replace_references(self, run: Path, registry: Path, package: Run) -> None:
        """The other way round, the copies serve both."""
        package(run, "--name", "lab/linked")
        package(run, "--copy", "--name", "lab/copied")
        before = content(registry, "lab/copied")
        (run / "summary.txt").unlink()
        assert content(registry, "lab/copied") == content(registry, "lab/linked") == before

    @pytest.mark.parametrize("link", [False, True], ids=["stored", "--link"])
    def test_links_that_leave_the_folder(
        self, run: Path, tmp_path: Path, registry: Path, package: Run, *, link: bool
    ) -> None:
        """Their bytes are stored, since ``nextflow clean`` removes them; --link refers to them in place."""
        work = write_tree(tmp_path / "work/1a/2b", {"S3.tsv": "from the work directory"})
        (run / "counts/S3.tsv").symlink_to(work / "S3.tsv")
        (run / "first.tsv").symlink_to("counts/S1.tsv")
        package(run, *(["--link"] if link else []))
        places = {key: str(entry.physical_key) for key, entry in browse(registry, "lab/run").walk()}
        digest = digest_bytes(b"from the work directory").sha256
        kept = registry / ".provwatch/objects" / digest
        assert places["counts/S3.tsv"] == ((work / "S3.tsv") if link else kept).as_uri()
        assert places["first.tsv"] == (run / "counts/S1.tsv").as_uri()
        check_readable(registry)

    def test_a_dangling_link(self, run: Path, registry: Path, package: Run) -> None:
        """It is an error that names it, and nothing is made."""
        (run / "gone").symlink_to("nowhere")
        outcome = package(run, code=1)
        assert (outcome["outcome"], outcome["code"]) == ("failed", "dangling-link")
        assert "gone" in outcome["reason"]
        assert not registry.exists()

    def test_odd_names(self, tmp_path: Path, registry: Path, package: Run) -> None:
        """Spaces, plus signs, what URIs reserve, Unicode: quilt3 reads back what went in."""
        names = [
            "a b",
            "a+b",
            "a#b",
            "a?b=c&d",
            "100%",
            "a%20b",
            "é",
            "e\u0301",
            "中/文",
            "\U0001f9ec",
            "new\nline",
            "~",
        ]
        run = write_tree(tmp_path / "lab #1/run + 2?", {name: f"content of {name}" for name in names})
        outcome = package(run)
        assert outcome["package"] == "lab--1/run---2-"
        assert content(registry, outcome["package"]) == {name: f"content of {name}".encode() for name in names}
        assert package(run)["outcome"] == "duplicate"

    def test_a_folder_whose_name_is_no_text(self, tmp_path: Path, registry: Path, package: Run) -> None:
        """Quilt cannot refer to its files, but it can have copies of them."""
        run = write_tree(tmp_path / os.fsdecode(b"run\xff"), {"x": "abc"})
        outcome = package(run, "--name", "lab/run", code=1)
        assert (outcome["code"], "--copy" in outcome["reason"]) == ("invalid-path", True)
        package(run, "--name", "lab/run", "--copy")
        assert content(registry, "lab/run") == {"x": b"abc"}

    def test_metadata_from_the_crate(self, demo: Path, registry: Path, package: Run) -> None:
        """An entry carries what the crate says of its file."""
        crate = json.loads((demo / "ro-crate-metadata.json").read_text())
        for entity in crate["@graph"]:
            if entity["@id"] == "summary.tsv":
                entity |= {"encodingFormat": "text/tsv", "sha256": "ab", "provwatch": {"generated": True}}
        (demo / "ro-crate-metadata.json").write_text(json.dumps(crate))
        package(demo)
        meta = browse(registry, "demo/results")["summary.tsv"].meta
        assert (meta["encodingFormat"], meta["sha256"]) == ("text/tsv", "ab")
        assert not {"@id", "@type", "name", "provwatch"} & meta.keys()
        assert package(demo)["outcome"] == "duplicate"

    def test_listed_files_only(self, demo: Path, registry: Path, package: Run) -> None:
        """--files listed packages what the crate lists, and nothing else."""
        write_tree(demo, {"not-listed.txt": "x"})
        package(demo, "--files", "listed")
        assert set(content(registry, "demo/results")) == {
            *("ro-crate-metadata.json", "README.md", "main.nf", "summary.tsv"),
            *(f"counts/{sample}.count.txt" for sample in ("alpha", "beta", "gamma")),
        }

    @pytest.mark.parametrize(
        ("options", "code"),
        [pytest.param([], "", id="all files"), pytest.param(["--files", "listed"], "no-crate", id="listed files")],
    )
    def test_a_folder_without_a_crate(
        self, run: Path, package: Run, registry: Path, options: list[str], code: str
    ) -> None:
        """Any folder can be packaged by hand; only what a crate lists needs a crate."""
        outcome = package(run, *options, code=1 if code else 0)
        assert outcome["code"] == code
        if not code:
            assert outcome["warnings"] == ["no-crate"]
            assert browse(registry, "lab/run").meta == {"schema": "1", "warnings": ["no-crate"]}

    @pytest.mark.parametrize("files", [{}, {"a/": ""}, {".quilt/x": "x"}, {"nextflow.config": "x"}], ids=str)
    def test_an_empty_folder(self, tmp_path: Path, registry: Path, package: Run, files: dict[str, str]) -> None:
        """It is refused, since most likely the run failed; --allow-empty packages it all the same."""
        folder = tmp_path / "lab/run"
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).mkdir() if name.endswith("/") else write_tree(folder, {name: text})
        assert package(folder, code=1)["code"] == "empty"
        assert not registry.exists()
        assert package(folder, "--allow-empty")["outcome"] == "pushed"
        assert package(folder, "--allow-empty")["outcome"] == "duplicate"
        assert content(registry, "lab/run") == {}

    def test_what_is_left_out_is_told(self, demo: Path, registry: Path, package: Run) -> None:
        """The resolved configuration stays out unless it is asked for; pipes and sockets always do."""
        os.mkfifo(demo / "pipe")
        outcome = package(demo)
        assert {"left-out:nextflow.config", "special-file:1"} <= set(outcome["warnings"])
        assert "nextflow.config" not in content(registry, "demo/results")
        assert package(demo, "--keep-config")["outcome"] == "pushed"
        assert "nextflow.config" in content(registry, "demo/results")


class TestOwnFiles:
    """What provwatch writes itself is never packaged."""

    def test_its_home_in_the_folder(self, run: Path, package: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ledger and cache may lie in the outdir."""
        monkeypatch.setenv("PROVWATCH_HOME", str(run / "own"))
        assert package(run)["entries"] == 3
        assert package(run)["outcome"] == "duplicate"

    def test_descriptions_in_the_folder(self, run: Path, package: Run) -> None:
        """So may the file that descriptions are emitted to."""
        assert package(run, "--emit", run / "d.jsonl")["entries"] == 3
        assert package(run, "--emit", run / "d.jsonl")["outcome"] in {"emitted", "duplicate"}
