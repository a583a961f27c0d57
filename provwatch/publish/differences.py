"""What differs between two packages: revisions, or folders as the packages that they would be."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from provwatch.publish.entries import HASH_TYPE
from provwatch.publish.fingerprint import head_items, is_generated
from provwatch.publish.manifest import Head


class Bytes(NamedTuple):
    """What is known of an entry.

    Attributes:
        size: bytes.
        hash: content hash, its type in front where it is not Quilt's present one; "" where nobody read the bytes.
        meta: its metadata; None where that is not to be compared.
    """

    size: int
    hash: str
    meta: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two packages.

    Attributes:
        name: what to call it.
        entries: its source entries, by logical key.
        generated: entries that provwatch added; None where they are not made yet.
        metadata: the package's metadata.
        header: what else the manifest says of the package; compared where both sides have it.
    """

    name: str
    entries: Mapping[str, Bytes]
    metadata: Mapping[str, Any]
    header: Mapping[str, Any] = field(default_factory=dict)
    generated: Mapping[str, Bytes] | None = None


class Change(NamedTuple):
    """An entry that differs; ``what`` is size, content, hash-type (they cannot be compared) or metadata."""

    logical_key: str
    old_size: int
    new_size: int
    what: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two sets of values, by key.

    Attributes:
        added: values that only the second has.
        removed: values that only the first has.
        changed: both values, old and new, where they differ.
    """

    added: dict[str, Any] = field(default_factory=dict)
    removed: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Say whether anything differs."""
        return bool(self.added or self.removed or self.changed)

    def as_json(self) -> dict[str, Any]:
        """Return the fields of the JSON contract."""
        changed = {key: {"old": old, "new": new} for key, (old, new) in self.changed.items()}
        return {"added": self.added, "removed": self.removed, "changed": changed}


@dataclass(frozen=True, slots=True)
class Difference:
    """What turns the first package into the second.

    Attributes:
        a, b: what they are called.
        added, removed: sizes of the entries that only one has, by logical key.
        changed: entries that both have and that differ.
        unread: logical keys of entries of the same size, of which one side's bytes were not read.
        metadata: what differs in the packages' metadata.
        header: what else differs, such as the message: old and new, by name.
        generated: logical keys of entries made by provwatch that differ.
    """

    a: str
    b: str
    added: dict[str, int]
    removed: dict[str, int]
    changed: list[Change]
    unread: list[str]
    metadata: Changes
    header: dict[str, tuple[Any, Any]]
    generated: list[str]

    def as_json(self) -> dict[str, Any]:
        """Return the fields of the JSON contract."""
        return {
            "a": self.a,
            "b": self.b,
            "added": [{"logical_key": key, "size": size} for key, size in self.added.items()],
            "removed": [{"logical_key": key, "size": size} for key, size in self.removed.items()],
            "changed": [change._asdict() for change in self.changed],
            "metadata": self.metadata.as_json(),
            "header": {name: {"old": old, "new": new} for name, (old, new) in self.header.items()},
            "generated": self.generated,
        }

    def summary(self) -> dict[str, list[str]]:
        """Return the keys alone; ``not_read`` are those whose sizes are the same and whose bytes nobody read."""
        metadata = {**self.metadata.added, **self.metadata.removed, **self.metadata.changed}
        return {
            "added": list(self.added),
            "removed": list(self.removed),
            "changed": [change.logical_key for change in self.changed],
            "not_read": self.unread,
            "metadata": sorted(metadata),
        }


def side_of(head: Head, name: str, *, originals: bool) -> Side:
    """Return a revision as a side.

    Args:
        head: the revision.
        name: what to call it.
        originals: whether to take redacted entries as they were before, as a folder has them.
    """
    generated = {entry.logical_key for entry in head.entries if is_generated(entry)}
    header = {key: head.header.get(key) for key in ("message", "workflow")}
    if originals:
        items = {key: Bytes(size, value) for key, size, value in head_items(head)[0]}
        return Side(name, items, head.metadata, header)
    entries = {}
    for entry in head.entries:
        kind, value = (entry.hash.type, entry.hash.value) if entry.hash else ("", "")
        full = value if kind in {HASH_TYPE, ""} else f"{kind}:{value}"
        entries[entry.logical_key] = Bytes(entry.size or 0, full, entry.meta or {})
    mine = {key: entry for key, entry in entries.items() if key not in generated}
    return Side(name, mine, head.metadata, header, {key: entries[key] for key in entries if key in generated})


def compare(a: Side, b: Side) -> Difference:
    """Return what turns one package into another."""
    entries = _changes(a.entries, b.entries, _differ)
    changed = [Change(key, old.size, new.size, _what(old, new)) for key, (old, new) in entries.changed.items()]
    header = _changes(a.header, b.header, _are_other_values).changed
    generated: list[str] = []
    if a.generated is not None and b.generated is not None:
        differing = _changes(a.generated, b.generated, _differ)
        generated = sorted({*differing.added, *differing.removed, *differing.changed})
    return Difference(
        a=a.name,
        b=b.name,
        added={key: entry.size for key, entry in entries.added.items()},
        removed={key: entry.size for key, entry in entries.removed.items()},
        changed=[change for change in changed if change.what != "unread"],
        unread=[change.logical_key for change in changed if change.what == "unread"],
        metadata=_changes(a.metadata, b.metadata, _are_other_values),
        header=header,
        generated=generated,
    )


def _what(old: Bytes, new: Bytes) -> str:
    """Return in what two entries differ, "" where in nothing."""
    if old.size != new.size:
        return "size"
    if not old.hash or not new.hash:
        return "unread"
    if old.hash != new.hash:
        return "content" if old.hash.rpartition(":")[0] == new.hash.rpartition(":")[0] else "hash-type"
    return "metadata" if old.meta is not None and new.meta is not None and old.meta != new.meta else ""


def _differ(old: Bytes, new: Bytes) -> bool:
    """Say whether two entries differ, or may."""
    return _what(old, new) != ""


def _are_other_values(old: Any, new: Any) -> bool:
    """Say whether two JSON values differ; for Python true is 1, for JSON it is not."""
    return json.dumps(old, sort_keys=True, default=str) != json.dumps(new, sort_keys=True, default=str)


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], differ: Callable[[Any, Any], bool]) -> Changes:
    """Return what differs between two mappings, in the order of their keys."""
    return Changes(
        {key: new[key] for key in sorted(new.keys() - old.keys())},
        {key: old[key] for key in sorted(old.keys() - new.keys())},
        {key: (old[key], new[key]) for key in sorted(old.keys() & new.keys()) if differ(old[key], new[key])},
    )
