"""Metadata stays within what a catalog can index and a manifest record can hold, and says what was cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crate.documents import ROOT, Entity, nextflow_run, parameter, ref, refs, run_with, task
from metadata.deriving import Values, broken_rules, derive, picked
from provwatch.crate.model import many
from provwatch.metadata.bounds import bound, json_size, tidy, with_warnings
from provwatch.metadata.schema import KEY_BY_NAME, KEYS, MAX_OBJECT_BYTES

WIDE = "😀"  # four bytes, and two code units where people count those


def tasks(count: int, tag: str = "sample_{:05}") -> list[Entity]:
    return [task(number, f"ALIGN ({tag.format(number)})") for number in range(count)]


class TestLists:
    """Lists have limits; what is cut is whole in the full side file."""

    @pytest.mark.parametrize(
        ("count", "kept"),
        [(0, None), (1, 1), (2_000, 2_000), (2_001, 2_000), (5_000, 2_000)],
    )
    def test_samples(self, count: int, kept: int | None) -> None:
        """Two thousand samples; the count stays exact."""
        metadata = derive(nextflow_run(*tasks(count)))
        assert len(metadata.values.get("samples", [])) == (kept or 0)
        assert metadata.values.get("sample_count") == metadata.full.get("sample_count") == (count or None)
        assert metadata.full.get("samples", []) == [f"sample_{number:05}" for number in range(count)]
        assert ("truncated:samples" in metadata.values.get("warnings", [])) is (count > 2_000)

    @pytest.mark.parametrize(
        ("count", "kept"),
        [(0, 0), (256, 256), (257, 256), (10_000, 256)],
    )
    def test_params(self, count: int, kept: int) -> None:
        """Two hundred and fifty-six parameters."""
        metadata = derive(run_with(*(parameter(f"p{number:05}", number) for number in range(count))))
        assert picked(metadata.values, "param_count") == picked(metadata.full, "param_count") == (count,)
        assert len(metadata.values.get("params", [])) == kept
        assert len(metadata.full.get("params", [])) == count
        assert ("truncated:params" in metadata.values.get("warnings", [])) is (count > 256)

    @pytest.mark.parametrize(("count", "kept"), [(200, 200), (201, 200)])
    def test_inputs(self, count: int, kept: int) -> None:
        """Two hundred inputs."""
        names = [f"in_{number:04}.fq" for number in range(count)]
        files = [{"@id": name, "@type": "File"} for name in names]
        values = derive(nextflow_run(*files, run={"object": refs(*names)})).values
        assert (len(values["inputs"]), values["input_count"]) == (kept, count)

    @pytest.mark.parametrize(("count", "kept"), [(100, 100), (101, 100)])
    def test_others(self, count: int, kept: int) -> None:
        """A hundred of anything else."""
        metadata = derive(nextflow_run(root={"keywords": [f"word {number:03}" for number in range(count)]}))
        assert (len(metadata.values["keywords"]), len(metadata.full["keywords"])) == (kept, count)

    def test_items_have_a_thousand_characters(self) -> None:
        """A long parameter is cut with an ellipsis, and whole in the full form."""
        metadata = derive(run_with(parameter("long", "x" * 5_000), parameter("short", "x" * 1_018)))
        assert [len(item) for item in metadata.values["params"]] == [1_024, 1_024]
        assert metadata.values["params"][0].endswith("x...")
        assert metadata.values["params"][1].endswith("xxxx")
        assert metadata.values["warnings"] == ["truncated:params"]
        assert metadata.full["params"][0] == "long=" + "x" * 5_000
        assert "warnings" not in metadata.full

    def test_long_texts_are_cut(self) -> None:
        """A description is for people to read on a page."""
        metadata = derive(nextflow_run(root={"description": "x" * 10_000}))
        assert (len(metadata.values["description"]), metadata.values["description"][-4:]) == (4_096, "x...")
        assert len(metadata.full["description"]) == 10_000

    def test_a_hundred_warnings(self) -> None:
        """Even warnings end, and say so; all of them are in the full form."""
        secrets = [parameter(f"token_{number:03}", f"value-{number}") for number in range(150)]
        metadata = derive(run_with(*secrets))
        assert len(metadata.values["warnings"]) == 100
        assert metadata.values["warnings"][-1] == "truncated:warnings"
        assert len(metadata.full["warnings"]) == 150


class TestWhole:
    """The whole object stays under 64 KiB."""

    @pytest.mark.parametrize("letter", ["x", "é", WIDE, '"', "\\"])
    def test_whatever_is_in_it(self, letter: str) -> None:
        """Every text and list may be as long as its own limit, in any script."""
        long = letter * 4_200
        people = [{"@id": f"#p{number}", "@type": "Person", "name": f"{number}{long}"} for number in range(150)]
        names = [f"{number}{long}.txt" for number in range(250)]
        files = [{"@id": name, "@type": "File", "sha256": long} for name in names]
        metadata = derive(
            nextflow_run(
                *people,
                *files,
                *tasks(300, tag=f"{{}}{long}"),
                {"@id": "#i", "@type": "ContainerImage", "name": long},
                {"@id": "#s", "@type": "SoftwareApplication", "name": long, "version": "1"},
                run={"object": refs(*names), "error": long, "agent": ref("#p0"), "startTime": long},
                workflow={"name": long, "version": long, "codeRepository": f"https://{long}"},
                root={
                    **ROOT,
                    "name": long,
                    "description": long,
                    "license": long,
                    "keywords": [long + str(number) for number in range(200)],
                    "creator": refs(*(item["@id"] for item in people)),
                    "conformsTo": [long + str(number) for number in range(200)],
                    "datePublished": long,
                },
            )
        )
        assert json_size(metadata.values) <= MAX_OBJECT_BYTES
        assert metadata.values["tasks_total"] == 300
        assert metadata.values["input_count"] == 250
        assert len(metadata.full["inputs"][0]) > 4_200
        for name, value in metadata.values.items():
            if isinstance(value, list | str) and value != metadata.full[name]:
                assert f"truncated:{name}" in metadata.values["warnings"] or name == "warnings"

    def test_warnings_are_no_way_around(self) -> None:
        """Names of parameters turn up in warnings, and may be long."""
        secrets = [parameter(f"token{WIDE * 1_000}{number}", f"value-{number}") for number in range(300)]
        metadata = derive(run_with(*secrets))
        assert json_size(metadata.values) <= MAX_OBJECT_BYTES
        assert "truncated:warnings" in metadata.values["warnings"]

    def test_promoted_parameters_are_cut_too(self) -> None:
        """A key of its own is no larger than any other."""
        names = [f"p{number}" for number in range(60)]
        values = derive(run_with(*(parameter(name, WIDE * 5_000) for name in names)), promote=tuple(names)).values
        assert len({key for key in values if key.startswith("param_p")}) == 60

    def test_what_is_short_is_left_alone(self) -> None:
        """Only what is long is cut to make room."""
        values = derive(nextflow_run(*tasks(2_500, tag=f"{{}}{'x' * 300}"))).values
        assert len(values["samples"]) < 2_000
        assert picked(values, "pipeline", "run_started") == ("demo/small", "2026-11-22T09:00:21Z")
        assert [code for code in values["warnings"] if code.startswith("truncated:")] == ["truncated:samples"]


class TestTidy:
    """Values are made safe for the indexer."""

    @pytest.mark.parametrize(
        ("written", "kept"),
        [
            pytest.param("GRCh38", "GRCh38", id="text"),
            pytest.param("1.0", "1.0", id="version"),
            pytest.param("2024", "2024", id="year"),
            pytest.param("2024-05", "2024-05", id="month"),
            pytest.param("24.10.5", "24.10.5", id="Nextflow's version"),
            pytest.param("20240501", "v20240501", id="basic date"),
            pytest.param("2024-05-01", "v2024-05-01", id="date"),
            pytest.param("2024-05-01T10:00:00Z", "v2024-05-01T10:00:00Z", id="time"),
            pytest.param("2024W01", "v2024W01", id="week"),
            pytest.param("a\0b\x1b[31m\x7f", "a\ufffdb\ufffd[31m\ufffd", id="control characters"),
            pytest.param("a\tb\nc", "a\tb\nc", id="white space"),
            pytest.param("half \ud800 pair", "half \ufffd pair", id="surrogate"),
        ],
    )
    def test_texts(self, written: str, kept: str) -> None:
        """A text that would be taken for a date and is not one gets ``v`` in front; lists are not parsed for dates."""
        assert tidy({"pipeline": written, "run_started": written, "params": [written]}) == {
            "params": [kept.removeprefix("v") if kept != written and "\ufffd" not in kept else kept],
            "pipeline": kept,
            "run_started": kept.removeprefix("v") if kept != written and "\ufffd" not in kept else kept,
        }

    @pytest.mark.parametrize("absent", [None, "", [], [""]], ids=["null", "empty text", "empty list", "list of empty"])
    def test_absent_keys_are_left_out(self, absent: object) -> None:
        """The indexer has no facet for nothing."""
        assert tidy({"pipeline": absent, "params": absent, "tasks_total": 0}) == {"tasks_total": 0}

    def test_items_that_become_the_same_are_one(self) -> None:
        """Lists are in order, each item once, also after tidying."""
        assert tidy({"params": ["b", "a\0", "a\1", "a\ufffd"]}) == {"params": ["a\ufffd", "b"]}

    @pytest.mark.parametrize(
        ("given_warnings", "more", "kept"),
        [
            pytest.param(None, set(), None, id="none"),
            pytest.param(["b"], set(), ["b"], id="as they are"),
            pytest.param(["b"], {"a", "b"}, ["a", "b"], id="more"),
            pytest.param("text", {"a"}, ["a", "text"], id="a text from a description"),
            pytest.param([1, None, "b"], {"a"}, ["a", "b"], id="no texts from a description"),
            pytest.param({"x": 1}, {"a"}, ["a"], id="an object from a description"),
        ],
    )
    def test_warnings_are_a_list_of_texts(self, given_warnings: object, more: set[str], kept: list[str] | None) -> None:
        """Whatever stood there before."""
        values = {} if given_warnings is None else {"warnings": given_warnings}
        assert with_warnings(values, more) == ({"warnings": kept} if kept else {})


TEXTS = st.text(st.sampled_from(["a", "é", WIDE, "\0", "2", "-", '"', "\ud800"]), max_size=40).map(
    lambda word: word * 120
)
NUMBERS = st.integers(0, 2**63)
BY_KIND: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXTS,
    "integer": NUMBERS,
    "number": NUMBERS | st.floats(0, 1e9),
    "boolean": st.just(True),  # noqa: FBT003 - a strategy
    "strings": st.lists(TEXTS, max_size=120),
}
ENUMERATED = {"schema": "1", "run_status": "failed", "run_status_source": "stated"}
METADATA = st.fixed_dictionaries(
    {"schema": st.just("1")},
    optional={
        key.name: st.just(ENUMERATED[key.name]) if key.name in ENUMERATED else BY_KIND[key.kind]
        for key in KEYS
        if key.name != "schema"
    },
)


@given(METADATA)
def test_anything_of_the_right_types_is_kept_in_bounds(values: Values) -> None:
    """Whatever the texts are, what comes out keeps the rules, cutting twice changes nothing, and counts stay."""
    bounded = bound(tidy(values))
    broken = broken_rules(bounded)
    assert not broken, broken
    assert bound(bounded) == bounded
    assert json.loads(json.dumps(bounded)) == bounded
    for name, value in values.items():
        if KEY_BY_NAME[name].kind in {"integer", "number", "boolean"}:
            assert bounded[name] == value
    assert all(isinstance(code, str) for code in many(bounded.get("warnings")))
