"""Secrets of a run are in no byte that is kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from conftest import Finished
from publish.trees import copy_tree

Run = Callable[..., Finished]


def test_no_secret_of_the_crate_is_remembered(recorded: Path, tmp_path: Path, registry: Path, provwatch: Run) -> None:
    """A secret that a person repeats in message or metadata is in no byte of registry, ledger or cache."""
    planted = "hunter2-not-a-real-secret"
    run = copy_tree(recorded / "multi-module/results", tmp_path / "lab/run")
    options = ("--copy", "--keep-config", "--message", f"with {planted}", "--metadata", f'{{"note": "{planted}"}}')
    finished = provwatch("package", run, "--registry", registry, "--json", *options)
    assert finished.json["outcome"] == "pushed"
    assert planted not in finished.out + finished.err
    for folder in (registry, Path(os.environ["PROVWATCH_HOME"])):
        for path in folder.rglob("*"):
            assert not path.is_file() or planted.encode() not in path.read_bytes(), path


def test_a_secret_in_a_name_is_pointed_out(recorded: Path, tmp_path: Path, registry: Path, provwatch: Run) -> None:
    """Names are packaged as they are, so the person has to know; the warning does not repeat the secret."""
    planted = "hunter2-not-a-real-secret"
    run = copy_tree(recorded / "multi-module/results", tmp_path / "lab/run")
    options = ("--registry", registry, "--json")
    assert not any("secret-in-name" in code for code in provwatch("package", run, *options).json["warnings"])
    (run / f"of {planted}.txt").write_text("x")
    finished = provwatch("package", run, *options)
    assert "secret-in-name:of <redacted>.txt" in finished.json["warnings"]
    assert planted not in finished.out + finished.err
