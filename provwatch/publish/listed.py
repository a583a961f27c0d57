"""Which files a crate lists: root ``hasPart`` by the rules of Quilt's RO-Crate profile.

https://w3id.org/quilt/ro-crate: members that are Datasets or end in ``/`` stand for everything below them,
web addresses are passed over, and the metadata document itself always belongs to the package.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection
from urllib.parse import unquote

from provwatch.crate import Crate
from provwatch.crate.model import references
from provwatch.errors import PackagingError

WEB = ("http://", "https://")
PROBLEMS_SHOWN = 5


def listed_keys(crate: Crate, crate_key: str, present: Collection[str]) -> tuple[set[str], int]:
    """Return the logical keys that the crate lists, and how many members lie elsewhere.

    Args:
        crate: the crate.
        crate_key: logical key of its metadata document.
        present: logical keys of all files in the folder.

    Raises:
        PackagingError: a member is not in the folder, or its ``@id`` is no usable path.
    """
    prefix = f"{crate_key.rpartition('/')[0]}/".lstrip("/")
    keys = {crate_key}
    missing: list[str] = []
    elsewhere = 0
    ordered = sorted(present)
    for member in dict.fromkeys(references(crate.root.has_part)):
        if member.startswith(WEB):
            continue
        if "://" in member or member.startswith("/"):
            elsewhere += 1
            continue
        found = _member_keys(crate, member, prefix, present, ordered)
        if found:
            keys |= found
        else:
            missing.append(member)
    if missing:
        shown = ", ".join(repr(member) for member in missing[:PROBLEMS_SHOWN])
        more = f" and {len(missing) - PROBLEMS_SHOWN} more" if len(missing) > PROBLEMS_SHOWN else ""
        hint = "Use --files all, or run the pipeline again"
        message = f"the crate lists {shown}{more}, which the folder does not hold"
        raise PackagingError(message, where=crate.where, hint=hint, code="listed-missing")
    return keys, elsewhere


def _member_keys(crate: Crate, member: str, prefix: str, present: Collection[str], ordered: list[str]) -> set[str]:
    """Return the logical keys that one member stands for; empty when there are none."""
    entity = crate.get(member)
    is_folder = member.endswith("/") or (entity is not None and entity.is_a("Dataset"))
    for spelling in dict.fromkeys((unquote(member), member)):
        path = spelling.removeprefix("./").rstrip("/")
        if any(part in {"", ".", ".."} for part in path.split("/")):
            continue
        key = f"{prefix}{path}"
        if key in present:
            return {key}
        if is_folder:
            # "0" follows "/", so this is everything that begins with the folder's name and a slash.
            below = ordered[bisect_left(ordered, f"{key}/") : bisect_left(ordered, f"{key}0")]
            if below:
                return set(below)
    return set()
