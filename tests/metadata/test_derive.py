"""The metadata of every recorded run, as it should come out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import DEMO, Finished
from crate.documents import CRATES, PLANTED_SECRET, RECORDED
from metadata.deriving import broken_rules, derive
from provwatch.crate import CrateKind, read_crate

EXPECTED = {name: (CRATES / name / "expected.json").read_text("utf-8") for name in RECORDED}


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_run_gives_what_is_expected(name: str) -> None:
    """The golden files were checked by hand against crate, configuration and published files."""
    metadata = derive(read_crate(str(CRATES / name)))
    assert metadata.values == json.loads(EXPECTED[name])
    assert metadata.full == metadata.values
    assert (metadata.kind, metadata.is_run) == (CrateKind.RUN, name != "preview-overwrote")


@pytest.mark.parametrize("name", RECORDED)
def test_convert_writes_the_same_bytes(name: str, provwatch: Callable[..., Finished]) -> None:
    """The command prints the golden file byte for byte, twice."""
    for _ in range(2):
        done = provwatch("convert", CRATES / name)
        assert (done.code, done.out, done.err) == (0, EXPECTED[name], "")


@pytest.mark.parametrize("name", RECORDED)
def test_golden_files_agree_with_the_crates(name: str) -> None:
    """What plain JSON says of a run is in its golden file: it is not only what the code once gave."""
    expected, graph = json.loads(EXPECTED[name]), json.loads(RECORDED[name].read_bytes())["@graph"]
    entities = {item["@id"]: item for item in graph}
    (run,) = (item for item in graph if str(item.get("name")).startswith("Nextflow workflow run"))
    tasks = [item for item in entities.values() if item["@id"].startswith("#task/") and item["@type"] == "CreateAction"]
    completed = sum(item["actionStatus"].endswith("/CompletedActionStatus") for item in tasks)
    given = [entities[item["@id"]] for item in run["object"] if item["@id"].startswith("#param/")]
    files = {item["@id"] for item in run["object"]} - {item["@id"] for item in given}
    inputs = {item for item in files if entities[item]["@type"] == "File" and not item.startswith("work/")}
    shown = {f"{item['name']}={_shown(item['value'])}" for item in given if "token" not in item["name"]}
    hidden = {f"{item['name']}=<redacted>" for item in given if "token" in item["name"]}

    assert broken_rules(expected) == []
    assert f"#{expected['run_id']}" == run["@id"]
    assert expected["run_started"] == f"{run['startTime'][:19]}Z"
    assert expected["run_ended"] == f"{run['endTime'][:19]}Z"
    assert expected["pipeline"] == entities["main.nf"]["name"]
    assert (expected["tasks_total"], expected["tasks_succeeded"]) == (len(tasks), completed)
    assert expected.get("tasks_unknown", 0) + expected["tasks_failed"] == len(tasks) - completed
    assert sum(int(item.rpartition("=")[2]) for item in expected.get("process_tasks", [])) == len(tasks)
    assert (expected["crate_entities"], expected["output_count"]) == (len(entities), len(_ids(run["result"])))
    assert (set(expected.get("inputs", [])), expected["input_count"]) == (inputs, len(inputs))
    assert (set(expected["params"]), expected["param_count"]) == (shown | hidden, len(given))


def _ids(links: list[dict[str, Any]]) -> set[str]:
    return {item["@id"] for item in links}


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@pytest.mark.parametrize("name", RECORDED)
def test_the_configuration_beside_it_is_read(name: str) -> None:
    """Run name and pipeline version are only in the resolved nextflow.config."""
    config = RECORDED[name].parent / "nextflow.config"
    expected = json.loads(EXPECTED[name])
    if not config.is_file():
        assert not {"run_name", "pipeline_version"} & expected.keys()
        return
    written = {line.strip() for line in config.read_text("utf-8").splitlines()}
    assert f"runName = '{expected['run_name']}'" in written
    version = expected.get("pipeline_version")
    assert version is None or f"version = '{version}'" in written


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize(
    "command",
    [["convert"], ["convert", "--full"], ["show"], ["show", "--json"], ["show", "--graph", "mermaid"]],
    ids=["convert", "full", "show", "json", "graph"],
)
def test_no_planted_secret_comes_out(name: str, command: list[str], provwatch: Callable[..., Finished]) -> None:
    """The runs carry a secret parameter, which is in their crate and in their configuration."""
    done = provwatch(*command, CRATES / name)
    assert done.code == 0
    for secret in (PLANTED_SECRET, "hunter2", "s3cr3t"):
        assert secret not in done.out + done.err


def test_the_secret_is_planted() -> None:
    """The test above would be in vain on crates without one."""
    planted = [name for name, path in RECORDED.items() if PLANTED_SECRET.encode() in path.read_bytes()]
    assert planted == ["crate-in-subdir", "multi-module", "multi-module-resumed", "preview-overwrote"]


def test_the_demo_in_the_documentation_is_the_recorded_one() -> None:
    """What people try first gives what the tests expect."""
    assert derive(read_crate(str(DEMO))).values == json.loads(EXPECTED["demo-count"])


def test_the_demo_comes_out_as_decided(shared: Path) -> None:
    """Where the rules leave a choice of form, this file decides."""
    decided = json.loads((shared / "runs/demo-count.metadata.json").read_bytes())
    assert json.loads(EXPECTED["demo-count"]) == decided
    assert derive(read_crate(str(shared / "runs/demo-count"))).values == decided


def test_fifteen_hundred_tasks(shared: Path) -> None:
    """A larger run is cut where the schema says so, and its counts stay exact."""
    document = shared / "runs/many-tasks/ro-crate-metadata.json"
    graph = json.loads(document.read_bytes())["@graph"]
    tasks = {item["@id"] for item in graph if item["@id"].startswith("#task/") and item["@type"] == "CreateAction"}
    metadata = derive(read_crate(str(document.parent)))
    assert metadata.values["tasks_total"] == metadata.values["tasks_succeeded"] == len(tasks)
    assert len(tasks) >= 1500
    assert sum(int(item.rpartition("=")[2]) for item in metadata.full["process_tasks"]) == len(tasks)


def test_a_resumed_run_is_the_same_run() -> None:
    """Same run id, same results: only what depends on time and place differs."""
    first, second = (json.loads(EXPECTED[name]) for name in ("multi-module", "multi-module-resumed"))
    different = {key for key in first.keys() | second.keys() if first.get(key) != second.get(key)}
    assert different == {"crate_sha256", "params", "run_ended", "run_name", "run_started"}
    assert set(first["params"]) ^ set(second["params"]) == {"outdir=results", "outdir=results_resume"}


def test_without_its_configuration_a_run_has_no_name(tmp_path: Path) -> None:
    """nf-prov's crate itself holds neither run name nor pipeline version."""
    crate = tmp_path / "ro-crate-metadata.json"
    crate.write_bytes(RECORDED["demo-count"].read_bytes())
    values = derive(read_crate(str(crate))).values
    assert not {"run_name", "pipeline_version", "output_bytes"} & values.keys()
    assert values["run_id"] == json.loads(EXPECTED["demo-count"])["run_id"]
