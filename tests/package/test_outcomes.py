"""What is printed, and the exit codes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Finished
from provwatch.cli import session
from provwatch.description import folder_uri
from provwatch.outcome import Outcome, Result, exit_code
from publish.processes import provwatch_command, run_command, run_provwatch
from publish.registries import revisions
from publish.trees import write_tree

Run = Callable[..., Finished]
KEYS = {
    *("id", "source", "package", "registry", "outcome", "top_hash", "fingerprint", "entries"),
    *("bytes", "warnings", "seconds", "code", "reason", "uri", "catalog_url"),
}


def outcome_of(result: Result, exit_code: int = 0) -> Outcome:
    """Return an outcome that asks for an exit code."""
    return Outcome(source="x", outcome=result, exit_code=exit_code)


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        pytest.param([], 0, id="nothing"),
        *(
            pytest.param([outcome_of(Result(word))], 0, id=word)
            for word in ("pushed", "emitted", "duplicate", "superseded", "skipped", "not_a_run", "ignored", "planned")
        ),
        *(pytest.param([outcome_of(Result(word))], 1, id=word) for word in ("failed", "incomplete", "quarantined")),
        pytest.param([outcome_of(Result.FAILED, 2)], 2, id="usage"),
        pytest.param([outcome_of(Result.FAILED, 2), outcome_of(Result.FAILED, 3)], 3, id="usage and configuration"),
        pytest.param([outcome_of(Result.FAILED, 4), outcome_of(Result.PUSHED)], 4, id="permission and success"),
        pytest.param([outcome_of(Result.FAILED, code) for code in (4, 5, 3, 1)], 5, id="all of them"),
    ],
)
def test_exit_codes(outcomes: list[Outcome], code: int) -> None:
    """The highest of 3, 4 and 5, else 1 if anything is bad."""
    assert exit_code(outcomes) == code


class TestOutcomes:
    """What is printed, and the exit code."""

    def test_the_keys_of_the_contract(self, run: Path, registry: Path, package: Run) -> None:
        """These are there whatever happened, and of one type each."""
        outcomes = [package(run), package(run), package(run.parent / "nowhere", code=5), package(run, "--dry-run")]
        kinds = {key: type(value) for key, value in outcomes[0].items()}
        for outcome in outcomes:
            assert outcome.keys() >= KEYS
            assert {key: type(outcome[key]) for key in KEYS} == kinds
        pushed = outcomes[0]
        assert pushed["source"] == folder_uri(run)
        assert pushed["registry"] == registry.as_uri()
        assert (pushed["entries"], pushed["bytes"], pushed["code"], pushed["reason"]) == (3, 3, "", "")
        assert len(pushed["top_hash"]) == len(pushed["fingerprint"]) == 64
        assert pushed["id"]

    def test_several_sources(self, run: Path, demo: Path, tmp_path: Path, registry: Path, provwatch: Run) -> None:
        """One bad source spoils no other; the exit code is the highest of 3, 4 and 5, else 1."""
        empty = tmp_path / "lab/empty"
        empty.mkdir()
        finished = provwatch("package", run, empty, demo, "--registry", registry, "--json")
        outcomes = [json.loads(line) for line in finished.out.splitlines()]
        assert [outcome["outcome"] for outcome in outcomes] == ["pushed", "failed", "pushed"]
        assert finished.code == 1
        finished = provwatch("package", tmp_path / "nowhere", empty, run, "--registry", registry, "--json")
        outcomes = [json.loads(line) for line in finished.out.splitlines()]
        assert [(outcome["outcome"], outcome["code"]) for outcome in outcomes] == [
            ("failed", "unreachable"),
            ("failed", "empty"),
            ("duplicate", "duplicate"),
        ]
        assert finished.code == 5

    def test_for_people(self, demo: Path, registry: Path, provwatch: Run) -> None:
        """The summary goes to stdout, and the first time a note about --copy to stderr."""
        first = provwatch("package", demo, "--registry", registry)
        assert "pushed demo/results" in first.out
        assert first.err == f"{session.IN_PLACE_NOTE}\n"
        (demo / "summary.tsv").write_text("other")
        second = provwatch("package", demo, "--registry", registry)
        assert ("pushed demo/results" in second.out, second.err) == (True, "")
        third = provwatch("package", demo, "--registry", registry)
        assert "duplicate demo/results: nothing changed, nothing was written" in third.out

    def test_no_note_where_bytes_are_kept(self, demo: Path, registry: Path, provwatch: Run) -> None:
        """With --copy there is nothing to protect."""
        assert provwatch("package", demo, "--registry", registry, "--copy").err == ""

    def test_the_note_waits_for_a_package(self, demo: Path, registry: Path, provwatch: Run) -> None:
        """What was emitted before does not use it up."""
        provwatch("package", demo, "--registry", registry, "--emit", "-")
        assert provwatch("package", demo, "--registry", registry).err == f"{session.IN_PLACE_NOTE}\n"

    @pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
    def test_without_standard_streams(self, run: Path, registry: Path, closed: str) -> None:
        """Schedulers may start a process without them."""
        command = provwatch_command("package", run, "--registry", registry)
        ended = run_command(["sh", "-c", f'exec "$@" {closed}', "sh", *command])
        assert ended.returncode == 0, ended
        assert len(revisions(registry, "lab/run")) == 1
        assert (
            run_command(["sh", "-c", f'exec "$@" {closed}', "sh", *provwatch_command("package", "-")]).returncode == 2
        )

    def test_a_failure_for_people(self, run: Path, registry: Path, provwatch: Run) -> None:
        """A sentence on stderr and nothing on stdout."""
        (run / "gone").symlink_to("nowhere")
        finished = provwatch("package", run, "--registry", registry)
        assert (finished.code, finished.out) == (1, "")
        assert finished.err.startswith("failed: ")
        assert len(finished.err.splitlines()) == 1

    def test_nothing_forges_a_line(self, tmp_path: Path, registry: Path, provwatch: Run) -> None:
        """Names with control characters are shown without them."""
        run = write_tree(tmp_path / "lab\x1b[31m\nrun", {"x": "x"})
        (run / "bad\n\x1b[2Jlink").symlink_to("nowhere")
        finished = provwatch("package", run, "--registry", registry)
        assert "\x1b" not in finished.err
        assert len(finished.err.splitlines()) == 1

    @pytest.mark.parametrize(
        "arguments",
        [["--dedup", "x"], ["--files", "x"], ["--threads", "many"], ["--nonsense"]],
        ids=" ".join,
    )
    def test_wrong_options(self, run: Path, registry: Path, provwatch: Run, arguments: list[str]) -> None:
        """They are a wrong usage."""
        finished = provwatch("package", run, "--registry", registry, *arguments)
        assert (finished.code, finished.out) == (2, "")

    def test_no_source(self, provwatch: Run) -> None:
        """There is nothing to do."""
        assert provwatch("package").code == 2

    def test_a_wrong_setting(self, run: Path, provwatch: Run) -> None:
        """The configuration is checked before anything else."""
        (Path.cwd() / "provwatch.toml").write_text('dedup = "sometimes"')
        finished = provwatch("package", run)
        assert (finished.code, "dedup must be one of" in finished.err) == (3, True)

    def test_a_ledger_that_cannot_be_opened(self, run: Path, registry: Path, provwatch: Run) -> None:
        """It is a matter of configuration, and nothing was made."""
        home = Path(os.environ["PROVWATCH_HOME"])
        write_tree(home, {"ledger.sqlite": "no database" * 100})
        assert provwatch("package", run, "--registry", registry).code == 3
        assert not registry.exists()

    def test_the_default_registry_is_quilt3s(self, run: Path) -> None:
        """Without --registry, ``quilt3 list-packages`` shows the package at once."""
        finished = run_provwatch("package", run, "--json")
        expected = Path.home() / ".local/share/Quilt/packages"
        if sys.platform == "linux":
            assert json.loads(finished.stdout)["registry"] == expected.as_uri()
        assert len(list(Path.home().rglob(".quilt/packages/*"))) == 1
