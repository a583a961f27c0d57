"""Kill -9 at each step of a packaging: the registry is readable at once, and the next run makes it right."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Finished
from provwatch import processor, publication
from provwatch.failpoints import FAILPOINTS, reach
from provwatch.publish import local
from publish.processes import run_provwatch
from publish.registries import browse, check_readable, content, revisions
from publish.trees import stored_bytes, write_tree

Run = Callable[..., Finished]
NAME = "lab/run"
VISIBLE = FAILPOINTS[FAILPOINTS.index("after_latest") :]
"""From here on a revision is the package's latest."""


@pytest.fixture(autouse=True)
def _nothing_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let packages hold the folder's own files only."""
    monkeypatch.setenv("PROVWATCH_SUMMARY", "false")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a folder of results with a link that leaves it, so that there is something to store."""
    folder = write_tree(tmp_path / "lab/run", {"counts/S1.tsv": "1", "summary.txt": "first"})
    (folder / "linked.txt").symlink_to(write_tree(tmp_path / "work", {"x": "from elsewhere"}) / "x")
    return folder


def now(run: Path) -> dict[str, bytes]:
    """Return what is in the folder now."""
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def kill_at(name: str, run: Path, registry: Path, *options: str) -> None:
    """Package in a process that ends itself at a failpoint."""
    ended = run_provwatch("package", run, "--registry", registry, *options, PROVWATCH_FAILPOINT=name)
    assert ended.returncode == -signal.SIGKILL, ended


def test_nothing_happens_without_the_variable(run: Path, registry: Path) -> None:
    """An unknown or an empty name kills nobody."""
    reach("after_claim")
    for number, name in enumerate(("", "nowhere")):
        ended = run_provwatch("package", run, "--registry", registry, PROVWATCH_FAILPOINT=name)
        assert ended.returncode == 0, ended
        assert len(revisions(registry, NAME)) == 1, number


def test_every_failpoint_is_on_the_way(
    run: Path, registry: Path, provwatch: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One packaging passes each of them, in the order of the list."""
    passed: list[str] = []
    monkeypatch.setattr(processor, "reach", passed.append)
    monkeypatch.setattr(publication, "reach", passed.append)
    monkeypatch.setattr(local, "reach", passed.append)
    assert provwatch("package", run, "--registry", registry).code == 0
    assert tuple(passed) == FAILPOINTS


@pytest.mark.parametrize("name", FAILPOINTS)
def test_killed(name: str, run: Path, registry: Path, provwatch: Run) -> None:
    """Two revisions, each killed and done again, the second without the ledger: there are two, and the right ones."""
    made: list[str] = []
    for text in ("first", "second"):
        (run / "summary.txt").write_text(text)
        kill_at(name, run, registry)
        visible = name in VISIBLE
        if registry.exists():
            check_readable(registry, changed=not visible)
        if visible:
            assert content(registry, NAME) == now(run)
        elif made:
            assert browse(registry, NAME).top_hash == made[-1]
        if made:
            for path in Path(os.environ["PROVWATCH_HOME"]).iterdir():
                path.unlink()
        again = provwatch("package", run, "--registry", registry, "--json").json
        assert again["outcome"] == ("duplicate" if visible else "pushed")
        made.append(again["top_hash"])
        assert revisions(registry, NAME) == made
        assert content(registry, NAME) == now(run)
        check_readable(registry)
        assert provwatch("package", run, "--registry", registry, "--json").json["outcome"] == "duplicate"
        assert revisions(registry, NAME) == made


@pytest.mark.parametrize("name", ["after_store", "after_build", "after_latest"])
def test_killed_while_copying(name: str, run: Path, registry: Path, provwatch: Run) -> None:
    """Copies that a dead process made are used by the next, and none is there in halves."""
    kill_at(name, run, registry, "--copy")
    objects = registry / ".provwatch/objects"
    before = {path.name: path.stat().st_ino for path in objects.iterdir()}
    assert len(before) == 3
    assert provwatch("package", run, "--registry", registry, "--copy").code == 0
    assert {path.name: path.stat().st_ino for path in objects.iterdir()} == before
    assert content(registry, NAME) == now(run)
    check_readable(registry)


@pytest.mark.slow
def test_killed_again_and_again(run: Path, registry: Path, provwatch: Run) -> None:
    """However often it dies, and wherever, there is one revision in the end."""
    for name in FAILPOINTS[: FAILPOINTS.index("after_latest") + 1]:
        kill_at(name, run, registry)
    outcome = provwatch("package", run, "--registry", registry, "--json").json
    assert revisions(registry, NAME) == [outcome["top_hash"]]
    check_readable(registry)
    jobs = [json.loads(line) for line in provwatch("history", "--json").out.splitlines()]
    assert len(jobs) == FAILPOINTS.index("after_latest") + 2
    assert jobs[0]["outcome"] == "duplicate"


def test_killed_while_taking_over(run: Path, tmp_path: Path, registry: Path, provwatch: Run) -> None:
    """A name that changed hands half-way belongs to whose content is latest."""
    provwatch("package", run, "--registry", registry)
    other = write_tree(tmp_path / "other", {"x": "x"})
    kill_at("after_latest", other, registry, "--name", NAME, "--take-over")
    assert content(registry, NAME) == {"x": b"x"}
    again = provwatch("package", other, "--registry", registry, "--name", NAME, "--take-over", "--json").json
    assert again["outcome"] == "duplicate"
    assert len(revisions(registry, NAME)) == 2
    check_readable(registry)


def test_no_secret_is_left_by_a_crash(run: Path, registry: Path) -> None:
    """What lies aside when a process dies is as clean as what is stored."""
    secret = "hunter2-not-a-real-secret"  # noqa: S105 - it says so
    write_tree(run, {"pipeline_info/params.json": json.dumps({"api_token": secret}), "log.txt": f"with {secret}"})
    for name in ("after_store", "after_build", "after_manifest"):
        kill_at(name, run, registry, "--copy")
        kept = stored_bytes(registry, Path(os.environ["PROVWATCH_HOME"]))
        assert [path for path, data in kept.items() if secret.encode() in data] == []
