"""Fingerprints and probes: what counts as the same content, on every machine and on this one."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
import quilt3
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import DEMO
from provwatch.crate import decode_crate
from provwatch.metadata import derive_metadata, gather
from provwatch.publish.entries import scan_folder
from provwatch.publish.fingerprint import (
    MARK,
    RACY_NS,
    Item,
    content_fingerprint,
    head_items,
    outputs_fingerprint,
    probe,
    volatile_matcher,
)
from provwatch.publish.hashing import digest_bytes
from provwatch.publish.manifest import Head, parse_manifest
from publish.trees import LONG_AGO_NS, source_file, write_tree

PLACE = ("file:///registry", "lab/run", "")
ITEMS: list[Item] = [("a", 1, "hash-a"), ("b/c", 2, "hash-c")]
NOW_NS = LONG_AGO_NS + 10 * RACY_NS


def content(place: tuple[str, str, str] = PLACE, metadata: Any = None, items: list[Item] | None = None) -> str:
    """Return a content fingerprint that differs from the usual one in what is given."""
    return content_fingerprint(*place, metadata or {}, ITEMS if items is None else items)


def outputs(metadata: Any = None, items: list[Item] | None = None, **more: Any) -> str:
    """Return an outputs fingerprint that differs from the usual one in what is given."""
    return outputs_fingerprint(*PLACE, metadata or {}, ITEMS if items is None else items, **more)


class TestContent:
    """The fingerprint of ``--dedup content``."""

    @pytest.mark.parametrize(
        "same",
        [
            pytest.param({"items": ITEMS[::-1]}, id="the order of the entries"),
            pytest.param({"items": iter(ITEMS)}, id="how the entries come"),
            pytest.param({"metadata": {}}, id="no metadata"),
        ],
    )
    def test_what_does_not_count(self, same: dict[str, Any]) -> None:
        """The fingerprint is of what is in the package."""
        assert content(**same) == content()

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param({"place": ("file:///other", "lab/run", "")}, id="registry"),
            pytest.param({"place": ("file:///registry", "lab/other", "")}, id="package"),
            pytest.param({"place": ("file:///registry", "lab/run", "alpha")}, id="quilt workflow"),
            pytest.param({"metadata": {"project": "atlas"}}, id="user metadata"),
            pytest.param({"items": ITEMS[:1]}, id="one entry less"),
            pytest.param({"items": [*ITEMS, ("d", 0, "")]}, id="one entry more"),
            pytest.param({"items": [ITEMS[0], ("b/c", 3, "hash-c")]}, id="size"),
            pytest.param({"items": [ITEMS[0], ("b/c", 2, "hash-d")]}, id="hash"),
            pytest.param({"items": [ITEMS[0], ("b/d", 2, "hash-c")]}, id="key"),
        ],
    )
    def test_what_counts(self, other: dict[str, Any]) -> None:
        """Each of these makes another content."""
        assert content(**other) != content()

    def test_metadata_counts_by_value(self) -> None:
        """The order of keys does not matter, the values do."""
        assert content(metadata={"a": 1, "b": [1, 2]}) == content(metadata={"b": [1, 2], "a": 1})
        assert content(metadata={"a": 1, "b": [1, 2]}) != content(metadata={"a": 1, "b": [2, 1]})

    def test_it_is_the_same_for_ever(self) -> None:
        """Ledgers and packages remember it, so it must not change between versions."""
        spelled = b'["content-1","file:///registry","lab/run","",{}]\n1:a:1:hash-a\n3:b/c:2:hash-c'
        assert content() == hashlib.sha256(spelled).hexdigest()

    @settings(max_examples=200, deadline=None)
    @given(
        *[st.lists(st.tuples(st.text(":\n1a", max_size=4), st.integers(0, 20), st.text(":\n1a", max_size=4)))] * 2,
    )
    def test_only_the_same_entries_are_the_same(self, one: list[Item], two: list[Item]) -> None:
        """No separator can be put into a name so that two contents look alike."""
        assert (content(items=one) == content(items=two)) is (sorted(one) == sorted(two))

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_every_byte_counts(self, data: st.DataObject) -> None:
        """Changing, adding or removing one byte of any file of the demo run is another content."""
        files = {path.relative_to(DEMO).as_posix(): path.read_bytes() for path in DEMO.rglob("*") if path.is_file()}
        key = data.draw(st.sampled_from(sorted(files)))
        before = files[key]
        at = data.draw(st.integers(0, len(before) - 1))
        changed = data.draw(
            st.sampled_from(
                [
                    before[:at] + bytes([before[at] ^ 1]) + before[at + 1 :],
                    before[:at] + before[at + 1 :],
                    before[:at] + b"\0" + before[at:],
                    before + b"\n",
                ]
            )
        )
        assert self.of({**files, key: changed}) != self.of(files)

    @staticmethod
    def of(files: dict[str, bytes]) -> str:
        """Return the fingerprint of some files."""
        return content(items=[(key, len(data), digest_bytes(data).quilt) for key, data in files.items()])


def shuffled(value: Any, chance: random.Random) -> Any:
    """Return a JSON value with the keys of its objects in another order."""
    if isinstance(value, dict):
        return {key: shuffled(value[key], chance) for key in chance.sample(list(value), len(value))}
    return [shuffled(item, chance) for item in value] if isinstance(value, list) else value


def derived(crate: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of a crate."""
    return derive_metadata(gather(decode_crate(json.dumps(crate).encode()))).values


