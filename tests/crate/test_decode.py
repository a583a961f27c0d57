"""Bytes to a crate: what is tolerated, what is merged, and what is refused in one located sentence."""

from __future__ import annotations

import codecs
import gc
import json
import re
from typing import Any

import pytest

from crate.documents import DESCRIPTOR, RECORDED, ROOT, crate_of, document, ref, refs
from provwatch.crate import decode_crate
from provwatch.errors import CrateError

PLAIN = document(DESCRIPTOR, ROOT, {"@id": "a.txt", "@type": "File", "name": "A"})
DEEP = 100_000
STRICT_TAIL = "Without --strict such crates are read with a warning"


def lines(*written: str) -> bytes:
    return "\n".join(written).encode()


class TestSpelling:
    """One crate may be written in many ways."""

    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(PLAIN, id="as it is"),
            pytest.param(codecs.BOM_UTF8 + PLAIN, id="byte order mark"),
            pytest.param(b"\r\n\t " + PLAIN.replace(b", ", b",\r\n") + b"\n\n", id="other white space"),
            pytest.param(json.dumps(json.loads(PLAIN), indent=4).encode(), id="indented"),
            pytest.param(document(*reversed(json.loads(PLAIN)["@graph"])), id="another order"),
            pytest.param(PLAIN.replace(b'"File"', b'["File"]').replace(b'"A"', b'["A"]'), id="lists of one"),
            pytest.param(PLAIN.replace(b'"@graph"', b'"\\u0040graph"'), id="escaped key"),
            pytest.param(document(DESCRIPTOR, DESCRIPTOR, *json.loads(PLAIN)["@graph"]), id="said twice"),
        ],
    )
    def test_the_same_crate_comes_out(self, data: bytes) -> None:
        """How a document is laid out makes no difference, and nothing about it is odd."""
        crate = decode_crate(data)
        assert set(crate.entities) == {"ro-crate-metadata.json", "./", "a.txt"}
        assert (crate.descriptor_id, crate.root_id, crate.warnings) == ("ro-crate-metadata.json", "./", ())
        entity = crate.get("a.txt")
        assert entity is not None
        assert entity.is_a("File")
        assert crate.resolve(ref("a.txt"))[0]["name"] in ("A", ["A"])

    def test_digest_and_size_are_those_of_the_bytes(self) -> None:
        """The document's SHA-256 is of all its bytes, a byte order mark included."""
        plain, marked = decode_crate(PLAIN), decode_crate(codecs.BOM_UTF8 + PLAIN)
        assert plain.sha256 != marked.sha256
        assert marked.size == plain.size + 3

    def test_nobody_elses_garbage_collector_is_touched(self) -> None:
        """Decoding runs without the collector, and leaves it as it was."""
        decode_crate(PLAIN)
        assert gc.isenabled()
        gc.disable()
        try:
            decode_crate(PLAIN)
            assert not gc.isenabled()
        finally:
            gc.enable()


