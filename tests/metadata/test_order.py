"""Metadata ignores the order of ``@graph`` and of keys, and is the same bytes every time."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crate.documents import DESCRIPTOR, RECORDED, ROOT, Entity, document, ref
from metadata.deriving import Values, broken_rules
from provwatch.crate import decode_crate
from provwatch.errors import CrateError
from provwatch.metadata import derive_metadata, gather

SMALL = {name: json.loads(path.read_bytes()) for name, path in RECORDED.items() if path.stat().st_size < 100_000}

IDS = st.sampled_from(["main.nf", "#run", "#a", "#b", "a.txt", "b.txt", "#task/1", "#task/2", "#publish/1/a", "gone"])
TYPES = st.sampled_from(
    [
        "File",
        "Dataset",
        "Collection",
        "Person",
        "Organization",
        "PropertyValue",
        "FormalParameter",
        "CreateAction",
        "ControlAction",
        "OrganizeAction",
        "SoftwareApplication",
        "ComputationalWorkflow",
        "ContainerImage",
        "schema:CreateAction",
    ]
)
WORDS = st.sampled_from(["", "x", "A (S1)", "20240501", "token", "2024-05-01T10:00:00Z", "2024-05-01T11:00:00+02:00"])
SCALARS = WORDS | st.none() | st.booleans() | st.sampled_from([0, 1, 1.0, 10**30])
KEYS = st.sampled_from(
    [
        *("name", "value", "startTime", "endTime", "actionStatus", "error", "version", "contentSize", "identifier"),
        *("license", "alternateName", "sha256", "tag", "keywords", "datePublished", "description"),
    ]
)
LINKS = st.sampled_from(
    [
        *("object", "result", "instrument", "agent", "hasPart", "mainEntity", "exampleOfWork", "creator", "publisher"),
        *("affiliation", "programmingLanguage", "conformsTo", "about"),
    ]
)


def entity_of(ids: st.SearchStrategy[Any], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Entity]:
    """Return entities with links and texts, a few of them nameless."""
    types = st.one_of(TYPES, st.lists(TYPES, min_size=1, max_size=2))
    parts = (
        st.dictionaries(KEYS, st.one_of(SCALARS, st.lists(SCALARS, max_size=2)), max_size=3),
        st.dictionaries(LINKS, st.one_of(values, st.lists(values, max_size=3)), max_size=3),
    )
    named = st.one_of(ids.map(ref), ids.map(ref), ids.map(ref), st.just({}))
    return st.builds(lambda own, kind, texts, links: {**own, "@type": kind, **texts, **links}, named, types, *parts)


REFERENCES = IDS.map(ref)
NESTED = entity_of(IDS, st.one_of(REFERENCES, REFERENCES, st.just({"@value": "v"})))
ENTITIES = entity_of(IDS, st.one_of(REFERENCES, REFERENCES, REFERENCES, NESTED, SCALARS))
MEMBERS = st.lists(st.one_of(*[ENTITIES] * 8, SCALARS), max_size=8)
CHANCES = st.integers(0, 2**32).map(random.Random)
TOP = {**ROOT, "mainEntity": ref("main.nf")}
WORKFLOW = {"@id": "main.nf", "@type": ["File", "ComputationalWorkflow"]}
ENGINE = {"@id": "main.nf#software-application", "@type": "SoftwareApplication"}


def metadata_of(data: bytes) -> Values | str:
    """Return everything derived from a document but its digest, or why it is refused."""
    try:
        metadata = derive_metadata(gather(decode_crate(data)), promote_params=["x"])
    except CrateError as error:
        return error.message
    assert metadata.values["crate_sha256"] == metadata.full["crate_sha256"]
    for values, bounded in ((metadata.values, True), (metadata.full, False)):
        broken = broken_rules(values, bounded=bounded)
        assert not broken, broken
    kept = {key: value for key, value in metadata.full.items() if key != "crate_sha256"}
    return {**kept, "kind": metadata.kind, "is_run": metadata.is_run}


def reordered(value: Any, chance: random.Random, *, top: bool = True) -> Any:
    """Return JSON with the members of the graph, and all keys, in another order; other lists stay."""
    if isinstance(value, dict):
        keys = list(value)
        chance.shuffle(keys)
        mixed = {key: reordered(value[key], chance, top=False) for key in keys}
        if top:
            chance.shuffle(mixed["@graph"])
        return mixed
    return [reordered(item, chance, top=False) for item in value] if isinstance(value, list) else value


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(sorted(SMALL)), CHANCES)
def test_recorded_crates(name: str, chance: random.Random) -> None:
    """A real run's crate gives the same metadata in any order."""
    mixed = json.dumps(reordered(SMALL[name], chance)).encode()
    assert metadata_of(mixed) == metadata_of(RECORDED[name].read_bytes())


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(sorted(SMALL)), st.data())
def test_recorded_crates_with_more_in_them(name: str, data: st.DataObject) -> None:
    """The same holds where entities stand twice, with other contents, or inside others."""
    chance, graph = data.draw(CHANCES), SMALL[name]["@graph"]
    own = st.sampled_from([item["@id"] for item in graph])
    more = data.draw(st.lists(entity_of(own | IDS, own.map(ref) | NESTED), min_size=1, max_size=4))
    larger = {"@graph": [*graph, *more]}
    assert metadata_of(json.dumps(reordered(larger, chance)).encode()) == metadata_of(json.dumps(larger).encode())


