"""Quilt manifests without quilt3: read a package's head, compute a top hash, write a manifest.

Format: https://docs.quilt.bio/architecture/package-format. What is written here is bit-identical to what quilt3 8
writes; the tests hold both side by side.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from provwatch.errors import PackagingError
from provwatch.publish.entries import HASH_TYPE, Entry, order

MANIFEST_VERSION = "v0"
MAX_RECORD_BYTES = 1_000_000
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_readable = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


class _Hash(msgspec.Struct):
    """An entry's hash record."""

    type: str
    value: str


class HeadEntry(msgspec.Struct, gc=False):
    """One entry of a manifest, as it was written."""

    logical_key: str
    physical_keys: list[str] = msgspec.field(default_factory=list)
    size: int | None = None
    hash: _Hash | None = None
    meta: dict[str, Any] | None = None

    @property
    def physical_key(self) -> str:
        """URI of the entry's bytes, or "" for a folder's metadata."""
        return self.physical_keys[0] if self.physical_keys else ""

    @property
    def user_meta(self) -> dict[str, Any]:
        """The entry's own metadata."""
        found = (self.meta or {}).get("user_meta")
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Head:
    """What a package holds now.

    Attributes:
        top_hash: hex name of the manifest.
        header: its first record.
        entries: its entries in the manifest's order, folders' metadata left out.
    """

    top_hash: str
    header: Mapping[str, Any]
    entries: list[HeadEntry]

    @property
    def metadata(self) -> dict[str, Any]:
        """The package's user metadata."""
        found = self.header.get("user_meta")
        return found if isinstance(found, dict) else {}

    @property
    def quilt_workflow(self) -> str | None:
        """The id of the Quilt workflow that the revision was validated with, or None."""
        workflow = self.header.get("workflow")
        return workflow.get("id") if isinstance(workflow, dict) else None


_decode_entry = msgspec.json.Decoder(HeadEntry).decode


def parse_manifest(top_hash: str, data: bytes) -> Head:
    """Return the head that a manifest's bytes describe.

    Raises:
        PackagingError: the bytes are no manifest.
    """
    lines = data.splitlines()
    try:
        header = msgspec.json.decode(lines[0], type=dict[str, Any])
        entries = [_decode_entry(line) for line in lines[1:] if line]
    except (IndexError, ValueError, RecursionError) as error:
        message = f"the manifest of revision {top_hash[:10]} cannot be read: {error}"
        raise PackagingError(message, code="broken-head") from error
    return Head(top_hash, header, [entry for entry in entries if entry.hash is not None or entry.physical_keys])


def computed_top_hash(data: bytes) -> str:
    """Return the top hash that a manifest's bytes give, as quilt3 computes it; "" where they give none.

    What is not hashed is where the entries lie, and folders' metadata.

    Args:
        data: the manifest's bytes.
    """
    lines = iter(data.splitlines())
    try:
        top = hashlib.sha256(_canonical(json.loads(next(lines))).encode())
        parts = filter(None, map(_hashed_part, filter(None, lines)))
        for _, part in sorted(parts, key=lambda found: found[0]):  # manifests are in order, but need not be
            top.update(part)
    except (StopIteration, ValueError, AttributeError, RecursionError):
        return ""
    return top.hexdigest()


def _hashed_part(line: bytes) -> tuple[list[str], bytes] | None:
    """Return what of an entry's record goes into the top hash, with its place in the order; None for a folder's."""
    record = json.loads(line)
    if not record.get("physical_keys"):
        return None
    part = {name: record.get(name) for name in ("hash", "logical_key", "size")} | {"meta": record.get("meta") or {}}
    return order(str(record.get("logical_key"))), _canonical(part).encode()


def manifest_header(metadata: Mapping[str, Any], message: str | None, workflow: Any = None) -> dict[str, Any]:
    """Return a manifest's first record, its keys in quilt3's order."""
    header: dict[str, Any] = {"version": MANIFEST_VERSION, "user_meta": dict(metadata)}
    if workflow:
        header["workflow"] = workflow
    header["message"] = message
    return header


def write_manifest(header: Mapping[str, Any], entries: Iterable[Entry], write: Callable[[bytes], Any]) -> str:
    """Write a manifest record by record and return its top hash; nothing is held in memory.

    Args:
        header: the first record.
        entries: the entries, in manifest order (see `entries.order`).
        write: called with each record's bytes.

    Raises:
        PackagingError: a record is larger than Quilt takes.
    """
    top = hashlib.sha256(_canonical(header).encode())
    write(_record(header, "package metadata"))
    for entry in entries:
        hashed = {"type": HASH_TYPE, "value": entry.hash}
        part = {"hash": hashed, "logical_key": entry.logical_key, "meta": entry.meta, "size": entry.size}
        top.update(_canonical(part).encode())
        record = {
            "logical_key": entry.logical_key,
            "physical_keys": [entry.physical_key],
            "size": entry.size,
            "hash": hashed,
            "meta": entry.meta,
        }
        write(_record(record, entry.logical_key))
    return top.hexdigest()


def _record(record: Mapping[str, Any], what: str) -> bytes:
    """Return one line of a manifest."""
    line = _readable(record).encode()
    if len(line) > MAX_RECORD_BYTES:
        message = f"the manifest record takes {len(line)} bytes, and Quilt takes {MAX_RECORD_BYTES}"
        raise PackagingError(message, where=what, hint="Shorten its metadata", code="record-too-large")
    return line + b"\n"
