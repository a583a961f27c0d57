"""Where the bytes of packages in a local registry lie: in place, or kept in the registry."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from provwatch.errors import PackagingError
from provwatch.publish.entries import SourceFile
from provwatch.publish.folder import Content, FolderOptions
from provwatch.publish.hashing import Digest
from provwatch.publish.manifest import Head, HeadEntry
from provwatch.publish.objects import ObjectStore
from provwatch.publish.storage import Blob, Placed, Tell


class LocalStorage:
    """Files stay where they are; what cannot, or is not to, stay there is kept in the registry."""

    def __init__(self, store: ObjectStore, options: FolderOptions) -> None:
        """Keep bytes in this store; the options say which."""
        self._store = store
        self._options = options

    def check_names(self, _files: Iterable[SourceFile]) -> None:
        """Do nothing: what has a name in a folder can be referred to."""

    def to_be_written(self, files: Iterable[SourceFile], _head: Head | None = None) -> Iterator[SourceFile]:
        """Yield the files whose bytes the registry is to keep, redacted ones apart."""
        return filter(self._is_kept_file, files)

    def upload_rate(self) -> None:
        """Say that nothing goes up."""

    def needs_a_look(self, files: Iterable[SourceFile]) -> bool:
        """Say whether bytes are kept, which somebody may have removed."""
        return any(map(self._is_kept_file, files))

    def _is_kept_file(self, file: SourceFile) -> bool:
        """Say whether the registry is to keep a file's bytes."""
        return self._options.copy or (file.outside and not self._options.link)

    def lies_as_wanted(self, content: Content, head: Head, *, here: bool = False) -> bool:
        """Say whether a head of the same content refers to its bytes where they should be, and they are there.

        A top hash does not tell where bytes lie, so two packages of the same content share a manifest, which can
        refer to the files of only one of them. As long as those are there, that is as good.

        Args:
            content: the folder's content.
            head: the package's latest revision.
            here: whether files in place have to be those of this very folder.
        """
        entries = {entry.logical_key: entry for entry in head.entries}
        for file in content.listing.files:
            entry = entries.get(file.logical_key)
            if entry is None or self._is_kept(entry):
                continue
            if self._is_kept_file(file) or not _lies_in_place(entry, file, here=here):
                return False
        return True

    def _is_kept(self, entry: HeadEntry) -> bool:
        """Say whether the registry keeps an entry's bytes, and has them."""
        path = Path(_path(entry))
        return path.parent == self._store.folder and self._store.has(path.name, entry.size or 0)

    def place(self, blobs: Sequence[Blob], _head: Head | None, tell: Tell) -> dict[str, Placed]:
        """Keep in the registry what cannot stay where it is.

        Raises:
            ProvwatchError: the registry cannot be written, or a file changed meanwhile.
        """
        self._store.tell = tell
        placed = {}
        for blob in blobs:
            if blob.file is None:
                placed[blob.logical_key] = self._keep_made(blob)
            elif self._is_kept_file(blob.file):
                placed[blob.logical_key] = self._keep_file(blob.file, blob.digest)
            else:
                placed[blob.logical_key] = Placed(_uri_in_place(blob.file), blob.digest)
        return placed

    def settled(self, blobs: Sequence[Blob]) -> None:
        """Do nothing: what is in a folder needs no remembering."""

    def _keep_made(self, blob: Blob) -> Placed:
        """Keep bytes that are no file's, unless they are there."""
        if not self._store.has(blob.digest.sha256, blob.size) and blob.make is not None:
            self._store.put_bytes(blob.make())
        return Placed(self._store.path(blob.digest.sha256).as_uri(), blob.digest)

    def _keep_file(self, file: SourceFile, digest: Digest) -> Placed:
        """Keep a file's bytes, unless they are there."""
        if digest.sha256 and self._store.has(digest.sha256, file.size):
            return Placed(self._store.path(digest.sha256).as_uri(), digest)
        path, stored = self._store.put_file(file)
        return Placed(path.as_uri(), stored)


def _uri_in_place(file: SourceFile) -> str:
    """Return the URI of a file where it lies.

    Raises:
        PackagingError: Quilt keeps paths as text, and this one is none.
    """
    try:
        file.target.encode()
    except UnicodeEncodeError:
        message = f"the path {os.fsencode(file.target)!r} is not UTF-8, and Quilt cannot refer to it in place"
        hint = "Give --copy, or rename the folder"
        raise PackagingError(message, where=ascii(file.path), hint=hint, code="invalid-path") from None
    return Path(file.target).as_uri()


def _lies_in_place(entry: HeadEntry, file: SourceFile, *, here: bool) -> bool:
    """Say whether an entry refers to this file, or to another one of its size."""
    path = _path(entry)
    if path == file.target:
        return True
    try:
        return not here and Path(path).stat().st_size == entry.size
    except (OSError, ValueError):
        return False


def _path(entry: HeadEntry) -> str:
    """Return the local path of an entry's bytes, or ""."""
    return unquote(urlsplit(entry.physical_key).path) if entry.physical_key.startswith("file://") else ""


def in_place_sources(entries: Iterable[HeadEntry]) -> list[str]:
    """Return the ``file://`` folders that a head's entries lie in, in place; those of most entries first.

    Args:
        entries: the head's entries. One that was reached through a link may lie in a folder of its own.
    """
    votes: dict[str, int] = {}
    for entry in entries:
        path, key = unquote(entry.physical_key.removeprefix("file://")), entry.logical_key
        if entry.physical_key.startswith("file:///") and path.endswith(f"/{key}"):
            folder = path.removesuffix(key)
            votes[folder] = votes.get(folder, 0) + 1
    ordered = sorted(votes, key=lambda folder: (-votes[folder], folder))
    return [f"{Path(folder).as_uri().removesuffix('/')}/" for folder in ordered]
