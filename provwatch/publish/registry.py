"""What every registry can do, whatever holds it, and which one is behind a URI."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from provwatch.errors import PackagingError
from provwatch.publish.entries import Entry
from provwatch.publish.manifest import Head
from provwatch.publish.storage import Storage

LATEST = "latest"
POINTER_NAME = re.compile(r"[1-9][0-9]{0,11}")
TOP_HASH = re.compile(r"[0-9a-f]{64}")
STREAMED_ENTRIES = 100_000
WORKFLOW_CONFIG = ".quilt/workflows/config.yml"


class HeadMovedError(PackagingError):
    """Somebody else made a revision since the head was read; compare again."""

    code = "head-moved"


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision to be made: everything a manifest holds.

    Attributes:
        package: name of the package.
        entries: its entries in manifest order.
        metadata: its metadata.
        message: its commit message.
        quilt_workflow: id of the Quilt workflow it is validated with, "" for none; None where the registry has none.
        workflow: what the manifest says of that workflow, or None.
    """

    package: str
    entries: Sequence[Entry]
    metadata: Mapping[str, Any]
    message: str | None
    quilt_workflow: str | None = None
    workflow: Mapping[str, Any] | None = None


class Registry(Protocol):
    """A Quilt registry; one contract suite runs over all kinds."""

    uri: str

    @property
    def storage(self) -> Storage:
        """Where its packages have their bytes."""

    @property
    def warnings(self) -> set[str]:
        """Codes of what it cannot do."""

    def read(self, uri: str) -> tuple[bytes, str] | None:
        """Return the bytes at a URI of its kind, and the URI with its version; None where there are none."""

    def head(self, package: str) -> Head | None:
        """Return a package's latest revision, or None."""

    def top_hashes(self, package: str) -> Iterator[str]:
        """Yield the top hashes of a package's revisions, the latest first, then from the newest on; some repeat."""

    def has_head(self, package: str, top_hash: str) -> bool:
        """Say whether this revision is the package's latest, and can be read."""

    def publish(self, revision: Revision, expected: str) -> str:
        """Make a revision the latest in place of the expected one; return its top hash."""

    def relocate(self, package: str, head: Head, entries: Sequence[Entry]) -> bool:
        """Make the latest revision refer to its bytes where they lie now; False where it cannot."""

    def mend(self, package: str) -> bool:
        """Write what an earlier crash left out; say whether there was anything to mend."""