class TestOutputs:
    """The fingerprint of ``--dedup outputs``."""

    @settings(max_examples=40, deadline=None)
    @given(st.integers())
    def test_the_order_in_a_crate_does_not_count(self, seed: int) -> None:
        """Entities and their properties come in another order each time nf-prov writes them."""
        crate = json.loads((DEMO / "ro-crate-metadata.json").read_text())
        chance = random.Random(seed)
        other = shuffled(crate, chance)
        chance.shuffle(other["@graph"])
        assert outputs(derived(other)) == outputs(derived(crate))

    @pytest.mark.parametrize(
        "more",
        [
            pytest.param(("ro-crate-metadata.json", 1, "x"), id="the crate"),
            pytest.param(("pipeline_info/execution_trace_2026-11-22_10-00-00.txt", 1, "x"), id="nf-core's traces"),
            pytest.param(("multiqc/multiqc_data.json", 1, "x"), id="MultiQC"),
        ],
    )
    def test_provenance_does_not_count(self, more: Item) -> None:
        """What each run writes anew is no output."""
        assert outputs(items=[*ITEMS, more]) == outputs()

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("run_name", "sad_euler"),
            ("run_started", "2026-11-22T10:00:00Z"),
            ("duration_s", 7),
            ("command_line", "nextflow run x -resume"),
            ("tasks_total", 4),
            ("crate_sha256", "ab"),
            ("warnings", ["no-crate"]),
            ("user", "me"),
            ("params", ["outdir=results2"]),
        ],
    )
    def test_volatile_metadata_does_not_count(self, key: str, value: Any) -> None:
        """What differs between two runs with the same results is passed over, and so is where they were written."""
        assert outputs({key: value}) == outputs()

    def test_samples_from_tasks_do_not_count(self) -> None:
        """Which tasks a crate has differs between a fresh and a resumed run; samples that are stated count."""
        inferred = {"samples": ["x"], "sample_count": 1, "samples_source": "inferred"}
        assert outputs(inferred) == outputs()
        assert outputs({**inferred, "samples_source": "samplesheet"}) != outputs()

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("pipeline", "rnaseq"),
            ("pipeline_version", "3.15"),
            ("params", ["genome=GRCh38"]),
            ("software", ["star=2.7.11b"]),
            ("project", "atlas"),
            ("param_genome", "GRCh38"),
        ],
    )
    def test_other_metadata_counts(self, key: str, value: Any) -> None:
        """What a run was made from counts, and what a user says of it."""
        assert outputs({key: value}) != outputs()

    def test_outputs_count(self) -> None:
        """A file that is no provenance counts with its key, size and hash."""
        assert outputs(items=[*ITEMS, ("counts/S1.tsv", 1, "x")]) != outputs()

    def test_a_crate_under_another_name_does_not_count(self) -> None:
        """Wherever the crate lies, it is passed over."""
        item = ("pipeline_info/deep/run.json", 1, "x")
        assert outputs(items=[*ITEMS, ("my-run.json", 1, "x")]) != outputs()
        assert outputs(items=[*ITEMS, ("my-run.json", 1, "x")], passed_over=["my-run.json"]) == outputs()
        assert outputs(items=[*ITEMS, item]) == outputs()

    def test_more_volatile_files(self) -> None:
        """The configuration can name further ones."""
        items = [*ITEMS, ("logs/run.log", 1, "x")]
        assert outputs(items=items) != outputs()
        assert outputs(items=items, volatile=["*.log"]) == outputs()

    def test_it_is_no_content_fingerprint(self) -> None:
        """The two can never be mistaken for each other."""
        assert outputs() != content()


@pytest.mark.parametrize(
    ("key", "volatile"),
    [
        ("counts/S1.tsv", False),
        ("pipeline_info", False),
        ("my_pipeline_info/x", False),
        ("report-final.html", False),
        ("multiqc_report.html", False),
        ("trace.txt.gz", False),
        ("notes/dag-of-the-day", False),
        ("ro-crate-metadata.json", True),
        ("sub/ro-crate-metadata.json", False),
        ("ro-crate-preview.html", False),
        ("pipeline_info/params.json", True),
        ("pipeline_info/deep/er.txt", True),
        ("run1/pipeline_info/x", False),
        ("multiqc/multiqc_report.html", True),
        ("s1/multiqc/data.tsv", False),
        ("bco.json", False),
        ("trace.txt", False),
        ("mcmc/trace.txt", False),
    ],
)
def test_volatile_files(key: str, *, volatile: bool) -> None:
    """Provenance is known by where it lies in the outdir, and nothing else is."""
    assert volatile_matcher(())(key) is volatile


