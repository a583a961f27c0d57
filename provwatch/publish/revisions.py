"""Find a revision of a package in a registry, by the beginning of its top hash."""

from __future__ import annotations

import re
from dataclasses import dataclass

from provwatch.errors import PackagingError, UnreachableError, UsageError
from provwatch.publish.manifest import Head, parse_manifest
from provwatch.publish.registry import LATEST, Registry

SHORTEST_HASH = 6
FULL_HASH = 64
_HASH = re.compile(rf"[0-9a-f]{{{SHORTEST_HASH},{FULL_HASH}}}")


@dataclass(frozen=True, slots=True)
class Found:
    """A revision as it lies in a registry.

    Attributes:
        registry: URI of the registry.
        package: name of the package.
        manifest: the manifest's bytes.
        head: what they say.
    """

    registry: str
    package: str
    manifest: bytes
    head: Head

    @property
    def uri(self) -> str:
        """Where the manifest lies."""
        return _manifest_uri(self.registry, self.head.top_hash)


def find_revision(registry: Registry, package: str, wanted: str) -> Found:
    """Return a revision of a package.

    Args:
        registry: where the package is.
        package: its name.
        wanted: a top hash or its beginning; "" and ``latest`` stand for the latest one.

    Raises:
        UsageError: that is no top hash, or several revisions begin like this.
        UnreachableError: there is no such package or revision.
        ProvwatchError: the registry or the manifest cannot be read.
    """
    top_hash = _full_hash(registry, package, wanted)
    uri = _manifest_uri(registry.uri, top_hash)
    found = registry.read(uri)
    if found is None:
        hint = "Restore it, or look at another revision"
        raise PackagingError("this revision has no manifest", where=uri, hint=hint, code="broken-head")
    return Found(registry.uri, package, found[0], parse_manifest(top_hash, found[0]))


def _full_hash(registry: Registry, package: str, wanted: str) -> str:
    """Return the top hash of the revision that is wanted; only a package's own revisions count."""
    if wanted in {"", LATEST}:
        latest = next(registry.top_hashes(package), "")
        return latest or _no_revision(registry, package, "")
    if _HASH.fullmatch(wanted) is None:
        hint = f"Give {SHORTEST_HASH} or more of its hexadecimal digits, as in {package}@1a2b3c"
        raise UsageError(f"{wanted!r} is no top hash", where=package, hint=hint)
    if len(wanted) == FULL_HASH:
        return wanted if wanted in registry.top_hashes(package) else _no_revision(registry, package, wanted)
    matching = {top_hash for top_hash in registry.top_hashes(package) if top_hash.startswith(wanted)}
    if len(matching) > 1:
        hint = f"Give more of it: {', '.join(sorted(matching))}"
        raise UsageError(f"several revisions begin with {wanted}", where=package, hint=hint)
    return matching.pop() if matching else _no_revision(registry, package, wanted)


def _no_revision(registry: Registry, package: str, wanted: str) -> str:
    """Say that a package, or a revision of it, is not there."""
    if wanted and next(registry.top_hashes(package), ""):
        hint = f"See them with quilt3.list_package_versions({package!r}, {registry.uri!r})"
        message = f"the package {package} has no revision {wanted}"
        raise UnreachableError(message, where=registry.uri, hint=hint, code="no-such-revision")
    hint = "Look for it in another --registry, or see what there is with 'quilt3 list-packages'"
    raise UnreachableError(f"there is no package {package}", where=registry.uri, hint=hint, code="no-such-package")


def _manifest_uri(registry: str, top_hash: str) -> str:
    """Return where a manifest lies."""
    return f"{registry.rstrip('/')}/.quilt/packages/{top_hash}"