class TestDescriptor:
    """The metadata descriptor is known by what it says."""

    @pytest.mark.parametrize(
        ("descriptor", "filename"),
        [
            pytest.param({}, "", id="standard name"),
            pytest.param({"@id": "ro-crate-metadata.jsonld"}, "", id="name of RO-Crate 1.0"),
            pytest.param({"@id": "ro-crate-manifest.json"}, "", id="name in older Quilt pages"),
            pytest.param({"@id": "./ro-crate-metadata.json"}, "", id="with a dot"),
            pytest.param({"@id": "https://example.org/x/ro-crate-metadata.json"}, "", id="web address"),
            pytest.param({"@id": "run.wrroc.json"}, "run.wrroc.json", id="nf-prov's own file name"),
            pytest.param({"@id": "run.wrroc.json"}, "ro-crate-metadata.json", id="renamed afterwards"),
            pytest.param({"@id": "#about"}, "", id="any name"),
            pytest.param({"conformsTo": refs("https://w3id.org/ro/crate/1.2-DRAFT", "x")}, "", id="several profiles"),
            pytest.param({"conformsTo": "https://w3id.org/ro/crate/1.1"}, "", id="profile as text"),
            pytest.param({"conformsTo": ref("http://purl.archive.org/ro/crate/0.2")}, "", id="older profile"),
            pytest.param({"conformsTo": None}, "", id="no profile"),
            pytest.param({"about": ["./"]}, "", id="about as text"),
            pytest.param({"@type": "File"}, "", id="another type"),
        ],
    )
    def test_it_is_found(self, descriptor: dict[str, Any], filename: str) -> None:
        """Its name, its type and the form of its links may be anything."""
        described = {**DESCRIPTOR, **descriptor}
        crate = decode_crate(document(ROOT, described), filename=filename)
        assert (crate.descriptor_id, crate.root_id) == (described["@id"], "./")

    def test_of_several_it_is_the_one_that_declares_a_crate(self) -> None:
        """Something else may be about something; only the descriptor conforms to RO-Crate."""
        review = {"@id": "review.txt", "@type": "File", "about": ref("other/")}
        other = {"@id": "other/", "@type": "Dataset"}
        crate = decode_crate(document(review, other, {**DESCRIPTOR, "@id": "custom.json"}, ROOT))
        assert (crate.descriptor_id, crate.root_id) == ("custom.json", "./")

    def test_that_of_a_crate_inside_does_not_count(self) -> None:
        """A nested crate's descriptor lies deeper."""
        inner = {**DESCRIPTOR, "@id": "inner/ro-crate-metadata.json", "about": ref("inner/")}
        crate = decode_crate(document(inner, {"@id": "inner/", "@type": "Dataset"}, DESCRIPTOR, ROOT))
        assert crate.root_id == "./"

    @pytest.mark.parametrize(
        ("entities", "root_id", "warnings"),
        [
            pytest.param([DESCRIPTOR, ROOT], "./", (), id="as it should be"),
            pytest.param([{**DESCRIPTOR, "about": refs("gone", "./")}, ROOT], "./", (), id="one of several"),
            pytest.param([{**DESCRIPTOR, "about": ref("gone")}, ROOT], "./", (), id="about something else"),
            pytest.param(
                [{**DESCRIPTOR, "about": ref("https://x.org/1/")}, {"@id": "https://x.org/1/", "@type": "Dataset"}],
                "https://x.org/1/",
                (),
                id="web address",
            ),
            pytest.param(
                [DESCRIPTOR, {"@id": "./", "@type": "schema:Dataset"}], "./", (), id="type with a prefix, no name"
            ),
            pytest.param([ROOT], "./", ("no-descriptor",), id="no descriptor"),
            pytest.param([{**ROOT, "@id": "."}], ".", ("no-descriptor",), id="no descriptor, root without slash"),
            pytest.param(
                [DESCRIPTOR, {**ROOT, "@type": "RepositoryObject"}], "./", ("root-not-a-dataset",), id="not a Dataset"
            ),
            pytest.param([DESCRIPTOR, {"@id": "./"}], "./", ("root-not-a-dataset",), id="no type"),
        ],
    )
    def test_the_root_is_what_it_is_about(
        self, entities: list[object], root_id: str, warnings: tuple[str, ...]
    ) -> None:
        """Where that fails, the root is the Dataset called ``./``."""
        crate = decode_crate(document(*entities))
        assert (crate.root_id, crate.warnings) == (root_id, warnings)


