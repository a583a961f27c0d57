"""Whether a package holds already what a folder should be: the one decision, for doing and for planning."""

from __future__ import annotations

from enum import StrEnum

from provwatch.config import Settings
from provwatch.look import Look
from provwatch.metadata import user_given
from provwatch.publish.fingerprint import content_fingerprint, head_items, is_generated, outputs_fingerprint
from provwatch.publish.folder import Content
from provwatch.publish.hashing import digest_bytes
from provwatch.publish.manifest import Head
from provwatch.publish.storage import Storage
from provwatch.request import Request


class Verdict(StrEnum):
    """What is to be done."""

    PUSH = "push"
    DUPLICATE = "duplicate"
    RELOCATE = "relocate"
    """The content is the same, but its bytes do not lie where they should, or not at all any more."""


def fingerprint_of(look: Look, content: Content) -> str:
    """Return the fingerprint of a folder's content, hex."""
    description = look.description
    return content_fingerprint(
        description.registry,
        description.package_name,
        description.quilt_workflow or "",
        user_given(look.metadata),
        content.items(),
    )


def decide(
    request: Request, settings: Settings, look: Look, content: Content, head: Head | None, storage: Storage
) -> Verdict:
    """Compare a folder's content with what the package holds.

    Args:
        request: what was asked for.
        settings: the settings in force.
        look: the folder.
        content: its content.
        head: the package's latest revision, or None.
        storage: where the package's bytes lie.
    """
    if head is None or settings["dedup"] == "off":
        return Verdict.PUSH
    if request.refresh and (head.metadata != look.metadata or _generated(head) != _to_be_generated(content)):
        return Verdict.PUSH
    same = _same_outputs if settings["dedup"] == "outputs" else _same_content
    if not same(settings, look, content, head):
        return Verdict.PUSH
    if settings["dedup"] == "outputs" and not _same_content(settings, look, content, head):
        return Verdict.DUPLICATE  # of another run, whose files stay where they are
    placed = storage.lies_as_wanted(content, head, here=request.take_over)
    return Verdict.DUPLICATE if placed else Verdict.RELOCATE


def _generated(head: Head) -> dict[str, str]:
    """Return the hashes of the files that provwatch added to a head."""
    return {
        entry.logical_key: entry.hash.value for entry in head.entries if entry.hash is not None and is_generated(entry)
    }


def _to_be_generated(content: Content) -> dict[str, str]:
    """Return the hashes of the files that provwatch would add."""
    return {key: digest_bytes(data).quilt for key, data in content.generated.items()}


def _same_content(_settings: Settings, look: Look, content: Content, head: Head) -> bool:
    """Say whether the head has the same content, byte for byte."""
    description = look.description
    place = (description.registry, description.package_name, head.quilt_workflow or "")
    items, _ = head_items(head)
    return content_fingerprint(*place, user_given(head.metadata), items) == fingerprint_of(look, content)


def _same_outputs(settings: Settings, look: Look, content: Content, head: Head) -> bool:
    """Say whether the head has the same results, though the run may be another one."""
    description = look.description
    place = (description.registry, description.package_name)
    items, passed_over = head_items(head)
    more = settings["volatile"]
    mine = outputs_fingerprint(
        *place,
        description.quilt_workflow or "",
        look.metadata,
        content.items(),
        passed_over=look.listing.volatile,
        volatile=more,
    )
    theirs = outputs_fingerprint(
        *place, head.quilt_workflow or "", head.metadata, items, passed_over=passed_over, volatile=more
    )
    return mine == theirs


def may_be_same(look: Look, head: Head) -> bool:
    """Say whether the head could hold the same, from names and sizes alone."""
    theirs = sorted((key, size) for key, size, _ in head_items(head)[0])
    return theirs == sorted((file.logical_key, file.size) for file in look.listing.files)
