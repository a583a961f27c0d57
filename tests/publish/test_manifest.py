"""Manifests without quilt3: the bytes and top hashes are quilt3's, and what quilt3 wrote can be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import quilt3
from hypothesis import given, settings
from hypothesis import strategies as st
from quilt3.packages import PackageEntry
from quilt3.util import PhysicalKey, QuiltException

from provwatch.errors import PackagingError
from provwatch.publish.entries import HASH_TYPE, Entry, order
from provwatch.publish.hashing import digest_bytes
from provwatch.publish.manifest import (
    MAX_RECORD_BYTES,
    HeadEntry,
    manifest_header,
    parse_manifest,
    write_manifest,
)
from provwatch.publish.quilt import build_in_folder
from provwatch.publish.registry import Revision
from publish.trees import write_tree

HASH = digest_bytes(b"abc").quilt


def entry(key: str, path: str = "/data/x", size: int = 3, meta: dict[str, Any] | None = None) -> Entry:
    """Return an entry at a local path."""
    return Entry(key, Path(path).as_uri(), size, HASH, meta or {})


def by_quilt3(folder: Path, entries: list[Entry], metadata: dict[str, Any], message: str | None) -> tuple[str, bytes]:
    """Return top hash and manifest as quilt3 makes them, from quilt3's own objects."""
    package = quilt3.Package().set_meta(metadata)
    for one in entries:
        place = PhysicalKey.from_url(one.physical_key)
        package.set(one.logical_key, PackageEntry(place, one.size, {"type": HASH_TYPE, "value": one.hash}, one.meta))
    top_hash = package.build("a/b", registry=str(folder), message=message)
    return top_hash, (folder / ".quilt/packages" / top_hash).read_bytes()


def by_ourselves(entries: list[Entry], metadata: dict[str, Any], message: str | None) -> tuple[str, bytes]:
    """Return top hash and manifest as our writer makes them."""
    lines: list[bytes] = []
    top_hash = write_manifest(manifest_header(metadata, message), entries, lines.append)
    return top_hash, b"".join(lines)


@pytest.mark.parametrize(
    ("entries", "metadata", "message"),
    [
        pytest.param([], {}, None, id="nothing at all"),
        pytest.param([], {}, "", id="an empty message"),
        pytest.param([entry("x")], {}, "first", id="one entry"),
        pytest.param([entry("x", size=0)], {}, "m", id="an empty file"),
        pytest.param([entry("x", size=2**53 + 1)], {}, "m", id="a size beyond a double"),
        pytest.param([entry("x", meta={"user_meta": {"b": 1, "a": [None, True, 1.5]}})], {}, "m", id="entry metadata"),
        pytest.param([entry("x", meta={"user_meta": {}})], {}, "m", id="empty entry metadata"),
        pytest.param(
            [entry("a"), entry("a/b"), entry("a-b")][1:], {}, "m", id="a slash sorts before everything in a component"
        ),
        pytest.param(
            [
                entry(key, f"/data/{key}")
                for key in ("a b", "a#b?c=d&e", "a%20b", "a+b", "new\nline", "~", "é", "中/文")
            ],
            {},
            "m",
            id="odd names",
        ),
        pytest.param([entry("x", "/da ta/#1?/100%/~me/é/\U0001f9ec")], {}, "m", id="odd places"),
        pytest.param(
            [entry("x")],
            {"z": 1, "a": {"y": [], "b": 'é"\\\U0001f9ec\u2028'}, "f": 0.1, "n": None},
            "é\n2",
            id="metadata",
        ),
    ],
)
def test_manifests_are_quilt3s(
    tmp_path: Path, entries: list[Entry], metadata: dict[str, Any], message: str | None
) -> None:
    """Our writer, quilt3 through our one call of it, and quilt3 by itself agree on every byte."""
    ordered = sorted(entries, key=lambda one: order(one.logical_key))
    expected = by_quilt3(tmp_path / "theirs", entries, metadata, message)
    assert by_ourselves(ordered, metadata, message) == expected
    top_hash = build_in_folder(Revision("a/b", ordered, metadata, message), tmp_path / "ours")
    assert (top_hash, (tmp_path / "ours/.quilt/packages" / top_hash).read_bytes()) == expected


COMPONENT = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=6).filter(
    lambda text: text not in {".", ".."}
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
METADATA = st.dictionaries(st.text(), JSON, max_size=4)


def without_conflicts(keys: list[str]) -> list[str]:
    """Return the keys without those that would be a folder of another, which no file system can hold."""
    return [key for key in keys if not any(other.startswith(f"{key}/") for other in keys)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(COMPONENT, min_size=1, max_size=3).map("/".join), unique=True, max_size=5).map(without_conflicts),
    METADATA,
    METADATA,
    st.none() | st.text(),
)
def test_any_manifest_is_quilt3s(
    tmp_path_factory: pytest.TempPathFactory,
    keys: list[str],
    metadata: dict[str, Any],
    entry_metadata: dict[str, Any],
    message: str | None,
) -> None:
    """Whatever the names, the metadata and the message: top hash and bytes are quilt3's."""
    metas = {"user_meta": entry_metadata} if entry_metadata else {}
    entries = [Entry(key, f"{Path('/data').as_uri()}/x", 3, HASH, metas) for key in sorted(keys, key=order)]
    folder = tmp_path_factory.getbasetemp() / "any-manifest"
    ours = by_ourselves(entries, metadata, message)
    assert ours == by_quilt3(folder, entries, metadata, message)
    head = parse_manifest(*ours)
    assert head.metadata == metadata
    assert [one.logical_key for one in head.entries] == [one.logical_key for one in entries]
    assert all(one.user_meta == entry_metadata for one in head.entries)


