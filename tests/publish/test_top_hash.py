"""A manifest's bytes give its top hash, whoever wrote it; other bytes do not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import quilt3
from hypothesis import given, settings
from hypothesis import strategies as st
from quilt3.packages import PackageEntry
from quilt3.util import PhysicalKey

from provwatch.publish.manifest import computed_top_hash, parse_manifest
from publish.trees import write_tree

TREE = {"x": "1", "a/b": "2", "a-b": "3", "é/中 +%.txt": "4", "empty": ""}


def built(folder: Path, change: Callable[[quilt3.Package], Any] = lambda _package: None) -> tuple[str, bytes]:
    """Return top hash and manifest of a package that quilt3 made of a small tree."""
    package = quilt3.Package().set_dir("/", str(write_tree(folder / "tree", TREE)))
    change(package)
    top_hash = package.build("a/b", registry=str(folder / "registry"), message="m")
    return top_hash, (folder / "registry/.quilt/packages" / top_hash).read_bytes()


def relabelled(kind: str) -> Callable[[quilt3.Package], Any]:
    """Return what gives an entry a hash of another type."""

    def change(package: quilt3.Package) -> None:
        place = PhysicalKey.from_path("/nowhere")
        package.set("x", PackageEntry(place, 3, {"type": kind, "value": "abc="}, None))

    return change


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda _package: None, id="plain"),
        pytest.param(lambda package: package.set_meta({"b": [1, None, True], "é": "\U0001f9ec"}), id="meta"),
        pytest.param(lambda package: package.set_meta({"big": 2**70, "tiny": 5e-324, "f": 1.0}), id="odd numbers"),
        pytest.param(lambda package: package["x"].set_meta({"k": "v"}), id="metadata of an entry"),
        pytest.param(lambda package: package["a"].set_meta({"k": "v"}), id="metadata of a folder"),
        pytest.param(relabelled("SHA256"), id="an old hash"),
        pytest.param(relabelled("CRC64NVME"), id="a checksum of S3"),
    ],
)
def test_what_quilt3_made(tmp_path: Path, change: Callable[[quilt3.Package], Any]) -> None:
    """Packages of quilt3, with whatever it can put into them."""
    top_hash, manifest = built(tmp_path, change)
    assert computed_top_hash(manifest) == top_hash


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=5,
        ),
        max_size=4,
    )
)
def test_any_metadata(metadata: dict[str, Any]) -> None:
    """Whatever JSON the metadata is, quilt3's own computation agrees."""
    package = quilt3.Package().set_meta(metadata)
    manifest = "\n".join(json.dumps(record, ensure_ascii=False) for record in package.manifest)
    assert computed_top_hash(manifest.encode()) == package.top_hash


def test_null_is_as_good_as_no_metadata(tmp_path: Path) -> None:
    """Other writers give entries ``null``, which quilt3 takes for ``{}``."""
    top_hash, manifest = built(tmp_path)
    assert computed_top_hash(manifest.replace(b'"meta": {}', b'"meta": null')) == top_hash


def test_the_order_of_entries_does_not_matter(tmp_path: Path) -> None:
    """quilt3 sorts when it loads a manifest."""
    top_hash, manifest = built(tmp_path)
    header, *entries = manifest.splitlines()
    assert computed_top_hash(b"\n".join([header, *reversed(entries)])) == top_hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b'"size": 1', b'"size": 2', id="a size"),
        pytest.param(b'"logical_key": "x"', b'"logical_key": "y"', id="a name"),
        pytest.param(b'"message": "m"', b'"message": "n"', id="the message"),
        pytest.param(b'"value": "', b'"value": "A', id="hashes"),
    ],
)
def test_other_bytes_give_another_top_hash(tmp_path: Path, old: bytes, new: bytes) -> None:
    """What the top hash protects cannot be changed."""
    top_hash, manifest = built(tmp_path)
    assert old in manifest
    assert computed_top_hash(manifest.replace(old, new)) != top_hash


def test_a_missing_entry_is_noticed(tmp_path: Path) -> None:
    """A manifest that lost its end is another one."""
    top_hash, manifest = built(tmp_path)
    assert computed_top_hash(b"".join(manifest.splitlines(keepends=True)[:-1])) != top_hash


@pytest.mark.parametrize("data", [b"", b"{", b"{}\n{", b"[]\n3", b"{}\n" + b"[" * 100_000], ids=range(5))
def test_what_is_no_manifest(data: bytes) -> None:
    """It gives no top hash."""
    assert computed_top_hash(data) in {"", computed_top_hash(b"{}")}


def test_entries_without_a_hash_are_entries() -> None:
    """They count for the head; only records of folders' metadata do not."""
    lines = [
        {"version": "v0"},
        {"logical_key": "folder/", "meta": {"k": "v"}},
        {"logical_key": "x", "physical_keys": ["file:///x"], "size": 1, "hash": None, "meta": {}},
    ]
    head = parse_manifest("0", "\n".join(map(json.dumps, lines)).encode())
    assert [entry.logical_key for entry in head.entries] == ["x"]
