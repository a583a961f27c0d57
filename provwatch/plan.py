"""What packaging a folder would do, found out without reading any file's content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provwatch.config import Settings
from provwatch.look import Look
from provwatch.publish.differences import Bytes, Difference, Side, compare, side_of
from provwatch.publish.folder import Content, split_known
from provwatch.publish.hash_cache import HashCache
from provwatch.publish.hashing import Digest
from provwatch.publish.manifest import Head
from provwatch.publish.storage import Storage
from provwatch.request import Request
from provwatch.verdict import Verdict, decide, may_be_same


def make_plan(
    request: Request, settings: Settings, look: Look, head: Head | None, storage: Storage, cache: HashCache
) -> dict[str, Any]:
    """Return what would happen.

    Args:
        request: what was asked for.
        settings: the settings in force.
        look: the folder.
        head: the package's latest revision, or None.
        storage: where the package's bytes lie.
        cache: knows the hashes of files that have not changed.
    """
    known, unread = split_known(look.listing.files, cache)
    would: str = Verdict.PUSH
    if head is not None and settings["dedup"] != "off":
        if unread:
            same = may_be_same(look, head) or settings["dedup"] == "outputs"
            would = "push unless the content is the same" if same else Verdict.PUSH
        else:
            would = decide(request, settings, look, Content(look.listing, known, {}), head, storage)
    plan: dict[str, Any] = {
        "would": str(would),
        "commit_message": look.description.commit_message,
        "read_bytes": sum(file.size for file in unread),
        "store_bytes": sum(file.size for file in storage.to_be_written(look.listing.files, head)),
    }
    return plan if head is None else {**plan, "diff": _difference(look, head, known).summary()}


def _difference(look: Look, head: Head, known: Mapping[str, Digest]) -> Difference:
    """Return what differs between the head and the folder: by name and size, where the content is not known."""
    unknown, files = Digest(""), look.listing.files
    entries = {file.logical_key: Bytes(file.size, known.get(file.logical_key, unknown).quilt) for file in files}
    folder = Side(look.description.source_prefix, entries, look.metadata)
    return compare(side_of(head, look.description.package_name, originals=True), folder)