def test_a_record_that_is_too_large(tmp_path: Path) -> None:
    """Quilt has a limit for metadata, and so have we: the same byte decides, and the error names the record."""
    fixed = len(b"".join(by_ourselves([], {"x": ""}, "m")[1].splitlines()))
    fits, too_large = ({"x": "é" * 4 + "y" * (MAX_RECORD_BYTES - fixed - 8 + more)} for more in (0, 1))
    assert by_ourselves([], fits, "m") == by_quilt3(tmp_path, [], fits, "m")
    with pytest.raises(QuiltException, match="package metadata"):
        by_quilt3(tmp_path, [], too_large, "m")
    with pytest.raises(PackagingError, match="package metadata: the manifest record takes 1000001 bytes") as caught:
        by_ourselves([], too_large, "m")
    assert caught.value.code == "record-too-large"
    with pytest.raises(PackagingError, match="quilt3 refused the package") as refused:
        build_in_folder(Revision("a/b", [], too_large, "m"), tmp_path)
    assert refused.value.code == "quilt-refused"


def test_what_quilt3_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    """Two entries of which one is the other's folder cannot be one package."""
    with pytest.raises(PackagingError, match="Already a PackageEntry"):
        build_in_folder(Revision("a/b", [entry("x"), entry("x/y")], {}, None), tmp_path)


def test_quilt3_says_nothing_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output is data, and quilt3's talk is none."""
    build_in_folder(Revision("a/b", [entry("x")], {}, None), tmp_path)
    assert capsys.readouterr().out == ""


def test_a_package_that_quilt3_built_can_be_read(tmp_path: Path) -> None:
    """Entries, their metadata, metadata of folders and the header come out as quilt3 has them."""
    run = write_tree(tmp_path / "run", {"a/x.txt": "abc", "y #1.txt": ""})
    package = quilt3.Package().set_dir("/", str(run)).set_meta({"project": "atlas"})
    package["a"].set_meta({"of": "the folder"})
    package["a/x.txt"].set_meta({"sample": "S1"})
    top_hash = package.build("a/b", registry=str(tmp_path / "registry"), message="hello")
    head = parse_manifest(top_hash, (tmp_path / "registry/.quilt/packages" / top_hash).read_bytes())
    assert (head.top_hash, head.metadata, head.quilt_workflow) == (top_hash, {"project": "atlas"}, None)
    assert [(one.logical_key, one.size, one.user_meta, one.physical_key) for one in head.entries] == [
        ("a/x.txt", 3, {"sample": "S1"}, (run / "a/x.txt").as_uri()),
        ("y #1.txt", 0, {}, (run / "y #1.txt").as_uri()),
    ]


HEADER = b'{"version": "v0", "user_meta": {}, "message": null}\n'


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param('{"logical_key": "x", "meta": {"user_meta": {}}}', None, id="a folder's metadata is no entry"),
        pytest.param(
            '{"logical_key": "x", "physical_keys": ["s3://b/x"], "size": 3,'
            ' "hash": {"type": "SHA256", "value": "ab"}, "meta": null}',
            ("SHA256", "ab", 3, {}),
            id="legacy hash",
        ),
        pytest.param(
            '{"logical_key": "x", "physical_keys": ["s3://b/x"], "size": null,'
            ' "hash": {"type": "CRC64NVME", "value": "ab"}, "meta": {"user_meta": "text"}, "colour": "blue"}',
            ("CRC64NVME", "ab", None, {}),
            id="what it does not know it passes over",
        ),
    ],
)
def test_manifests_of_other_tools(line: str, expected: tuple[Any, ...] | None) -> None:
    """What Quilt's other tools and older versions wrote can be read."""
    head = parse_manifest("0" * 64, HEADER + line.encode() + b"\n")
    if expected is None:
        assert head.entries == []
    else:
        (found,) = head.entries
        assert found.hash is not None
        assert (found.hash.type, found.hash.value, found.size, found.user_meta) == expected


@pytest.mark.parametrize(
    "header",
    ['{"user_meta": null}', '{"user_meta": []}', "{}", '{"workflow": null}', '{"workflow": "x"}'],
)
def test_a_header_without_metadata(header: str) -> None:
    """It is the same as none."""
    head = parse_manifest("0" * 64, header.encode())
    assert (head.metadata, head.quilt_workflow, head.entries) == ({}, None, [])


def test_the_workflow_of_a_head() -> None:
    """A revision that Quilt validated says by which workflow."""
    header = json.dumps({"user_meta": {}, "workflow": {"config": "s3://b/c", "id": "alpha"}})
    assert parse_manifest("0" * 64, header.encode()).quilt_workflow == "alpha"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\n", id="an empty line"),
        pytest.param(b"[]\n", id="a list"),
        pytest.param(b'"text"\n', id="a text"),
        pytest.param(b"\xff\xfe\x00", id="no text"),
        pytest.param(b"{" * 100_000, id="deep"),
        pytest.param(HEADER[:-10], id="cut in the header"),
        pytest.param(HEADER + b'{"logical_key": "x", "phys', id="cut in an entry"),
        pytest.param(HEADER + b'{"logical_key": 1}', id="a key that is a number"),
        pytest.param(HEADER + b'{"size": 3}', id="no key"),
        pytest.param(HEADER + b"\x00" * 4096, id="zeros, as a crash of the disk leaves them"),
    ],
)
def test_a_manifest_that_cannot_be_read(data: bytes) -> None:
    """It is an error that names the revision."""
    with pytest.raises(PackagingError, match="the manifest of revision 0123456789 cannot be read") as caught:
        parse_manifest("0123456789abcdef", data)
    assert caught.value.code == "broken-head"


def test_an_entry_without_bytes() -> None:
    """It has no physical key."""
    assert HeadEntry(logical_key="x").physical_key == ""
