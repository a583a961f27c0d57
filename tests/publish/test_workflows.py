"""Quilt workflows: judged as quilt3 judges them, but before any work, and with every problem in the sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import quilt3
import quilt3.workflows
from quilt3.backends import get_package_registry

from provwatch.errors import PackagingError
from provwatch.publish.local import LocalRegistry
from provwatch.publish.workflows import Package, load_workflows
from publish.trees import write_tree

CONFIG = """
version: {base: "1", catalog: "1"}
default_workflow: alpha
workflows:
  alpha: {name: Alpha, metadata_schema: meta}
  beta: {name: Beta, is_message_required: true, handle_pattern: "^lab/"}
  gamma: {name: Gamma, entries_schema: entries}
  delta: {name: Delta, metadata_schema: nowhere}
  both: {name: Both, metadata_schema: meta, entries_schema: entries}
schemas:
  meta: {url: "META"}
  entries: {url: "ENTRIES"}
"""
META = {"type": "object", "required": ["pipeline", "samples"], "properties": {"pipeline": {"type": "string"}}}
ENTRIES = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "array",
    "contains": {"properties": {"logical_key": {"const": "README.md"}, "size": {"minimum": 1}}},
}


def registry_with(folder: Path, config: str = CONFIG, meta: Any = META, entries: Any = ENTRIES) -> LocalRegistry:
    """Make a registry with workflows."""
    write_tree(folder, {"meta.json": json.dumps(meta), "entries.json": json.dumps(entries)})
    urls = {"META": (folder / "meta.json").as_uri(), "ENTRIES": (folder / "entries.json").as_uri()}
    for name, url in urls.items():
        config = config.replace(f'"{name}"', f'"{url}"')
    write_tree(folder, {".quilt/workflows/config.yml": config})
    return LocalRegistry(folder.as_uri())


def ours(registry: LocalRegistry, wanted: str | None, package: Package) -> Any:
    """Return what the manifest would say of the workflow, or the error."""
    try:
        config = load_workflows(f"{registry.uri}/.quilt/workflows/config.yml", registry.read)
        assert config is not None
        return config.check(config.resolve(wanted), package)
    except PackagingError as error:
        return error


def quilts(registry: LocalRegistry, wanted: str | None, package: Package) -> Any:
    """Return the same from quilt3."""
    built = quilt3.Package().set_meta(dict(package.metadata))
    for entry in package.entries:
        path = write_tree(registry.folder, {"data": "x" * entry["size"]}) / "data"
        built.set(entry["logical_key"], str(path))
    theirs = get_package_registry(registry.uri)
    given: Any = ... if wanted is None else wanted or None
    try:
        return quilt3.workflows.validate(
            registry=theirs, workflow=given, name=package.name, pkg=built, message=package.message
        )
    except quilt3.util.QuiltException as error:
        return error


pytestmark = pytest.mark.filterwarnings("ignore:(read|open)_text is deprecated")  # quilt3 reads its own schema so
GOOD = {"pipeline": "x", "samples": ["a"]}
README = {"logical_key": "README.md", "size": 3, "meta": {}}


@pytest.mark.parametrize(
    ("wanted", "package", "says"),
    [
        pytest.param(None, Package("a/b", None, GOOD), "", id="the default"),
        pytest.param("beta", Package("lab/b", "hello", {}), "", id="named"),
        pytest.param("gamma", Package("a/b", None, {}, [README]), "", id="entries"),
        pytest.param("both", Package("a/b", None, GOOD, [README]), "", id="two schemas"),
        pytest.param(None, Package("a/b", None, {"pipeline": 1}), "'samples' is a required", id="metadata"),
        pytest.param("beta", Package("lab/b", "", {}), "commit message", id="no message"),
        pytest.param("beta", Package("other/b", "m", {}), "package names like", id="another name"),
        pytest.param("gamma", Package("a/b", None, {}, []), "the entries of a/b", id="no such entry"),
        pytest.param("", Package("a/b", None, GOOD), "requires a Quilt workflow", id="none, but required"),
        pytest.param("alpa", Package("a/b", None, GOOD), "Did you mean 'alpha'", id="unknown"),
        pytest.param("delta", Package("a/b", None, GOOD), "'nowhere'", id="a schema that is not listed"),
    ],
)
def test_as_quilt3_does(tmp_path: Path, wanted: str | None, package: Package, says: str) -> None:
    """What passes there passes here, with the same record; what does not is an error that says why."""
    registry = registry_with(tmp_path / "r")
    mine, theirs = ours(registry, wanted, package), quilts(registry, wanted, package)
    if says:
        assert isinstance(theirs, quilt3.util.QuiltException)
        assert isinstance(mine, PackagingError)
        assert says in str(mine)
        assert mine.code == "quilt-workflow"
    else:
        assert mine == theirs


def test_not_required(tmp_path: Path) -> None:
    """Where no workflow is required, none is an answer, and the manifest says so."""
    registry = registry_with(tmp_path / "r", CONFIG.replace("default_workflow: alpha", "is_workflow_required: false"))
    package = Package("a/b", None, {})
    for wanted in (None, ""):
        assert ours(registry, wanted, package) == quilts(registry, wanted, package)
        assert ours(registry, wanted, package)["id"] is None


def test_all_problems_at_once(tmp_path: Path) -> None:
    """Each key is named with what is wrong with it."""
    error = ours(registry_with(tmp_path / "r"), None, Package("a/b", None, {"pipeline": 1}))
    assert "'samples' is a required property" in str(error)
    assert "pipeline: 1 is not of type 'string'" in str(error)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        pytest.param("a: [", "not YAML", id="no YAML"),
        pytest.param("[]", "not of type 'object'", id="no mapping"),
        pytest.param('version: "2"\nworkflows: {a: {name: A}}', "1.1.0 is the newest", id="from the future"),
        pytest.param("version: 1\nworkflows: {a: {name: A}}", "version", id="version is a number"),
        pytest.param('version: "1"', "workflows", id="no workflows"),
        pytest.param('version: "1"\nworkflows: {a: {}}', "'name' is a required", id="no name"),
        pytest.param('version: "1"\nworkflows: {a: {name: A, handle_pattern: 5}}', "handle_pattern", id="pattern"),
        pytest.param(
            'version: "1"\nis_workflow_requird: false\nworkflows: {a: {name: A}}', "is_workflow_requird", id="a slip"
        ),
        pytest.param('version: "1"\nworkflows: {a: {name: A, metadata_schema: [1]}}', "metadata_schema", id="a list"),
        pytest.param('version: "1"\nworkflows: {a: {name: A}}\nschemas: {s: {}}', "url", id="no url"),
    ],
)
def test_broken_configurations(tmp_path: Path, config: str, says: str) -> None:
    """One clear error, where quilt3 refuses too."""
    registry = registry_with(tmp_path / "r", config)
    package = Package("a/b", None, {})
    error = ours(registry, "a", package)
    assert isinstance(error, PackagingError)
    assert says in str(error)
    assert isinstance(quilts(registry, "a", package), quilt3.util.QuiltException)


def test_a_broken_pattern(tmp_path: Path) -> None:
    """It is one clear error, and no trouble to the other workflows."""
    config = 'version: "1"\nworkflows: {a: {name: A, handle_pattern: "("}, b: {name: B}}'
    registry = registry_with(tmp_path / "r", config)
    assert "the pattern of the workflow 'a'" in str(ours(registry, "a", Package("a/b", None, {})))
    assert ours(registry, "b", Package("a/b", None, {}))["id"] == "b"


def test_long_problems_are_cut(tmp_path: Path) -> None:
    """A sentence stays one that people can read."""
    package = Package("a/b", None, {"pipeline": ["x" * 5_000], "samples": []})
    assert len(str(ours(registry_with(tmp_path / "r"), None, package))) < 1_000


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        pytest.param({"properties": {"a": {"$ref": "#/x"}}}, "$ref", id="references"),
        pytest.param({"$schema": "https://json-schema.org/draft/2020-12/schema"}, "draft-07", id="another draft"),
        pytest.param({"type": "nothing"}, "not a JSON Schema", id="no schema"),
        pytest.param({"$schema": 7}, "draft-07", id="no URL"),
    ],
)
def test_broken_schemas(tmp_path: Path, schema: Any, says: str) -> None:
    """A schema that quilt3 does not take is refused with its reason."""
    registry = registry_with(tmp_path / "r", meta=schema)
    package = Package("a/b", None, GOOD)
    error = ours(registry, None, package)
    assert isinstance(error, PackagingError)
    assert says in str(error)
    assert isinstance(quilts(registry, None, package), quilt3.util.QuiltException)
