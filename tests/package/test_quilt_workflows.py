"""Registries that validate packages with Quilt workflows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Finished
from provwatch import publication
from publish.registries import browse
from publish.trees import write_tree

Run = Callable[..., Finished]
Package = Callable[..., dict[str, Any]]


@pytest.fixture
def required(registry: Path) -> Path:
    """Return a registry whose default workflow wants a project."""
    schema = registry / "schema.json"
    config = (
        'version: "1"\ndefault_workflow: run\nworkflows: {run: {name: Run, metadata_schema: project}}\n'
        f"schemas: {{project: {{url: {schema.as_uri()}}}}}\n"
    )
    write_tree(registry, {"schema.json": '{"required": ["project"]}', ".quilt/workflows/config.yml": config})
    return registry


def test_what_passes(required: Path, run: Path, package: Package) -> None:
    """The manifest says which workflow it passed; again it is a duplicate, without the ledger too."""
    outcome = package(run, "--metadata", '{"project": "atlas"}')
    assert browse(required, "lab/run").top_hash == outcome["top_hash"]
    assert browse(required, "lab/run")._meta["workflow"]["id"] == "run"
    for _ in range(2):
        assert package(run, "--metadata", '{"project": "atlas"}')["outcome"] == "duplicate"


@pytest.mark.usefixtures("required")
def test_what_does_not_is_refused_before_any_work(run: Path, package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is hashed for a package that will not pass."""
    monkeypatch.setattr(publication, "read_content", None)
    outcome = package(run, code=1)
    assert (outcome["code"], "'project' is a required property" in outcome["reason"]) == ("quilt-workflow", True)


def test_a_dry_run_says_so(required: Path, run: Path, package: Package) -> None:
    """It fails where doing it would."""
    assert package(run, "--dry-run", code=1)["code"] == "quilt-workflow"
    assert not (required / ".provwatch").exists()


def test_no_workflows(run: Path, package: Package) -> None:
    """A workflow of a registry that has none is refused; "" asks for none."""
    assert package(run, "--quilt-workflow", "alpha", code=1)["code"] == "quilt-workflow"
    assert package(run, "--quilt-workflow", "")["outcome"] == "pushed"


def test_entries_are_seen_as_they_will_be(registry: Path, demo: Path, provwatch: Run) -> None:
    """A rule about the metadata of entries sees what the crate says of them."""
    wanted = {"properties": {"logical_key": {"const": "summary.tsv"}, "meta": {"required": ["encodingFormat"]}}}
    schema = {"contains": {**wanted, "required": ["logical_key", "meta"]}}
    config = (
        'version: "1"\ndefault_workflow: run\nworkflows: {run: {name: Run, entries_schema: entries}}\n'
        f"schemas: {{entries: {{url: {(registry / 'schema.json').as_uri()}}}}}\n"
    )
    write_tree(registry, {"schema.json": json.dumps(schema), ".quilt/workflows/config.yml": config})
    assert provwatch("package", demo, "--registry", registry, "--json").json["outcome"] == "pushed"
    (demo / "ro-crate-metadata.json").unlink()
    assert provwatch("package", demo, "--registry", registry, "--json").json["code"] == "quilt-workflow"
