"""Which files a crate lists: exactly its root's ``hasPart``, by the rules of Quilt's RO-Crate profile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import DEMO
from provwatch.crate import decode_crate, read_crate_file
from provwatch.errors import PackagingError
from provwatch.publish.listed import listed_keys
from publish.trees import keys_of

CRATE = "ro-crate-metadata.json"
PRESENT = (
    CRATE,
    "a.txt",
    "a b.txt",
    "a%20b.txt",
    "sub/x",
    "sub/deep/y",
    "sub0/z",
    "sub-1/z",
    "é.txt",
    "x#1?.txt",
)


def crate(has_part: Any, *entities: dict[str, Any]) -> Any:
    """Return a crate whose root has this ``hasPart``."""
    root = {"@id": "./", "@type": "Dataset", "hasPart": has_part}
    if has_part is None:
        del root["hasPart"]
    descriptor = {
        "@id": CRATE,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
    }
    context = "https://w3id.org/ro/crate/1.1/context"
    document = {"@context": context, "@graph": [descriptor, root, *entities]}
    return decode_crate(json.dumps(document).encode(), where=CRATE, filename=CRATE)


def refer(*ids: str) -> list[dict[str, str]]:
    """Return references to these ``@id``s."""
    return [{"@id": one} for one in ids]


@pytest.mark.parametrize(
    ("has_part", "expected"),
    [
        pytest.param(None, set(), id="no hasPart"),
        pytest.param([], set(), id="an empty one"),
        pytest.param(refer("https://spdx.org/licenses/MIT"), set(), id="nf-prov lists the licence's page"),
        pytest.param(refer("http://example.org/data.csv"), set(), id="other web pages"),
        pytest.param(refer("a.txt"), {"a.txt"}, id="a file"),
        pytest.param({"@id": "a.txt"}, {"a.txt"}, id="one alone"),
        pytest.param("a.txt", {"a.txt"}, id="a bare string"),
        pytest.param(["a.txt"], {"a.txt"}, id="a list of bare strings"),
        pytest.param(refer("a.txt", "a.txt", "./a.txt"), {"a.txt"}, id="the same more than once"),
        pytest.param(refer("./a.txt"), {"a.txt"}, id="with a dot"),
        pytest.param(refer("./sub/x"), {"sub/x"}, id="with a dot, further down"),
        pytest.param(refer("a%20b.txt"), {"a b.txt"}, id="percent-encoded"),
        pytest.param(refer("a b.txt"), {"a b.txt"}, id="or not"),
        pytest.param(refer("a%2520b.txt"), {"a%20b.txt"}, id="a percent sign"),
        pytest.param(refer("%C3%A9.txt"), {"é.txt"}, id="Unicode, encoded"),
        pytest.param(refer("é.txt"), {"é.txt"}, id="Unicode"),
        pytest.param(refer("x%231%3F.txt"), {"x#1?.txt"}, id="what URIs reserve"),
        pytest.param(refer("a.txt/"), {"a.txt"}, id="a file with a slash too many"),
        pytest.param(refer("sub/"), {"sub/x", "sub/deep/y"}, id="a folder"),
        pytest.param(refer("./sub/"), {"sub/x", "sub/deep/y"}, id="a folder with a dot"),
        pytest.param(refer("sub/deep/"), {"sub/deep/y"}, id="a folder in a folder"),
        pytest.param(refer("sub/", "sub/x"), {"sub/x", "sub/deep/y"}, id="a folder and a file in it"),
    ],
)
def test_what_is_listed(has_part: Any, expected: set[str]) -> None:
    """The members that the folder holds, and always the crate itself."""
    assert listed_keys(crate(has_part), CRATE, PRESENT) == ({CRATE, *expected}, 0)


@pytest.mark.parametrize("spelling", ["sub", "sub/"])
def test_a_dataset_is_a_folder(spelling: str) -> None:
    """What the crate calls a Dataset stands for all below it, with or without the slash."""
    found = crate(refer(spelling), {"@id": spelling, "@type": "Dataset"})
    assert listed_keys(found, CRATE, PRESENT)[0] == {CRATE, "sub/x", "sub/deep/y"}


def test_a_member_that_is_described_in_place() -> None:
    """An entity inside ``hasPart`` is as good as a reference to it."""
    found = crate([{"@id": "a.txt", "@type": "File", "name": "A"}])
    assert listed_keys(found, CRATE, PRESENT)[0] == {CRATE, "a.txt"}


def test_members_of_members_are_not_listed() -> None:
    """Only the root's own members count."""
    other = {"@id": "#collection", "@type": "Collection", "hasPart": refer("sub/x")}
    assert listed_keys(crate(refer("a.txt"), other), CRATE, PRESENT)[0] == {CRATE, "a.txt"}


@pytest.mark.parametrize("member", ["s3://bucket/x", "file:///data/x", "/data/x", "ftp://host/x"])
def test_members_elsewhere_are_counted(member: str) -> None:
    """They cannot be packaged from this folder, and that is told."""
    assert listed_keys(crate(refer("a.txt", member)), CRATE, PRESENT) == ({CRATE, "a.txt"}, 1)


@pytest.mark.parametrize(
    "member",
    ["nowhere.txt", "sub", "../a.txt", "sub/../a.txt", "sub//x", "./", "%2e%2e/a.txt", "nowhere/", "SUB/"],
)
def test_members_that_are_not_there(member: str) -> None:
    """A listing of the folder is no substitute: the error names the member."""
    with pytest.raises(PackagingError) as caught:
        listed_keys(crate(refer("a.txt", member)), CRATE, PRESENT)
    assert caught.value.code == "listed-missing"
    assert repr(member) in caught.value.message


def test_many_members_that_are_not_there() -> None:
    """The first few are named, the others counted."""
    with pytest.raises(PackagingError, match=r"'0', '1', '2', '3', '4' and 7 more, which the folder does not hold"):
        listed_keys(crate(refer(*map(str, range(12)))), CRATE, PRESENT)


def test_a_crate_in_a_folder_of_its_own() -> None:
    """Its members are relative to where it lies, and keep their keys in the package."""
    present = ("pipeline_info/run-crate.json", "pipeline_info/trace.txt", "trace.txt")
    found = crate(refer("trace.txt"))
    keys, _ = listed_keys(found, "pipeline_info/run-crate.json", present)
    assert keys == {"pipeline_info/run-crate.json", "pipeline_info/trace.txt"}


def test_the_demo_run() -> None:
    """A real crate lists what the run published; its inputs lie elsewhere."""
    crate_path = DEMO / CRATE
    members = {part["@id"] for part in json.loads(crate_path.read_text())["@graph"][1]["hasPart"]}
    keys, elsewhere = listed_keys(read_crate_file(crate_path), CRATE, keys_of(DEMO))
    assert keys == {CRATE, *(member for member in members if "://" not in member)}
    assert elsewhere == 3


def test_a_real_run_of_nf_prov_1_7(recorded: Path) -> None:
    """What Nextflow's crate lists is what is packaged, folders with everything below them."""
    results = recorded / "multi-module/results"
    graph = json.loads((results / CRATE).read_text())["@graph"]
    (root,) = (entity for entity in graph if entity["@id"] == "./")
    present = keys_of(results)
    expected = {CRATE}
    for part in root["hasPart"]:
        member = part["@id"].rstrip("/")
        expected |= {key for key in present if key == member or key.startswith(f"{member}/")}
    assert listed_keys(read_crate_file(results / CRATE), CRATE, present)[0] == expected
