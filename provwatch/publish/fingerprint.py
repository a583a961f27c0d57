"""The fingerprint and the probe: is this content already there, and is it worth looking at all.

The fingerprint is the same on every machine and can be computed from a head's manifest alone. The probe
is this machine's own and costs one listing.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from provwatch.metadata import stable_metadata, user_given
from provwatch.publish.entries import HASH_TYPE, SourceFile
from provwatch.publish.manifest import Head, HeadEntry

MARK = "provwatch"
DEFAULT_VOLATILE = ("ro-crate-*.json", "ro-crate-*.jsonld", "pipeline_info/**", "multiqc/**")
"""Shell patterns of files that differ between two runs with the same results; of whole logical keys."""
SAMPLE_KEYS = frozenset({"samples", "sample_count", "samples_source"})
RACY_NS = 2_000_000_000

Item = tuple[str, int, str]
"""Logical key, size in bytes and content hash of one source entry."""


def head_items(head: Head) -> tuple[list[Item], set[str]]:
    """Return the source entries of a head, redacted ones as they were before, and the keys of volatile ones."""
    items: list[Item] = []
    volatile: set[str] = set()
    for entry in head.entries:
        mark = _mark(entry)
        if mark.get("generated"):
            continue
        if mark.get("volatile"):
            volatile.add(entry.logical_key)
        value = "" if entry.hash is None else entry.hash.value
        if entry.hash is not None and entry.hash.type != HASH_TYPE:
            value = f"{entry.hash.type}:{value}"
        size = entry.size or 0
        original_hash, original_size = mark.get("original_hash"), mark.get("original_size")
        if mark.get("redacted") and isinstance(original_hash, str) and isinstance(original_size, int):
            value, size = original_hash, original_size
        items.append((entry.logical_key, size, value))
    return items, volatile


def is_generated(entry: HeadEntry) -> bool:
    """Say whether provwatch added an entry."""
    return bool(_mark(entry).get("generated"))


def _mark(entry: HeadEntry) -> dict[str, Any]:
    """Return what provwatch itself noted about an entry."""
    mark = entry.user_meta.get(MARK) if entry.meta else None
    return mark if isinstance(mark, dict) else {}


def content_fingerprint(
    registry: str, package: str, quilt_workflow: str, user_metadata: Mapping[str, Any], items: Iterable[Item]
) -> str:
    """Return the fingerprint of a package's content, hex.

    Args:
        registry: URI of the registry.
        package: name of the package.
        quilt_workflow: id of the Quilt workflow in force, "" for none.
        user_metadata: the metadata a user gave; derived metadata follows from the entries.
        items: the source entries, in any order.
    """
    hasher = hashlib.sha256(_canonical(["content-1", registry, package, quilt_workflow, user_metadata]))
    for key, size, value in sorted(items):
        hasher.update(f"\n{len(key)}:{key}:{size}:{value}".encode())
    return hasher.hexdigest()


def outputs_fingerprint(
    registry: str,
    package: str,
    quilt_workflow: str,
    metadata: Mapping[str, Any],
    items: Iterable[Item],
    *,
    passed_over: Iterable[str] = (),
    volatile: Iterable[str] = (),
) -> str:
    """Return the fingerprint under ``--dedup outputs``: what a run repeated without any change shares.

    Args:
        registry: URI of the registry.
        package: name of the package.
        quilt_workflow: id of the Quilt workflow in force, "" for none.
        metadata: the package's whole metadata; its volatile keys are passed over.
        items: the source entries; volatile files are passed over.
        passed_over: logical keys of volatile files that no pattern tells: crates and reports under names of their own.
        volatile: shell patterns of further volatile files.
    """
    is_volatile, known = volatile_matcher(volatile), set(passed_over)
    kept = [item for item in items if item[0] not in known and not is_volatile(item[0])]
    both = {"stable": _of_outputs(metadata), "user": user_given(metadata)}
    hasher = hashlib.sha256(_canonical(["outputs-1", registry, package, quilt_workflow, both]))
    for key, size, value in sorted(kept):
        hasher.update(f"\n{len(key)}:{key}:{size}:{value}".encode())
    return hasher.hexdigest()


def _of_outputs(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the derived metadata that a run repeated without any change shares.

    Samples that were inferred come from task tags, and a resumed run's crate has tasks that a fresh one's
    has not (nf-prov leaves fresh ``exec:`` tasks out).
    """
    stable = stable_metadata(metadata)
    passed_over = SAMPLE_KEYS if stable.get("samples_source") == "inferred" else frozenset()
    return {key: value for key, value in stable.items() if key not in passed_over}


def volatile_matcher(more: Iterable[str] = ()) -> Callable[[str], bool]:
    """Return what says whether a logical key is of a volatile file; more patterns can be added."""
    return matcher((*DEFAULT_VOLATILE, *more))


def matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return what says whether a whole logical key matches one of some shell patterns; ``*`` stands for slashes too."""
    translated = [fnmatch.translate(pattern.replace("**/", "*").replace("/**", "/*")) for pattern in patterns]
    matches = re.compile("|".join(translated or [r"(?!)"])).match
    return lambda key: matches(key) is not None


def probe(files: Iterable[SourceFile], settings: Mapping[str, Any], *, now_ns: int) -> str:
    """Return the probe of a folder, hex; "" while a file is so fresh that a change to it may not show.

    Args:
        files: one listing of the folder, in its order.
        settings: whatever else decides what the package would be.
        now_ns: when the listing was made, nanoseconds since 1970.
    """
    hasher = hashlib.sha256(_canonical(["probe-1", settings]))
    for file in files:
        if max(file.mtime_ns, file.ctime_ns) > now_ns - RACY_NS:
            return ""
        hasher.update(f"\n{file.logical_key}\0{file.signature}".encode())
    return hasher.hexdigest()


def _canonical(value: Any) -> bytes:
    """Return a JSON value's canonical bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()
