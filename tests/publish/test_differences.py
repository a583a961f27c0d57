"""What turns one package into another."""

from __future__ import annotations

from typing import Any

import pytest

from provwatch.publish.differences import Bytes, Change, Difference, Side, compare, side_of
from provwatch.publish.entries import HASH_TYPE
from provwatch.publish.manifest import Head, HeadEntry, _Hash


def side(entries: dict[str, Bytes], **more: Any) -> Side:
    """Return a side of these entries."""
    return Side("side", entries, more.pop("metadata", {}), **more)


def compared(old: dict[str, Bytes], new: dict[str, Bytes]) -> Difference:
    """Return what differs between these entries."""
    return compare(side(old), side(new))


ONE = Bytes(1, "h1")


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        pytest.param(ONE, ONE, None, id="nothing"),
        pytest.param(Bytes(1, "h1", {}), Bytes(1, "h1", None), None, id="metadata that is not compared"),
        pytest.param(Bytes(1, ""), Bytes(2, "h1"), "size", id="size, content not read"),
        pytest.param(ONE, Bytes(2, "h2"), "size", id="size and content"),
        pytest.param(ONE, Bytes(1, "h2"), "content", id="content"),
        pytest.param(ONE, Bytes(1, "SHA256:h1"), "hash-type", id="hashes of two types"),
        pytest.param(Bytes(1, "SHA256:a"), Bytes(1, "SHA256:b"), "content", id="content, by old hashes"),
        pytest.param(Bytes(1, "h1", {"a": 1}), Bytes(1, "h1", {}), "metadata", id="metadata"),
    ],
)
def test_one_entry(old: Bytes, new: Bytes, what: str | None) -> None:
    """In what it differs."""
    expected = [] if what is None else [Change("x", old.size, new.size, what)]
    assert compared({"x": old}, {"x": new}).changed == expected


def test_content_that_nobody_read() -> None:
    """It is told apart: it may be the same."""
    difference = compared({"x": ONE}, {"x": Bytes(1, "")})
    assert (difference.changed, difference.unread, difference.summary()["not_read"]) == ([], ["x"], ["x"])


def test_added_and_removed() -> None:
    """In the order of their names, with their sizes."""
    difference = compared({"b": ONE, "a": Bytes(0, "")}, {"d": ONE, "c": Bytes(3, "")})
    assert (list(difference.removed.items()), list(difference.added.items())) == (
        [("a", 0), ("b", 1)],
        [("c", 3), ("d", 1)],
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param({"a": 1}, {"a": 1}, ({}, {}, {}), id="nothing"),
        pytest.param({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}, ({}, {}, {}), id="another order"),
        pytest.param({"a": 1}, {"a": True}, ({}, {}, {"a": {"old": 1, "new": True}}), id="a number is no flag"),
        pytest.param({"a": None}, {}, ({}, {"a": None}, {}), id="null is a value"),
        pytest.param({}, {"a": [1]}, ({"a": [1]}, {}, {}), id="added"),
    ],
)
def test_metadata(old: dict[str, Any], new: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """Key by key."""
    found = compare(side({}, metadata=old), side({}, metadata=new)).metadata.as_json()
    assert (found["added"], found["removed"], found["changed"]) == expected


def test_headers_are_compared_where_both_sides_have_them() -> None:
    """A folder has a message, but no Quilt workflow yet."""
    difference = compare(side({}, header={"message": "a", "workflow": {}}), side({}, header={"message": "b"}))
    assert difference.header == {"message": ("a", "b")}


def entry(key: str, value: str, mark: dict[str, Any] | None = None) -> HeadEntry:
    """Return an entry of a manifest, with what provwatch noted about it."""
    meta = {"user_meta": {"provwatch": mark}} if mark else {}
    return HeadEntry(key, ["file:///x"], 1, _Hash(HASH_TYPE, value), meta)


def head(*entries: HeadEntry) -> Head:
    """Return a head of these entries."""
    return Head("0" * 64, {"message": "m", "user_meta": {"k": "v"}}, list(entries))


class TestHeads:
    """Revisions as sides."""

    def test_generated_entries_stand_apart(self) -> None:
        """Of two revisions only their names are told, and of a folder they are not known yet."""
        old, new = (
            side_of(head(entry("x", "h"), entry("README.md", value, {"generated": True})), "n", originals=False)
            for value in ("old", "new")
        )
        difference = compare(old, new)
        assert (difference.changed, difference.generated) == ([], ["README.md"])
        original = side_of(head(entry("x", "h"), entry("README.md", "h", {"generated": True})), "n", originals=True)
        summary = compare(original, side({"x": Bytes(1, "h")}, metadata={"k": "v"})).summary()
        assert not any(summary.values())

    def test_redacted_entries(self) -> None:
        """Beside a folder they count as they were before; beside a revision as they are."""
        mark = {"redacted": True, "original_hash": "original", "original_size": 7}
        redacted = head(entry("x", "clean", mark))
        assert side_of(redacted, "n", originals=True).entries == {"x": Bytes(7, "original")}
        assert side_of(redacted, "n", originals=False).entries["x"][:2] == (1, "clean")

    def test_entries_without_a_hash(self) -> None:
        """Nobody knows their content."""
        unhashed = HeadEntry("x", ["file:///x"], 1, None, None)
        known = side_of(head(entry("x", "h")), "n", originals=False)
        for originals in (False, True):
            found = compare(side_of(head(unhashed), "n", originals=originals), known)
            assert (found.changed, found.unread) == ([], ["x"])
