"""What tests of ``provwatch package`` share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Finished
from provwatch.publish import fingerprint, hash_cache
from publish.trees import write_tree

Run = Callable[..., Finished]


@pytest.fixture(autouse=True)
def _nothing_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let packages hold the folder's own files only; what provwatch adds to them has tests of its own."""
    monkeypatch.setenv("PROVWATCH_SUMMARY", "false")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a folder of results without a crate."""
    return write_tree(tmp_path / "lab/run", {"counts/S1.tsv": "1", "counts/S2.tsv": "2", "summary.txt": "3"})


@pytest.fixture
def package(provwatch: Run, registry: Path) -> Callable[..., dict[str, Any]]:
    """Package into the test's registry and return the outcome."""

    def call(*arguments: object, code: int = 0) -> dict[str, Any]:
        finished = provwatch("package", "--registry", registry, "--json", *arguments)
        assert finished.code == code, finished
        assert "Traceback" not in finished.err
        outcome: dict[str, Any] = finished.json
        return outcome

    return call


@pytest.fixture
def aged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files that were just written count as old, so that probes and caches may trust them."""
    monkeypatch.setattr(hash_cache, "RACY_NS", 0)
    monkeypatch.setattr(fingerprint, "RACY_NS", 0)