@settings(deadline=None, max_examples=500)
@given(members=MEMBERS, nextflow=st.booleans(), chance=CHANCES)
def test_small_crates(members: list[object], *, nextflow: bool, chance: random.Random) -> None:
    """Duplicates, nested and nameless entities, several runs and dangling links: no order shows."""
    graph = {"@graph": [DESCRIPTOR, TOP, WORKFLOW, *([ENGINE] if nextflow else []), *members]}
    first = metadata_of(json.dumps(graph).encode())
    assert metadata_of(json.dumps(reordered(graph, chance)).encode()) == first


@given(MEMBERS)
def test_the_same_bytes_every_time(members: list[object]) -> None:
    """Nothing depends on the clock, on chance, or on what was read before."""
    data = document(DESCRIPTOR, TOP, WORKFLOW, ENGINE, *members)
    texts = {json.dumps(derive_metadata(gather(decode_crate(data))).values) for _ in range(3)}
    assert len(texts) == 1


@pytest.mark.parametrize(
    "members",
    [
        pytest.param([{"@id": "x", "value": 1}, {"@id": "x", "value": True}], id="one and true"),
        pytest.param(
            [{"@type": "CreateAction", "instrument": ref("main.nf"), "name": name} for name in "ab"], id="nameless runs"
        ),
        pytest.param(
            [{"@id": f"#{name}", "@type": "OrganizeAction", "name": f"{name} 1.0"} for name in "ab"], id="two engines"
        ),
        pytest.param(
            [{"@id": "#a", "@type": "CreateAction", "object": {"@type": "File", "name": name}} for name in "ab"],
            id="nested in duplicates",
        ),
    ],
)
def test_small_crates_that_once_showed_their_order(members: list[Entity]) -> None:
    """Two entities in both orders."""
    first, second = ([DESCRIPTOR, TOP, WORKFLOW, *order] for order in (members, members[::-1]))
    assert metadata_of(document(*first)) == metadata_of(document(*second))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param([{"@id": "a"}], [{"@id": "b"}], id="another entity"),
        pytest.param([{"@type": "File", "name": "a"}], [{"@type": "File", "name": "a"}, {"name": "b"}], id="one more"),
    ],
)
def test_other_crates_have_other_metadata(one: list[Entity], other: list[Entity]) -> None:
    """Two crates with the same words still differ by their digest."""
    first, second = (decode_crate(document(DESCRIPTOR, TOP, *members)) for members in (one, other))
    assert derive_metadata(gather(first)).values != derive_metadata(gather(second)).values