class TestOddities:
    """What real producers and hostile ones write is read, and said."""

    @pytest.mark.parametrize(
        ("member", "warnings"),
        [
            pytest.param({"@id": "x", "@type": "File", "name": None}, (), id="null property"),
            pytest.param({"@id": "x", "object": {"@id": None}}, (), id="null reference"),
            pytest.param({"@id": "x", "object": {"@value": 5}}, (), id="typed value"),
            pytest.param(
                {"@id": "x", "object": {"@value": {"a": 1}}},
                ("entity-without-id:1", "nested-entity:1"),
                id="JSON value",
            ),
            pytest.param({"@id": "x", "object": {"@list": [ref("./")]}}, (), id="ordered list"),
            pytest.param({"@id": "x", "object": [[ref("./")], []]}, (), id="list in a list"),
            pytest.param({"@id": "x", "@type": [1, None, True]}, (), id="types that are no strings"),
            pytest.param({"@id": "x", "@type": True}, (), id="boolean type"),
            pytest.param({"@id": "x", "name": 17, "agent": [[], {}]}, (), id="names and agents of any kind"),
            pytest.param({"@id": "x", "object": 1e300, "name": 10**400}, (), id="large numbers"),
            pytest.param({"@id": "x", "name": "\0\u2028\x7f"}, (), id="control characters"),
            pytest.param(None, ("entity-not-an-object:1",), id="null"),
            pytest.param(7, ("entity-not-an-object:1",), id="number"),
            pytest.param("./", ("entity-not-an-object:1",), id="string"),
            pytest.param([], ("entity-not-an-object:1",), id="list"),
            pytest.param({}, ("entity-without-id:1",), id="empty"),
            pytest.param({"@type": "File"}, ("entity-without-id:1",), id="no @id"),
            pytest.param({"@id": None}, ("entity-without-id:1",), id="null @id"),
            pytest.param({"@id": 5}, ("entity-without-id:1",), id="number as @id"),
            pytest.param({"@id": ["a"], "object": [[]]}, ("entity-without-id:1",), id="list as @id"),
            pytest.param({"@id": "x", "object": ref("y") | {"name": "Y"}}, ("nested-entity:1",), id="nested"),
            pytest.param(
                {"@id": "x", "object": {"@id": 5}},
                ("entity-without-id:1", "nested-entity:1"),
                id="number as reference",
            ),
        ],
    )
    def test_they_are_survived(self, member: object, warnings: tuple[str, ...]) -> None:
        """The rest of the crate is there, and the oddity is counted."""
        crate = crate_of(member, {"@id": "last.txt", "@type": "File"})
        assert crate.get("last.txt") is not None
        assert crate.warnings == warnings
        for entity_id in crate.entities:
            assert crate.properties(entity_id).keys() >= crate.facts(entity_id).keys()

    def test_nested_entities_stand_beside_the_others(self) -> None:
        """An entity inside another is one like any other, also where it has no name of its own."""
        outer = {
            "@id": "#run",
            "@type": "CreateAction",
            "object": [{"@id": "in.txt", "@type": "File", "name": "in"}, {"@type": "File", "name": "nameless"}],
        }
        crate = crate_of(outer)
        assert {name for _, entity in crate.of_type("File") if (name := entity.name)} == {"in", "nameless"}
        assert len(crate.properties("#run")["object"]) == 2

    def test_nameless_entities_are_called_by_what_they_say(self) -> None:
        """The same nameless entity has the same name in any crate, so that no order shows."""
        one, two = {"@type": "File", "name": "one"}, {"@type": "File", "name": "two"}
        turned = dict(reversed(one.items()))
        assert set(crate_of(one, two).entities) == set(crate_of(two, turned).entities)
        assert set(crate_of({"object": [one]}).entities) > set(crate_of(one).entities)

    def test_numbers_nobody_can_count_stay_text(self) -> None:
        """A number that no float holds is kept as it is written, wherever it stands."""
        written = b"[1e999, -1E999, 1" + b"0" * 5000 + b", 1.5, 7]"
        for key in (b"value", b"name", b"object"):
            member = document({"@id": "x"}).replace(b'"@id": "x"', b'"@id": "x", "' + key + b'": ' + written)
            data = document(DESCRIPTOR, ROOT).replace(b"[{", b"[" + member[member.index(b'{"@id"') : -2] + b", {", 1)
            assert decode_crate(data).properties("x")[key.decode()] == ["1e999", "-1E999", "1" + "0" * 5000, 1.5, 7]

    @pytest.mark.parametrize("types", [["File", "File"], ["File", "schema:File"], ["schema:File", "File", "s:File"]])
    def test_a_type_said_twice_counts_once(self, types: list[str]) -> None:
        """``File`` and ``schema:File`` are one type, and an entity is of it once."""
        crate = crate_of({"@id": "a", "@type": types}, {"@id": "b", "@type": "File"})
        assert sorted(entity_id for entity_id, _ in crate.of_type("File")) == ["a", "b"]
        assert sorted(entity_id for entity_id, _ in crate.of_type("File", "schema:File")) == ["a", "b"]


class TestDuplicates:
    """Two entities may share an ``@id``: nf-prov does that in most crates."""

    FIRST, SECOND, THIRD = (
        {"@id": "ref.fa", "@type": "File", "name": "ref.fa"},
        {"@id": "ref.fa", "@type": ["File", "Text"], "description": "Input", "value": [1, True]},
        {"description": ["Input", "Other"], "@id": "ref.fa", "value": 1.0},
    )

    @pytest.mark.parametrize(
        ("members", "duplicates"),
        [
            pytest.param([FIRST], (), id="one"),
            pytest.param([FIRST, dict(FIRST)], (), id="the same twice"),
            pytest.param([FIRST, dict(reversed(FIRST.items()))], (), id="other order of keys"),
            pytest.param([FIRST, SECOND], ("ref.fa",), id="two contents"),
            pytest.param([{"@id": "x", "v": 1}, {"@id": "x", "v": True}], ("x",), id="one and true"),
            pytest.param([{"@id": "x", "v": 1}, {"@id": "x", "v": 1.0}], ("x",), id="one and one point zero"),
        ],
    )
    def test_those_with_two_contents_are_named(self, members: list[Any], duplicates: tuple[str, ...]) -> None:
        """Saying the same twice is no conflict."""
        crate = crate_of(*members)
        assert crate.duplicates == duplicates
        assert crate.warnings == (("duplicate-id:1",) if duplicates else ())

    def test_all_that_is_said_is_kept(self) -> None:
        """Merging keeps every value once."""
        merged = crate_of(self.FIRST, self.SECOND, self.THIRD).properties("ref.fa")
        assert merged == {
            "@id": "ref.fa",
            "@type": ["File", "Text"],
            "name": "ref.fa",
            "description": ["Input", "Other"],
            "value": [1, 1.0, True],
        }

    def test_the_order_makes_no_difference(self) -> None:
        """Whichever comes first, the merged entity is the same."""
        one = crate_of(self.FIRST, self.SECOND, self.THIRD, self.FIRST).properties("ref.fa")
        other = crate_of(self.THIRD, self.FIRST, self.SECOND).properties("ref.fa")
        assert json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)

    def test_a_hundred_thousand_of_one_name_take_no_time(self) -> None:
        """Merging is linear: it looks at each entity once."""
        crate = crate_of(*({"@id": "x", "name": f"n{number}"} for number in range(100_000)))
        assert len(crate.properties("x")["name"]) == 100_000


