"""Where the bytes of a package are to lie, and whether they do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from provwatch.publish.entries import SourceFile
from provwatch.publish.folder import Content, FolderOptions
from provwatch.publish.manifest import Head, HeadEntry
from provwatch.publish.objects import ObjectStore


def to_be_stored(files: Iterable[SourceFile], options: FolderOptions) -> Iterator[SourceFile]:
    """Yield the files whose bytes the registry is to keep, redacted ones apart."""
    for file in files:
        if options.copy or (file.outside and not options.link):
            yield file


def lies_as_wanted(
    content: Content, head: Head, store: ObjectStore, options: FolderOptions, *, here: bool = False
) -> bool:
    """Say whether a head of the same content refers to its bytes where they should be, and they are there.

    A top hash does not tell where bytes lie, so two packages of the same content share a manifest, which can
    refer to the files of only one of them. As long as those are there, that is as good.

    Args:
        content: the folder's content.
        head: the package's latest revision.
        store: where the registry keeps bytes.
        options: how a folder becomes a package.
        here: whether files in place have to be those of this very folder.
    """
    stored = {file.logical_key for file in to_be_stored(content.listing.files, options)}
    entries = {entry.logical_key: entry for entry in head.entries}
    for file in content.listing.files:
        entry = entries.get(file.logical_key)
        if entry is None:
            continue
        kept = _is_kept(entry, store)
        if not kept and (file.logical_key in stored or not _lies_in_place(entry, file, here=here)):
            return False
    return True


def _lies_in_place(entry: HeadEntry, file: SourceFile, *, here: bool) -> bool:
    """Say whether an entry refers to this file, or to another one of its size."""
    path = _path(entry)
    if path == file.target:
        return True
    try:
        return not here and Path(path).stat().st_size == entry.size
    except (OSError, ValueError):
        return False


def _is_kept(entry: HeadEntry, store: ObjectStore) -> bool:
    """Say whether the registry keeps an entry's bytes, and has them."""
    path = Path(_path(entry))
    return path.parent == store.folder and store.has(path.name, entry.size or 0)


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
