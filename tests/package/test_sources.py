"""What SOURCE may be, and where descriptions go."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Finished
from provwatch.description import folder_uri
from provwatch.publish.manifest import parse_manifest
from publish.processes import run_like_others
from publish.registries import browse
from publish.trees import copy_tree, write_tree

Run = Callable[..., Finished]


class TestSources:
    """What SOURCE may be."""

    def test_a_crate(self, demo: Path, package: Run) -> None:
        """A crate stands for the folder it lies in."""
        outcome = package(demo / "ro-crate-metadata.json")
        assert (outcome["package"], outcome["source"]) == ("demo/results", folder_uri(demo))
        assert package(demo)["outcome"] == "duplicate"

    def test_a_crate_under_another_name(self, demo: Path, registry: Path, package: Run) -> None:
        """The crate that was named counts, and its entry says that it is one."""
        (demo / "ro-crate-metadata.json").rename(demo / "my-run.json")
        package(demo / "my-run.json")
        assert browse(registry, "demo/results")["my-run.json"].meta["provwatch"] == {"volatile": True}
        assert "pipeline" in browse(registry, "demo/results").meta

    def test_a_file_uri(self, tmp_path: Path, package: Run) -> None:
        """It may also be written as a URI, in which a ``#`` cuts nothing off."""
        run = write_tree(tmp_path / "lab/run #1", {"x": "x"})
        assert package(run.as_uri())["source"] == folder_uri(run)
        assert package(f"file://{run}")["outcome"] == "duplicate"

    def describe(self, run: Path, **fields: Any) -> str:
        """Return a description of a folder."""
        return json.dumps({"source_prefix": folder_uri(run), **fields})

    @pytest.mark.parametrize("how", ["file", "-"])
    def test_a_description(
        self, run: Path, tmp_path: Path, registry: Path, provwatch: Run, monkeypatch: pytest.MonkeyPatch, how: str
    ) -> None:
        """A description says everything; from a file, or on standard input."""
        text = self.describe(
            run, registry=str(registry), package_name="lab/x", commit_message="hello", metadata={"project": "atlas"}
        )
        (tmp_path / "description.json").write_text(text)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        source = "-" if how == "-" else tmp_path / "description.json"
        outcome = provwatch("package", source, "--json").json
        assert (outcome["outcome"], outcome["package"]) == ("pushed", "lab/x")
        assert browse(registry, "lab/x").meta["project"] == "atlas"
        manifest = registry / ".quilt/packages" / outcome["top_hash"]
        assert parse_manifest(outcome["top_hash"], manifest.read_bytes()).header["message"] == "hello"

    def test_a_description_whose_metadata_is_a_crate(self, run: Path, tmp_path: Path, package: Run) -> None:
        """What stands inside a description's metadata does not make it a crate."""
        (tmp_path / "d.json").write_text(self.describe(run, metadata={"@graph": []}))
        assert package(tmp_path / "d.json")["source"] == folder_uri(run)

    def test_a_description_with_a_byte_order_mark(self, run: Path, tmp_path: Path, package: Run) -> None:
        """Windows' editors write one."""
        (tmp_path / "d.json").write_text("\ufeff" + self.describe(run, package_name="lab/x"))
        assert package(tmp_path / "d.json")["package"] == "lab/x"

    def test_the_command_line_comes_first(self, run: Path, tmp_path: Path, registry: Path, package: Run) -> None:
        """What it says replaces what the description says."""
        (tmp_path / "d.json").write_text(self.describe(run, package_name="lab/x", metadata={"a": 1}))
        outcome = package(tmp_path / "d.json", "--name", "lab/y", "--metadata", '{"b": 2}')
        assert outcome["package"] == "lab/y"
        meta = browse(registry, "lab/y").meta
        assert (meta.get("a"), meta["b"]) == (None, 2)

    def test_a_description_may_override(self, demo: Path, tmp_path: Path, registry: Path, package: Run) -> None:
        """Its metadata wins over what is derived, and the package says so."""
        (tmp_path / "d.json").write_text(self.describe(demo, metadata={"pipeline": "mine"}))
        outcome = package(tmp_path / "d.json")
        assert "overridden:pipeline" in outcome["warnings"]
        assert browse(registry, "demo/results").meta["pipeline"] == "mine"
        assert package(tmp_path / "d.json")["outcome"] == "duplicate"
        assert package(demo)["outcome"] == "pushed"

    def test_metadata_beside_the_results(self, run: Path, tmp_path: Path, registry: Path, package: Run) -> None:
        """metadata_uri is relative to the folder, and may not leave it."""
        write_tree(run, {"meta/own.json": '{"project": "atlas"}'})
        (tmp_path / "d.json").write_text(self.describe(run, metadata_uri="meta/own.json"))
        package(tmp_path / "d.json")
        assert browse(registry, "lab/run").meta["project"] == "atlas"

    @pytest.mark.parametrize(
        "uri", ["../../secret.json", "/secret.json", "//host/x.json", "s3://b/x.json", "link.json", "."]
    )
    def test_metadata_from_elsewhere(self, run: Path, tmp_path: Path, provwatch: Run, uri: str) -> None:
        """Nothing outside the folder is read, through links neither."""
        (tmp_path / "secret.json").write_text('{"a": 1}')
        (run / "link.json").symlink_to(tmp_path / "secret.json")
        (tmp_path / "d.json").write_text(self.describe(run, metadata_uri=uri))
        finished = provwatch("package", tmp_path / "d.json", "--json")
        assert finished.code == 1
        reason = finished.json["reason"]
        assert "must lie inside source_prefix" in reason or "no path on this machine" in reason

    @pytest.mark.parametrize("text", ["{", "[]", '{"a": NaN}', "{" * 5_000], ids=["cut off", "a list", "NaN", "deep"])
    def test_metadata_that_cannot_be_used(self, run: Path, tmp_path: Path, provwatch: Run, text: str) -> None:
        """It is an error of the description."""
        write_tree(run, {"own.json": text})
        (tmp_path / "d.json").write_text(self.describe(run, metadata_uri="own.json"))
        finished = provwatch("package", tmp_path / "d.json")
        assert finished.code == 1
        assert "metadata_uri" in finished.err

    @pytest.mark.parametrize(
        ("text", "code", "sentence"),
        [
            pytest.param("", 2, "neither a crate nor a package description", id="nothing"),
            pytest.param("hello", 2, "neither a crate nor a package description", id="a text"),
            pytest.param("{}", 2, "neither a crate nor a package description", id="other JSON"),
            pytest.param('{"source_prefix": ', 1, "not JSON", id="cut off"),
            pytest.param('{"source_prefix": "s3://b/x/"}', 2, "not there yet", id="of a bucket"),
            pytest.param('{"source_prefix": "file:///nowhere/"}', 1, "no such folder", id="of no folder"),
            pytest.param('{"source_prefix": "file:///nowhere/", "x": 1}', 1, "unknown field 'x'", id="with a typo"),
            pytest.param('{"@graph": [', 1, "JSON", id="half a crate"),
        ],
    )
    @pytest.mark.parametrize("how", ["file", "-"])
    def test_documents_that_cannot_be_used(
        self,
        tmp_path: Path,
        provwatch: Run,
        registry: Path,
        monkeypatch: pytest.MonkeyPatch,
        how: str,
        text: str,
        code: int,
        sentence: str,
    ) -> None:
        """A sentence, and the same one for a file and for standard input."""
        (tmp_path / "document").write_text(text)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        finished = provwatch("package", "-" if how == "-" else tmp_path / "document", "--registry", registry)
        if how == "-" and "graph" in text:
            code, sentence = 2, "lies in no folder"
        assert finished.code == code
        assert sentence in finished.err

    @pytest.mark.parametrize(
        ("source", "code", "sentence"),
        [
            pytest.param("nowhere", 5, "no such file or folder", id="not there"),
            pytest.param("", 2, "SOURCE is empty", id="an empty variable"),
            pytest.param("s3://bucket/run/", 2, "not there yet", id="a bucket"),
            pytest.param("x" * 5_000, 5, "File name too long", id="a name too long"),
        ],
    )
    def test_sources_that_are_none(self, provwatch: Run, source: str, code: int, sentence: str) -> None:
        """Each has its exit code."""
        finished = provwatch("package", source)
        assert (finished.code, finished.out) == (code, "")
        assert sentence in finished.err

    def test_a_document_that_may_not_be_read(self, tmp_path: Path) -> None:
        """Permissions have an exit code of their own."""
        path = tmp_path / "description.json"
        path.write_text("{}")
        path.chmod(0)
        finished = run_like_others("package", path)
        assert finished.returncode == 4
        assert "Traceback" not in finished.stderr
        assert "description.json: may not be read" in finished.stderr

    def test_a_preview_run(self, recorded: Path, tmp_path: Path, registry: Path, package: Run) -> None:
        """``-preview`` wrote a crate of nothing over a good one: no run, no package, no failure."""
        results = copy_tree(recorded / "preview-overwrote/results", tmp_path / "lab/results")
        outcome = package(results)
        assert (outcome["outcome"], outcome["code"]) == ("not_a_run", "preview")
        assert not registry.exists()

    def test_a_broken_crate(self, demo: Path, registry: Path, package: Run) -> None:
        """A crate that cannot be read fails with its place, and nothing is made."""
        (demo / "ro-crate-metadata.json").write_text('{"@graph": [\n  {"@id": ')
        outcome = package(demo, code=1)
        assert outcome["outcome"] == "failed"
        assert "ro-crate-metadata.json:" in outcome["reason"]
        assert not registry.exists()