class TestStrict:
    """``--strict`` refuses what Quilt's RO-Crate profile refuses."""

    @pytest.mark.parametrize(
        "entities",
        [
            pytest.param([DESCRIPTOR, ROOT], id="plain"),
            pytest.param([DESCRIPTOR, ROOT, dict(ROOT)], id="the same twice"),
            pytest.param(
                [DESCRIPTOR, {**ROOT, "hasPart": refs("https://x.org/a", "s3://b/c", "a")}, ref("a")],
                id="parts elsewhere",
            ),
        ],
    )
    def test_good_crates_pass(self, entities: list[object]) -> None:
        """Parts on the web and in S3 need no entity."""
        assert decode_crate(document(*entities), strict=True).root_id == "./"

    @pytest.mark.parametrize(
        ("entities", "said"),
        [
            pytest.param(
                [DESCRIPTOR, ROOT, {**ROOT, "name": "Other"}],
                "two entities with different content share the @id './'",
                id="two contents",
            ),
            pytest.param(
                [DESCRIPTOR, {**ROOT, "hasPart": ref("gone.txt")}],
                "hasPart names 'gone.txt', which the crate does not describe",
                id="part not described",
            ),
            pytest.param(
                [DESCRIPTOR, {**ROOT, "hasPart": ref("file:///gone.txt")}],
                "hasPart names 'file:///gone.txt', which the crate does not describe",
                id="file address not described",
            ),
        ],
    )
    def test_others_are_refused_by_name(self, entities: list[object], said: str) -> None:
        """Each problem names the ``@id`` it is at."""
        with pytest.raises(CrateError, match=re.escape(f"crate.json: {said}. {STRICT_TAIL}")):
            decode_crate(document(*entities), where="crate.json", strict=True)

    def test_all_problems_come_at_once(self) -> None:
        """Twenty problems are named, the others counted."""
        root = {**ROOT, "hasPart": refs(*(f"gone-{number}" for number in range(30)))}
        with pytest.raises(CrateError, match=r"gone-19.*; and 10 more") as caught:
            decode_crate(document(DESCRIPTOR, root), strict=True)
        assert "gone-20" not in str(caught.value)


