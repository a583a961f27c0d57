"""``provwatch history``: what was done, and doing it again as it was asked for."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Finished
from provwatch import processor
from provwatch.description import folder_uri
from provwatch.ledger import NewJob, State
from provwatch.ledger.sqlite import SqliteLedger
from publish.registries import browse, content, revisions
from publish.trees import write_tree

Run = Callable[..., Finished]
KEYS = {
    *("id", "source", "package", "state", "attempts", "code", "reason", "fingerprint"),
    *("top_hash", "first_seen", "updated"),
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a folder of results."""
    return write_tree(tmp_path / "lab/run", {"x": "x"})


@pytest.fixture
def jobs(provwatch: Run) -> Callable[..., list[dict[str, Any]]]:
    """List jobs as a program would."""

    def call(*arguments: object) -> list[dict[str, Any]]:
        finished = provwatch("history", "--json", *arguments)
        assert (finished.code, finished.err) == (0, "")
        return [json.loads(line) for line in finished.out.splitlines()]

    return call


def package(provwatch: Run, folder: Path, registry: Path, *options: object) -> dict[str, Any]:
    """Package a folder and return the outcome."""
    outcome: dict[str, Any] = provwatch("package", folder, "--registry", registry, "--json", *options).json
    return outcome


def fail_once(provwatch: Run, folder: Path, registry: Path, *options: object) -> dict[str, Any]:
    """Package a folder, with the same options as ever, at a moment when the registry's place is taken by a file."""
    registry.write_text("in the way")
    outcome = package(provwatch, folder, registry, *options)
    assert outcome["outcome"] == "failed", outcome
    registry.unlink()
    return outcome


class TestList:
    """What was packaged, newest first."""

    def test_nothing_yet(self, provwatch: Run, jobs: Callable[..., list[dict[str, Any]]]) -> None:
        """An empty ledger says how to begin; for programs it is empty."""
        assert "nothing yet" in provwatch("history").out
        assert jobs() == []
        assert provwatch("history", "export").out == ""

    def test_the_keys_of_the_contract(
        self, run: Path, registry: Path, provwatch: Run, jobs: Callable[..., list[dict[str, Any]]]
    ) -> None:
        """Each job has them, and they say what the outcome said."""
        outcome = package(provwatch, run, registry)
        (job,) = jobs()
        assert job.keys() >= KEYS
        assert (job["id"], job["source"], job["package"]) == (outcome["id"], folder_uri(run), "lab/run")
        assert (job["state"], job["attempts"], job["outcome"]) == ("done", 1, "pushed")
        assert (job["top_hash"], job["fingerprint"]) == (outcome["top_hash"], outcome["fingerprint"])
        assert TIME.fullmatch(job["first_seen"])
        assert TIME.fullmatch(job["updated"])

    def test_each_outcome_has_its_line(
        self, run: Path, registry: Path, provwatch: Run, jobs: Callable[..., list[dict[str, Any]]], tmp_path: Path
    ) -> None:
        """A revision, a duplicate, a refusal and a message, for programs and for people."""
        package(provwatch, run, registry)
        package(provwatch, run, registry)
        package(provwatch, write_tree(tmp_path / "other", {"y": "y"}), registry, "--name", "lab/run")
        package(provwatch, run, registry, "--emit", tmp_path / "out.jsonl")
        expected = [("done", "emitted", ""), ("failed", "failed", "name-taken")]
        expected += [("skipped", "duplicate", "duplicate"), ("done", "pushed", "")]
        assert [(job["state"], job["outcome"], job["code"]) for job in jobs()] == expected
        lines = provwatch("history").out.splitlines()
        assert [line.split()[2] for line in lines] == [outcome for _, outcome, _ in expected]
        assert "name-taken" in lines[1]

    def test_a_dry_run_is_not_remembered(
        self, run: Path, registry: Path, provwatch: Run, jobs: Callable[..., list[dict[str, Any]]]
    ) -> None:
        """It touches nothing, so it is not in the history either."""
        package(provwatch, run, registry, "--dry-run")
        assert jobs() == []

    def test_filters(
        self, run: Path, registry: Path, provwatch: Run, jobs: Callable[..., list[dict[str, Any]]], tmp_path: Path
    ) -> None:
        """By state, by folder, by age and by number."""
        other = write_tree(tmp_path / "other", {"y": "y"})
        package(provwatch, run, registry)
        package(provwatch, other, registry, "--name", "lab/run")
        package(provwatch, other, registry)
        assert [job["outcome"] for job in jobs("--failed")] == ["failed"]
        assert {job["source"] for job in jobs("--source", run)} == {folder_uri(run)}
        assert len(jobs("--source", folder_uri(other))) == 2
        assert [job["source"] for job in jobs("--limit", 1)] == [folder_uri(other)]
        assert len(jobs("--since", "1h")) == len(jobs("--since", "2026-01-01")) == 3
        assert jobs("--since", "2999-01-01") == []
        assert jobs("--source", tmp_path / "nowhere") == []

    @pytest.mark.parametrize(
        "since",
        ["yesterday", "7", "d", "7y", "-7d", "²d", "99999999999d", "9999999999999999999d", "0001-01-01", "2026-13-01"],
    )
    def test_ages_that_are_none(self, provwatch: Run, since: str) -> None:
        """They are a wrong command line, never more than a sentence."""
        finished = provwatch("history", "--since", since)
        assert finished.code in ({0, 2} if since == "0001-01-01" else {2})
        assert "Traceback" not in finished.err

    def test_what_a_job_says_forges_no_line(self, provwatch: Run, registry: Path, tmp_path: Path) -> None:
        """Names from outside are shown without control characters."""
        run = write_tree(tmp_path / "lab/run\n\x1b[31mx", {"x": "x"})
        package(provwatch, run, registry)
        listed = provwatch("history").out
        assert len(listed.splitlines()) == 1
        shown = provwatch("history", "show", listed.split()[0]).out
        assert "\x1b" not in listed + shown

    def test_export(self, run: Path, registry: Path, provwatch: Run) -> None:
        """Everything, oldest first, one object a line; ``--json`` is taken here too."""
        package(provwatch, run, registry)
        package(provwatch, run, registry)
        exported = provwatch("history", "export").out
        assert [json.loads(line)["outcome"] for line in exported.splitlines()] == ["pushed", "duplicate"]
        assert provwatch("history", "export", "--json").out == exported


