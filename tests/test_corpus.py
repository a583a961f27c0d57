"""Every crate of the shared corpus: metadata that keeps the rules, or one located sentence, and never a traceback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import REPOSITORY, Finished
from crate.documents import PLANTED_SECRET
from metadata.deriving import broken_rules
from provwatch.crate import CrateKind, read_crate
from provwatch.errors import CrateError
from provwatch.metadata import Metadata, derive_metadata, gather
from provwatch.metadata.bounds import json_size

LOCATED = re.compile(r"^(?P<file>[^\n]+?)(?::\d+:\d+| @id '[^\n]+'): [^\n]+$")
UNREADABLE = {  # the crates of the corpus that are none, and where they stop being one
    "handmade/gone-sparql-nextflow_crate": ":505:7: the JSON is not valid",
    "ro-crate-ruby/broken-no_graph": ":1:1: this JSON has no @graph",
    "ro-crate-ruby/broken-not_json": ":1:1: the JSON is not valid",
    "spec-wrroc/gone-0.1-DRAFT-process_run_crate": ":248:1: the JSON is not valid",
    "validator-1.2/1_metadata_document-format-jsonld": ":18:5: the JSON is not valid: trailing comma",
    "validator-1.2/1_metadata_document-format-utf8": ":17:27: the text is not UTF-8",
    "validator-invalid/0_file_descriptor_format-invalid_jsonld_format-missing_id": ":20:5: no root data entity",
}
RUNS_BY_PRODUCER = {  # how many of a producer's crates are of runs, as its own documentation says
    "compss": 1,
    "galaxy": 1,
    "life-monitor": 0,
    "nf-core": 0,
    "nf-prov": 5,
    "runcrate": 17,
    "sapporo": 1,
    "snakemake": 1,
    "streamflow": 3,
    "wfexs": 4,
    "workflowhub-seek": 0,
}


@dataclass(frozen=True, slots=True)
class Swept:
    """One crate of the corpus: what came of it."""

    path: Path
    metadata: Metadata | None
    error: str = ""


@pytest.fixture(scope="session")
def documents(shared: Path) -> dict[str, Path]:
    """Return every metadata document of corpus and recorded runs, by its name below the shared folder."""
    found = [path for part in ("corpus", "runs") for path in (shared / part).rglob("*.json*") if path.is_file()]
    crates = [path for path in found if path.name == "ro-crate-metadata.json" or b'"@graph"' in path.read_bytes()]
    return {str(path.relative_to(shared)): path for path in sorted(crates)}


@pytest.fixture(scope="session")
def swept(documents: dict[str, Path]) -> dict[str, Swept]:
    """Return what comes of every document; anything but an error of ours stops here."""
    return {name: sweep(path) for name, path in documents.items()}


def sweep(path: Path) -> Swept:
    """Read one document and derive its metadata."""
    try:
        return Swept(path, derive_metadata(gather(read_crate(str(path)))))
    except CrateError as error:
        return Swept(path, None, str(error))


def test_the_corpus_is_all_there(swept: dict[str, Swept]) -> None:
    """Three hundred and forty crates of thirty producers."""
    assert len(swept) >= 340


def test_bad_crates_are_located(swept: dict[str, Swept]) -> None:
    """Seven documents are no crates: each error says where, and nothing else is refused."""
    errors = {name: item.error for name, item in swept.items() if item.metadata is None}
    assert {name.removeprefix("corpus/").rpartition("/")[0] for name in errors} == UNREADABLE.keys()
    for name, error in errors.items():
        found = LOCATED.match(error)
        assert found is not None, error
        assert found["file"] == str(swept[name].path)
        assert error.startswith(f"{swept[name].path}{UNREADABLE[name.removeprefix('corpus/').rpartition('/')[0]]}")


def test_all_others_keep_the_rules(swept: dict[str, Swept]) -> None:
    """The schema, the size, and what the indexer makes facets of: bounded and whole."""
    broken = {}
    for name, item in swept.items():
        if item.metadata is not None:
            problems = broken_rules(item.metadata.values) + broken_rules(item.metadata.full, bounded=False)
            broken |= {name: problems} if problems else {}
    assert broken == {}


def test_all_others_say_what_they_are_of(swept: dict[str, Swept]) -> None:
    """Run crates are told from crates of pipelines and data, and carry what runs have."""
    for name, item in swept.items():
        if item.metadata is not None:
            has_run = item.metadata.kind is CrateKind.RUN
            assert has_run or not {"run_id", "run_started"} & item.metadata.values.keys(), name
            assert item.metadata.values["crate_entities"] >= 1, name
    for producer, expected in RUNS_BY_PRODUCER.items():
        own = [item.metadata for name, item in swept.items() if name.startswith(f"corpus/{producer}/")]
        assert sum(found is not None and found.kind is CrateKind.RUN for found in own) == expected, producer


def test_no_planted_secret_comes_out(swept: dict[str, Swept]) -> None:
    """Not even in the full form."""
    texts = {name: json.dumps(item.metadata.full) for name, item in swept.items() if item.metadata is not None}
    assert [name for name, text in texts.items() if PLANTED_SECRET in text] == []


def test_twice_the_same_bytes(swept: dict[str, Swept]) -> None:
    """Reading every crate again gives the same metadata, key by key."""
    for name, item in swept.items():
        again = sweep(item.path)
        assert again.error == item.error, name
        if item.metadata is not None and again.metadata is not None:
            assert json.dumps(again.metadata.values) == json.dumps(item.metadata.values), name
            assert json.dumps(again.metadata.full) == json.dumps(item.metadata.full), name


@pytest.mark.parametrize(
    ("command", "step"),
    [
        pytest.param(["convert"], 1, id="convert"),
        pytest.param(["convert", "--strict"], 5, id="strict"),
        pytest.param(["show"], 5, id="show"),
        pytest.param(["convert", "--strict"], 1, id="strict, all", marks=pytest.mark.slow),
        pytest.param(["show"], 1, id="show, all", marks=pytest.mark.slow),
    ],
)
def test_the_commands_end_well(
    command: list[str], step: int, swept: dict[str, Swept], provwatch: Callable[..., Finished]
) -> None:
    """Exit 0 with data on standard output, or exit 1 with one sentence on standard error."""
    for name, item in list(swept.items())[::step]:
        done = provwatch(*command, item.path)
        if done.code == 0:
            assert done.out, name
            assert done.err == "", name
            if command == ["convert"]:
                assert item.metadata is not None
                assert done.json == item.metadata.values, name
                assert json_size(done.json) <= 65_536, name
        else:
            assert (done.code, done.out) == (1, ""), name
            assert done.err.startswith(f"error: {item.path}"), name
            assert done.err.count("\n") == 1, name
        assert (done.code == 0) is (item.metadata is not None) or command[-1] == "--strict", name


@pytest.mark.parametrize("place", [*range(0, 340, 40), "unreadable"])
def test_the_real_command_line(place: int | str, swept: dict[str, Swept]) -> None:
    """A sample, each in a process of its own, gives what this process found."""
    if isinstance(place, int):
        item = list(swept.values())[place]
    else:
        item = next(item for item in swept.values() if item.metadata is None)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONHASHSEED": str(len(str(item.path)))}
    command = [sys.executable, "-m", "provwatch", "convert", str(item.path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    if item.metadata is None:
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {item.error}\n")
    else:
        expected = json.dumps(item.metadata.values, indent=2, ensure_ascii=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{expected}\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["svg", "mermaid", "dot"])
def test_every_crate_can_be_drawn(form: str, swept: dict[str, Swept], provwatch: Callable[..., Finished]) -> None:
    """``show --graph`` too ends well on every crate."""
    for name, item in swept.items():
        done = provwatch("show", item.path, "--graph", form)
        assert done.code == (0 if item.metadata is not None else 1), name
        assert PLANTED_SECRET not in done.out, name