class TestErrors:
    """Bad input gives one sentence that says where."""

    CASES = (
        ("empty", b"", ":1:1: the file is empty"),
        ("blank", b"\n  \n", ":1:1: the file is empty"),
        ("only a byte order mark", codecs.BOM_UTF8, ":1:1: the file is empty"),
        ("not JSON", b"hello", ":1:1: the JSON is not valid: invalid character"),
        ("zip on standard input", b"PK\x03\x04", ":1:1: the JSON is not valid"),
        ("cut off", PLAIN[:-20], f":1:{len(PLAIN) - 19}: the JSON ends in the middle"),
        ("cut off on line 3", lines("{", '"@graph":', '["a'), ":3:4: the JSON ends in the middle"),
        ("trailing comma", lines('{"@graph": [', "{},", "]}"), ":3:1: the JSON is not valid: trailing comma"),
        ("missing comma", lines('{"@graph": [', "{}", "{}", "]}"), ":3:1: the JSON is not valid: expected ','"),
        ("two documents", PLAIN + PLAIN, f":1:{len(PLAIN) + 2}: the JSON is not valid: trailing characters"),
        ("not a number", b'{"@graph": [{"@id": "x", "value": NaN}]}', ":1:35: the JSON is not valid"),
        ("single quotes", b"{'@graph': []}", ":1:2: the JSON is not valid"),
        ("comment", b'{\n// no\n"@graph": []}', ":2:1: the JSON is not valid"),
        ("raw line break", b'{"@graph": [\n{"@id": "a\nb"}]}', ":2:11: the JSON is not valid"),
        ("half a surrogate pair", b'{"@graph": [{"name": "\\ud800 and more"}]}', ":1:29: the JSON is not valid"),
        ("latin-1", lines('{"@graph": [', '{"name": "') + b'\xe9"}]}', ":2:11: the text is not UTF-8"),
        ("latin-1 where nobody looks", PLAIN[:-1] + b', "x": "\xe9"}', f":1:{len(PLAIN) + 8}: the text is not UTF-8"),
        ("latin-1 at the very end", PLAIN + b"\xe9", f":1:{len(PLAIN) + 1}: the text is not UTF-8"),
        ("UTF-16", PLAIN.decode().encode("utf-16"), ":1:1: the text is not UTF-8"),
        ("surrogates as UTF-8", b'{"@graph": [{"name": "\xed\xa0\x80"}]}', ":1:23: the text is not UTF-8"),
        ("list", b"[]", ":1:1: not an RO-Crate metadata document: the top level must be an object"),
        ("number", b"1", ":1:1: not an RO-Crate metadata document: the top level must be an object"),
        ("null", b"null", ":1:1: not an RO-Crate metadata document: the top level must be an object"),
        ("no graph", b'\n{"a": 1}', ":1:1: this JSON has no @graph"),
        ("graph is null", b'{"@graph": null}', ":1:1: this JSON has no @graph"),
        ("graph is an object", b'{"@graph": {}}', ":1:1: not an RO-Crate metadata document: `@graph` must be a list"),
        ("graph is a string", b'{"@graph": "x"}', ":1:1: not an RO-Crate metadata document: `@graph` must be a list"),
        ("nothing in it", b'{\n"@graph": []}', ":2:1: no root data entity"),
        ("no root", document({"@id": "a", "@type": "File"}), ":1:55: no root data entity"),
        ("root of another type", document({"@id": "./", "@type": "File"}), ":1:55: no root data entity"),
        (
            "about nothing",
            document({**DESCRIPTOR, "about": ref("results/")}),
            " @id 'ro-crate-metadata.json': the metadata descriptor is about 'results/', which",
        ),
        ("deep", b'{"@graph": ' + b"[" * DEEP + b"]" * DEEP + b"}", ":1:1: the JSON is nested too deeply"),
        ("deep before it", b'{"a": ' + b"[" * DEEP, ":1:1: the JSON is nested too deeply"),
        ("deep and cut off", b'{"@graph": [{"a":' * DEEP, ":1:1: the JSON is nested too deeply"),
    )

    @pytest.mark.parametrize(("data", "said"), [pytest.param(data, said, id=name) for name, data, said in CASES])
    def test_one_sentence_says_where(self, data: bytes, said: str) -> None:
        """File, line and column, or the entity, then what is wrong."""
        with pytest.raises(CrateError) as caught:
            decode_crate(data, where="crate.json")
        assert str(caught.value).startswith(f"crate.json{said}")
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == 1

    @pytest.mark.parametrize("opening", ["[", '{"a":', '{"object":', '{"@value":', '{"@list":['])
    @pytest.mark.parametrize("depth", [10, 100, 300, 900, 970, 980, 990, 5000])
    def test_no_depth_is_a_traceback(self, opening: str, depth: int) -> None:
        """However deep a value is nested, the crate is read or refused."""
        closing = "".join({"[": "]", "{": "}"}[char] for char in reversed(opening) if char in "[{")
        value = (opening * depth + "1" + closing * depth).encode()
        for key in (b"object", b"name", b"conformsTo", b"description"):
            entity = b'{"@id": "./", "@type": "Dataset", "' + key + b'": ' + value + b"}"
            repeated = b'{"@id": "./", "' + key + b'": ' + value + b"}"
            for data in (entity, entity + b", " + repeated):
                try:
                    crate = decode_crate(b'{"@graph": [' + data + b"]}")
                    crate.properties("./")
                except CrateError as error:
                    assert "nested too deeply" in str(error)  # noqa: PT017 - either is fine

    @pytest.mark.parametrize("name", RECORDED)
    def test_every_half_written_crate_is_known(self, name: str) -> None:
        """Nextflow writes the crate last and not at once: what is there before the end is no crate yet."""
        data = RECORDED[name].read_bytes()
        for length in range(1, len(data) - 2, max(len(data) // 40, 1)):
            with pytest.raises(CrateError, match="the JSON ends in the middle"):
                decode_crate(data[:length])