class TestOneJob:
    """``show`` and ``forget``."""

    def test_show(self, run: Path, registry: Path, provwatch: Run) -> None:
        """By its id, or by the beginning of it."""
        job_id = package(provwatch, run, registry)["id"]
        assert provwatch("history", "show", job_id, "--json").json["id"] == job_id
        assert provwatch("history", "show", job_id[:-2], "--json").json["id"] == job_id
        assert "lab/run" in provwatch("history", "show", job_id).out

    @pytest.mark.parametrize("command", ["show", "retry", "forget"])
    @pytest.mark.parametrize("job_id", ["nowhere", "", "%", "' OR 1=1", "\udcff"], ids=ascii)
    def test_a_job_that_is_not_there(self, provwatch: Run, command: str, job_id: str) -> None:
        """It is a wrong command line, which says where to look."""
        finished = provwatch("history", command, job_id)
        assert (finished.code, finished.out) == (2, "")
        assert "there is no job" in finished.err

    def test_an_id_that_is_not_enough(self, run: Path, registry: Path, provwatch: Run) -> None:
        """Two jobs begin so."""
        job_id = package(provwatch, run, registry)["id"]
        package(provwatch, run, registry)
        finished = provwatch("history", "show", job_id[:4])
        assert (finished.code, "begin with" in finished.err) == (2, True)

    def test_forget(self, run: Path, registry: Path, provwatch: Run, jobs: Callable[..., list[dict[str, Any]]]) -> None:
        """The job is gone, the package is not, and nothing is made twice because of it."""
        first = package(provwatch, run, registry)
        assert "forgotten" in provwatch("history", "forget", first["id"]).err
        assert jobs() == []
        assert package(provwatch, run, registry)["outcome"] == "duplicate"
        (job,) = jobs()
        assert provwatch("history", "forget", job["id"], "--json").json["id"] == job["id"]


