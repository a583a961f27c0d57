"""A look at a local registry through quilt3, as its users have it."""

from __future__ import annotations

from pathlib import Path

import quilt3

from provwatch.publish.entries import HASH_TYPE
from provwatch.publish.hashing import digest_bytes


def browse(registry: Path, name: str, top_hash: str | None = None) -> quilt3.Package:
    """Open a package the way a user does."""
    return quilt3.Package.browse(name, registry=str(registry), top_hash=top_hash)


def content(registry: Path, name: str, top_hash: str | None = None) -> dict[str, bytes]:
    """Return every entry's bytes, read through quilt3."""
    return {key: entry.get_bytes() for key, entry in browse(registry, name, top_hash).walk()}


def revisions(registry: Path, name: str) -> list[str]:
    """Return the top hashes of a package's revisions, oldest first."""
    pointers = dict(quilt3.list_package_versions(name, str(registry)))
    return [pointers[pointer] for pointer in sorted(pointers.keys() - {"latest"}, key=int)]


def check_readable(registry: Path, *, changed: bool = False) -> None:
    """Read everything there is in a registry: each revision of each package, each entry against its hash.

    Args:
        registry: the registry.
        changed: entries refer to files that have changed since, so only the revisions can be checked.
    """
    for name in quilt3.list_packages(str(registry)):
        for pointer, top_hash in quilt3.list_package_versions(name, str(registry)):
            assert top_hash, f"{name}/{pointer} is empty"
            package = browse(registry, name, top_hash)
            assert package.top_hash == top_hash
        for key, entry in () if changed else browse(registry, name).walk():
            data = entry.get_bytes()
            assert len(data) == entry.size, key
            assert entry.hash == {"type": HASH_TYPE, "value": digest_bytes(data).quilt}, key