class TestEmit:
    """``--emit`` describes instead of making."""

    def test_to_stdout(self, demo: Path, registry: Path, provwatch: Run) -> None:
        """Data on stdout, the outcome on stderr, and no package; each time."""
        for _ in range(2):
            finished = provwatch("package", demo, "--registry", registry, "--emit", "-", "--json")
            assert finished.code == 0
            assert (finished.json["source_prefix"], finished.json["package_name"]) == (folder_uri(demo), "demo/results")
            assert json.loads(finished.err)["outcome"] == "emitted"
        assert not registry.exists()

    @pytest.mark.usefixtures("aged")
    def test_to_a_file(self, demo: Path, registry: Path, tmp_path: Path, package: Run) -> None:
        """One line a description; an unchanged folder is described once, and what was emitted can be packaged."""
        target = tmp_path / "out.jsonl"
        assert package(demo, "--emit", target)["outcome"] == "emitted"
        assert package(demo, "--emit", target)["outcome"] == "duplicate"
        (demo / "summary.tsv").write_text("other")
        assert package(demo, "--emit", target)["outcome"] == "emitted"
        assert package(demo, "--emit", target, "--dedup", "off")["outcome"] == "emitted"
        lines = target.read_text().splitlines()
        assert [json.loads(line)["source_prefix"] for line in lines] == [folder_uri(demo)] * 3
        assert not registry.exists()
        (tmp_path / "one.json").write_text(lines[0])
        assert package(tmp_path / "one.json")["outcome"] == "pushed"

    def test_to_a_bucket_of_quilts(self, demo: Path, provwatch: Run) -> None:
        """A registry that provwatch cannot publish to yet can still be described for."""
        finished = provwatch("package", demo, "--registry", "s3://my-bucket", "--emit", "-")
        assert finished.json["registry"] == "my-bucket"

    @pytest.mark.parametrize(
        "target", ["https://sqs.us-east-1.amazonaws.com/1/q", "http://localhost:1/q", "eventbridge:default"]
    )
    def test_to_a_queue(self, demo: Path, package: Run, target: str) -> None:
        """Nobody at the other end could read a local folder: a wrong command line, which says what is right."""
        outcome = package(demo, "--emit", target, code=2)
        assert (outcome["outcome"], outcome["code"]) == ("failed", "usage")
        assert "--registry s3://" in outcome["reason"]

    @pytest.mark.parametrize("target", ["nowhere/out.jsonl", "."])
    def test_to_a_file_that_cannot_be_written(self, demo: Path, package: Run, target: str) -> None:
        """It is an error, and the ledger knows."""
        assert package(demo, "--emit", target, code=5)["outcome"] == "failed"

    @pytest.mark.usefixtures("aged")
    def test_it_takes_no_name(self, demo: Path, tmp_path: Path, package: Run) -> None:
        """What was only described may be made: it is no duplicate of a package that is not there."""
        package(demo, "--emit", tmp_path / "out.jsonl")
        assert package(demo)["outcome"] == "pushed"


class TestEarlyFailures:
    """What failed before any work is in the history too."""

    def test_a_dangling_link(self, run: Path, package: Run, provwatch: Run) -> None:
        """It can be done again when it is mended."""
        (run / "gone").symlink_to("nowhere")
        failed = package(run, code=1)
        (job,) = [json.loads(line) for line in provwatch("history", "--failed", "--json").out.splitlines()]
        assert (job["id"], job["code"]) == (failed["id"], "dangling-link")
        (run / "gone").unlink()
        assert provwatch("history", "retry", job["id"], "--json").json["outcome"] == "pushed"
