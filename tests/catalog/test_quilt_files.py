"""The files of ``init quilt``: Quilt takes them, and they fit together."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import quilt3
import quilt3.workflows
import yaml
from jsonschema import Draft7Validator
from quilt3.backends import get_package_registry

from catalog.packages import STRANGER, revisions
from conftest import Finished
from provwatch.errors import PackagingError
from provwatch.metadata.schema import KEY_BY_NAME
from provwatch.publish.local import LocalRegistry
from provwatch.publish.workflows import Package, load_workflows

LAYOUT = [
    ".quilt/workflows/config.yml",
    ".quilt/workflows/provwatch-metadata.schema.json",
    ".quilt/catalog/config.yaml",
    "find-runs.sql",
]
WORKFLOW = "provwatch-run"
EXPANDED = {
    "type": "object",
    "properties": {"expanded": {"type": ["boolean", "number"]}},
    "additionalProperties": False,
}
PREFERENCES = {  # what these files use of Quilt's schema bucketConfig.yml.json; nothing else may be there
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "ui": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "package_description": {
                    "type": "object",
                    "minProperties": 1,
                    "additionalProperties": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {
                            "message": {"type": "boolean"},
                            "user_meta": {"type": "array", "items": {"type": "string", "pattern": r"^\$\.\w+$"}},
                        },
                    },
                },
                "blocks": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "meta": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {"user_meta": EXPANDED, "workflows": EXPANDED},
                        }
                    },
                },
            },
        }
    },
}


@pytest.fixture
def files(provwatch: Callable[..., Finished], tmp_path: Path) -> dict[str, str]:
    """Return the files as they are written."""
    assert provwatch("init", "quilt", "--to", tmp_path / "out", "--registry", "s3://my-lab").code == 0
    return {name: (tmp_path / "out" / name).read_text("utf-8") for name in LAYOUT}


@pytest.fixture
def registry(files: dict[str, str], tmp_path: Path) -> LocalRegistry:
    """Return a registry that these files were uploaded to, at a place that quilt3 reads without a network."""
    for name, text in files.items():
        path = tmp_path / "registry" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("s3://my-lab", (tmp_path / "registry").as_uri()))
    return LocalRegistry((tmp_path / "registry").as_uri())


class TestWriting:
    """Where the files go."""

    def test_what_is_printed_is_what_is_written(
        self, files: dict[str, str], provwatch: Callable[..., Finished]
    ) -> None:
        """Each file has its path above it, which is where it belongs in the bucket."""
        printed = provwatch("init", "quilt", "--print", "--registry", "s3://my-lab/").out
        parts = re.split(r"^# --- (.*)\n", printed, flags=re.MULTILINE)
        assert parts[0] == ""
        assert parts[1::2] == LAYOUT
        assert [part.strip() for part in parts[2::2]] == [text.strip() for text in files.values()]
        assert "BUCKET" not in printed

    @pytest.mark.usefixtures("files")
    def test_nothing_else_is_written(self, tmp_path: Path) -> None:
        """The folder holds these files only."""
        out = tmp_path / "out"
        written = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
        assert written == set(LAYOUT)

    @pytest.mark.parametrize("name", LAYOUT)
    def test_one_that_is_there_stops_all(self, name: str, provwatch: Callable[..., Finished], tmp_path: Path) -> None:
        """Nothing is written where something would be overwritten."""
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        done = provwatch("init", "quilt", "--to", tmp_path)
        assert (done.code, done.out) == (2, "")
        assert str(path) in done.err
        assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]
        assert path.read_text() == "mine"

    @pytest.mark.parametrize("registry", ["", "lab", "file:///data/registry", "s3://", "s3://lab/prefix", "S3://lab"])
    def test_only_buckets_have_a_catalog(self, registry: str, provwatch: Callable[..., Finished]) -> None:
        """Another registry is wrong usage."""
        done = provwatch("init", "quilt", "--print", "--registry", registry)
        assert (done.code, done.out) == (2, "")
        assert "s3://NAME" in done.err


@pytest.mark.filterwarnings("ignore:(read|open)_text is deprecated")  # quilt3 reads its own schema so
class TestWorkflow:
    """The workflow checks what provwatch publishes."""

    def test_metadata_of_runs_passes(self, registry: LocalRegistry) -> None:
        """Here and in quilt3, with the same record of the workflow."""
        config = load_workflows(f"{registry.uri}/.quilt/workflows/config.yml", registry.read)
        assert config is not None
        for revision in revisions():
            if not revision.name.startswith("hand/"):
                mine = config.check(WORKFLOW, Package(revision.name, "run", revision.metadata))
                assert mine == _quilt3s(registry, revision.name, revision.metadata)
                assert list(mine["schemas"]) == ["provwatch-metadata"]

    @pytest.mark.parametrize(
        "metadata",
        [
            pytest.param({}, id="empty"),
            pytest.param(STRANGER, id="another's"),
            pytest.param({"schema": "2"}, id="of another version"),
            pytest.param({"schema": "1", "samples": []}, id="an empty list"),
            pytest.param({"schema": "1", "run_status": "ok"}, id="another status"),
        ],
    )
    def test_other_metadata_does_not(self, metadata: dict[str, Any], registry: LocalRegistry) -> None:
        """What would break a column is refused by both."""
        config = load_workflows(f"{registry.uri}/.quilt/workflows/config.yml", registry.read)
        assert config is not None
        with pytest.raises(PackagingError):
            config.check(WORKFLOW, Package("a/b", "run", metadata))
        with pytest.raises(quilt3.util.QuiltException):
            _quilt3s(registry, "a/b", metadata)

    def test_packages_made_by_hand_need_no_workflow(self, registry: LocalRegistry) -> None:
        """The workflow is there to be chosen, and keeps nobody from publishing without."""
        config = load_workflows(f"{registry.uri}/.quilt/workflows/config.yml", registry.read)
        assert config is not None
        assert config.resolve(None) == ""
        assert _quilt3s(registry, "a/b", {}, ...)["id"] is None

    def test_the_schema_gives_the_columns(self, files: dict[str, str]) -> None:
        """All keys are at the top, and there is nothing in it that Quilt does not follow."""
        schema = json.loads(files[LAYOUT[1]])
        assert list(schema["properties"]) == list(KEY_BY_NAME)
        assert "$ref" not in files[LAYOUT[1]]
        assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
        workflows = yaml.safe_load(files[LAYOUT[0]])
        assert workflows["schemas"]["provwatch-metadata"]["url"] == f"s3://my-lab/{LAYOUT[1]}"


def _quilt3s(registry: LocalRegistry, name: str, metadata: dict[str, Any], workflow: Any = WORKFLOW) -> Any:
    """Return what quilt3 says of metadata."""
    package = quilt3.Package().set_meta(dict(metadata))
    theirs = get_package_registry(registry.uri)
    return quilt3.workflows.validate(registry=theirs, workflow=workflow, name=name, pkg=package, message="run")


class TestCatalog:
    """What the catalog shows."""

    def test_preferences_are_quilts(self, files: dict[str, str]) -> None:
        """Only what Quilt's schema for a bucket's configuration knows is set."""
        preferences = yaml.safe_load(files[LAYOUT[2]])
        assert [error.message for error in Draft7Validator(PREFERENCES).iter_errors(preferences)] == []
        assert preferences["ui"]["blocks"]["meta"]["user_meta"]["expanded"]

    def test_what_the_list_shows_is_in_the_metadata(self, files: dict[str, str]) -> None:
        """Columns are keys of the schema with a string or strings, which is what the list can show."""
        ((pattern, rules),) = yaml.safe_load(files[LAYOUT[2]])["ui"]["package_description"].items()
        shown = [path.removeprefix("$.") for path in rules["user_meta"]]
        assert {KEY_BY_NAME[name].kind for name in shown} <= {"string", "strings"}
        matching = [revision for revision in revisions() if re.search(pattern, revision.name)]
        assert len(matching) == len(revisions())
        given = {name for revision in matching for name in revision.metadata or ()}
        assert set(shown) <= given
