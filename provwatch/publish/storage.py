"""What a registry is asked for when a package's bytes have to lie somewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from provwatch.publish.entries import SourceFile
from provwatch.publish.hashing import Digest

if TYPE_CHECKING:
    from provwatch.publish.folder import Content
    from provwatch.publish.manifest import Head

HOUSE = ".provwatch"
"""Folder of a registry that holds what is provwatch's own: redacted, generated and copied bytes."""

Tell = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes that an entry is to have.

    Attributes:
        logical_key: the entry's path in the package.
        size: bytes.
        digest: their hashes.
        file: the file that holds them, where it is a source file as it is.
        make: makes them anew, where they are redacted or generated.
        last: whether they go after all others, as a crate does: who sees it finds the rest.
    """

    logical_key: str
    size: int
    digest: Digest
    file: SourceFile | None = None
    make: Callable[[], bytes] | None = None
    last: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an entry's bytes lie; ``digest`` may know more hashes than the blob's."""

    uri: str
    digest: Digest


class Storage(Protocol):
    """Where a registry's packages have their bytes."""

    def check_names(self, files: Iterable[SourceFile]) -> None:
        """Refuse files whose names the storage cannot hold."""

    def to_be_written(self, files: Iterable[SourceFile], head: Head | None) -> Iterator[SourceFile]:
        """Yield the files whose bytes may have to be written, judged by names and sizes."""

    def upload_rate(self) -> tuple[float, bool] | None:
        """Return the bytes a second that bytes are expected to go up with, and whether that was measured."""

    def needs_a_look(self, files: Iterable[SourceFile]) -> bool:
        """Say whether it takes a look at the bytes to know that an unchanged package still has them."""

    def lies_as_wanted(self, content: Content, head: Head, *, here: bool = False) -> bool:
        """Say whether a head of the same content refers to its bytes where they should be, and they are there."""

    def place(self, blobs: Sequence[Blob], head: Head | None, tell: Tell) -> dict[str, Placed]:
        """Put the bytes where they are to lie, unless they are there; return where, by logical key."""

    def settled(self, blobs: Sequence[Blob]) -> None:
        """Say that a package holds these now."""