def test_volatile_patterns_of_folders() -> None:
    """``logs/**`` is everything below logs."""
    is_volatile = volatile_matcher(["logs/**"])
    assert [is_volatile(key) for key in ("logs/a/b", "x/logs/a", "logs", "blogs/a")] == [True, False, False, False]


class TestProbe:
    """The cheap answer of this machine."""

    def test_nothing_to_look_at(self) -> None:
        """An empty folder has a probe, so that it is not looked at twice."""
        assert probe([], {}, now_ns=NOW_NS) == probe([], {}, now_ns=NOW_NS + 1) != ""

    @pytest.mark.parametrize("stamp", ["mtime_ns", "ctime_ns"])
    def test_fresh_files_give_none(self, stamp: str) -> None:
        """A file of the last two seconds may change again without looking different, so there is no probe."""
        file = source_file(**{stamp: NOW_NS})
        assert probe([file], {}, now_ns=NOW_NS) == ""
        assert probe([file], {}, now_ns=NOW_NS + RACY_NS - 1) == ""
        assert probe([file], {}, now_ns=NOW_NS + RACY_NS) != ""

    @pytest.mark.parametrize(
        "changed",
        [
            {"logical_key": "b.txt"},
            {"size": 4},
            {"mtime_ns": LONG_AGO_NS - 1},
            {"ctime_ns": LONG_AGO_NS - 1},
            {"inode": 8},
            {"device": 2},
        ],
        ids=str,
    )
    def test_what_counts(self, changed: dict[str, Any]) -> None:
        """Name and stat signature count, and the settings."""
        before = probe([source_file()], {}, now_ns=NOW_NS)
        assert probe([source_file(**changed)], {}, now_ns=NOW_NS) != before
        assert probe([source_file()], {"copy": True}, now_ns=NOW_NS) != before


def head(*entries: dict[str, Any]) -> Head:
    """Return a head with these entries, as parsed from a manifest."""
    lines = [{"version": "v0", "user_meta": {}}]
    for number, entry in enumerate(entries):
        hashed = {"type": "sha2-256-chunked", "value": "hash"}
        lines.append({"logical_key": f"k{number}", "size": 3, "hash": hashed, "meta": {}, **entry})
    return parse_manifest("0" * 64, "\n".join(map(json.dumps, lines)).encode())


def marked(**mark: Any) -> dict[str, Any]:
    """Return the metadata of an entry with provwatch's mark."""
    return {"meta": {"user_meta": {MARK: mark}}}


class TestHead:
    """The content of a head, from its manifest alone."""

    @pytest.mark.parametrize(
        ("entry", "expected"),
        [
            pytest.param({}, ("k0", 3, "hash"), id="a file"),
            pytest.param({"meta": None}, ("k0", 3, "hash"), id="no metadata"),
            pytest.param({"meta": {"user_meta": {"sample": "S1"}}}, ("k0", 3, "hash"), id="metadata of others"),
            pytest.param(
                {"hash": {"type": "SHA256", "value": "ab"}}, ("k0", 3, "SHA256:ab"), id="a hash of another kind"
            ),
            pytest.param({"size": None}, ("k0", 0, "hash"), id="no size"),
            pytest.param(
                marked(redacted=True, original_hash="before", original_size=9),
                ("k0", 9, "before"),
                id="redacted: as it was before",
            ),
            pytest.param(marked(redacted=True), ("k0", 3, "hash"), id="redacted, and nobody knows from what"),
            pytest.param(
                marked(redacted=True, original_hash=[], original_size="many"), ("k0", 3, "hash"), id="rubbish"
            ),
            pytest.param({"meta": {"user_meta": {MARK: "text"}}}, ("k0", 3, "hash"), id="rubbish for a mark"),
            pytest.param({"meta": {"user_meta": []}}, ("k0", 3, "hash"), id="rubbish for metadata"),
        ],
    )
    def test_an_entry(self, entry: dict[str, Any], expected: Item) -> None:
        """It gives key, size and hash of the source's file."""
        assert head_items(head(entry)) == ([expected], set())

    def test_generated_entries_are_left_out(self) -> None:
        """They are no files of the source."""
        assert head_items(head({}, marked(generated=True))) == ([("k0", 3, "hash")], set())

    def test_volatile_files_under_names_of_their_own(self) -> None:
        """They are known by their mark."""
        assert head_items(head({}, marked(volatile=True)))[1] == {"k1"}

    def test_a_folder_and_what_quilt3_made_of_it(self, tmp_path: Path) -> None:
        """Both have the same items, so they have the same fingerprint."""
        folder = write_tree(tmp_path / "run", {"a/b": "abc", "c": ""})
        top_hash = quilt3.Package().set_dir("/", str(folder)).build("a/b", registry=str(tmp_path / "registry"))
        theirs = parse_manifest(top_hash, (tmp_path / "registry/.quilt/packages" / top_hash).read_bytes())
        ours = [
            (file.logical_key, file.size, digest_bytes(Path(file.path).read_bytes()).quilt)
            for file in scan_folder(folder).files
        ]
        assert content(items=head_items(theirs)[0]) == content(items=ours)