class TestRetry:
    """Failed work, done again the way it was asked for the first time."""

    def test_what_is_done_is_not_done_again(self, run: Path, registry: Path, provwatch: Run) -> None:
        """Only what failed can be retried."""
        job_id = package(provwatch, run, registry)["id"]
        finished = provwatch("history", "retry", job_id)
        assert (finished.code, "cannot be retried" in finished.err) == (2, True)

    def test_after_a_failure(
        self, run: Path, registry: Path, provwatch: Run, jobs: Callable[..., list[dict[str, Any]]]
    ) -> None:
        """The same job, now done."""
        failed = fail_once(provwatch, run, registry)
        outcome = provwatch("history", "retry", failed["id"], "--json").json
        assert (outcome["outcome"], outcome["id"], outcome["package"]) == ("pushed", failed["id"], "lab/run")
        (job,) = jobs()
        assert (job["state"], job["outcome"], job["top_hash"]) == ("done", "pushed", outcome["top_hash"])

    def test_it_may_fail_again(
        self, run: Path, registry: Path, provwatch: Run, jobs: Callable[..., list[dict[str, Any]]]
    ) -> None:
        """For the same reason, or for another; either way it is listed as failed and can be retried."""
        failed = fail_once(provwatch, run, registry)
        registry.write_text("in the way again")
        assert provwatch("history", "retry", failed["id"], "--json").code == 5
        registry.unlink()
        (run / "x").unlink()
        finished = provwatch("history", "retry", failed["id"], "--json")
        assert (finished.code, finished.json["code"], finished.json["id"]) == (1, "empty", failed["id"])
        run.rmdir()
        finished = provwatch("history", "retry", failed["id"], "--json")
        assert (finished.code, finished.json["code"], finished.json["id"]) == (5, "unreachable", failed["id"])
        (job,) = jobs("--failed")
        assert (job["state"], job["code"]) == ("failed", "unreachable")
        write_tree(run, {"x": "x"})
        assert provwatch("history", "retry", failed["id"], "--json").json["outcome"] == "pushed"

    @pytest.mark.parametrize(
        ("options", "check"),
        [
            pytest.param(["--name", "lab/x"], lambda registry: browse(registry, "lab/x"), id="name"),
            pytest.param(
                ["--metadata", '{"project": "atlas"}', "--metadata-prefix", "my_"],
                lambda registry: browse(registry, "lab/run").meta["my_project"] == "atlas",
                id="metadata and its prefix",
            ),
            pytest.param(
                ["--copy"],
                lambda registry: ".provwatch/objects" in str(browse(registry, "lab/run")["x"].physical_key),
                id="copy",
            ),
            pytest.param(
                ["--keep-config"], lambda registry: "nextflow.config" in content(registry, "lab/run"), id="keep-config"
            ),
        ],
    )
    def test_as_it_was_asked(
        self, run: Path, registry: Path, provwatch: Run, options: list[str], check: Callable[[Path], Any]
    ) -> None:
        """What the command line said the first time still holds."""
        write_tree(run, {"nextflow.config": "x = 1"})
        failed = fail_once(provwatch, run, registry, *options)
        assert provwatch("history", "retry", failed["id"]).code == 0
        assert check(registry)

    def test_a_message_is_kept(self, run: Path, registry: Path, provwatch: Run) -> None:
        """Also the words of a person."""
        failed = fail_once(provwatch, run, registry, "--message", "as I said")
        top_hash = provwatch("history", "retry", failed["id"], "--json").json["top_hash"]
        header = json.loads((registry / ".quilt/packages" / top_hash).read_text().splitlines()[0])
        assert header["message"] == "as I said"

    def test_what_was_to_be_emitted_is_emitted(self, run: Path, registry: Path, provwatch: Run, tmp_path: Path) -> None:
        """A description that could not be written is written, and no package is made."""
        target = tmp_path / "later/out.jsonl"
        failed = package(provwatch, run, registry, "--emit", target)
        assert failed["outcome"] == "failed"
        target.parent.mkdir()
        assert provwatch("history", "retry", failed["id"], "--json").json["outcome"] == "emitted"
        assert json.loads(target.read_text())["package_name"] == "lab/run"
        assert not registry.exists()

    def test_taking_over(
        self, run: Path, registry: Path, provwatch: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A name that was to change hands still does."""
        package(provwatch, run, registry)
        other = write_tree(tmp_path / "other", {"y": "y"})

        def meddle(name: str) -> None:
            if name == "after_hash":
                (other / "y").write_text((other / "y").read_text() + "y")

        with monkeypatch.context() as unruly:
            unruly.setattr(processor, "reach", meddle)
            failed = package(provwatch, other, registry, "--name", "lab/run", "--take-over")
        assert failed["code"] == "changed-while-reading"
        assert provwatch("history", "retry", failed["id"], "--json").json["outcome"] == "pushed"
        assert len(revisions(registry, "lab/run")) == 2

    def test_a_description_that_overrides(self, demo: Path, registry: Path, provwatch: Run, tmp_path: Path) -> None:
        """A description's metadata still wins over what is derived."""
        description = {"source_prefix": folder_uri(demo), "metadata": {"pipeline": "mine"}}
        (tmp_path / "d.json").write_text(json.dumps(description))
        registry.write_text("in the way")
        failed = provwatch("package", tmp_path / "d.json", "--registry", registry, "--json").json
        registry.unlink()
        assert provwatch("history", "retry", failed["id"]).code == 0
        assert browse(registry, "demo/results").meta["pipeline"] == "mine"

    def test_a_crate_that_was_named(self, demo: Path, registry: Path, provwatch: Run) -> None:
        """The crate that was named is the one that counts."""
        crate = json.loads((demo / "ro-crate-metadata.json").read_text())
        for entity in crate["@graph"]:
            if entity["@id"] == "./":
                entity["name"] = "the other crate"
        (demo / "other.json").write_text(json.dumps(crate))
        failed = fail_once(provwatch, demo / "other.json", registry)
        assert provwatch("history", "retry", failed["id"]).code == 0
        assert browse(registry, "demo/results").meta["title"] == "the other crate"

    @pytest.mark.parametrize("description", ["", "not JSON", "{}", '{"source_prefix": "s3://b/x/"}'])
    def test_a_job_that_does_not_say_what_to_do(
        self, provwatch: Run, jobs: Callable[..., list[dict[str, Any]]], description: str
    ) -> None:
        """It fails with a sentence and stays where a person finds it."""
        with SqliteLedger(Path(os.environ["PROVWATCH_HOME"]) / "ledger.sqlite") as ledger:
            (job,) = ledger.receive([NewJob(key="k", source="file:///x/", description=description)])
            claim = ledger.claim(job.id, 60)
            assert claim is not None
            ledger.move(claim, State.FAILED, code="failed")
        finished = provwatch("history", "retry", job.id, "--json")
        assert (finished.code, finished.json["outcome"]) == (1, "failed")
        assert [one["state"] for one in jobs("--failed")] == ["failed"]
