"""A registry in a local folder: read heads, and put new revisions in place so that it is readable at every moment.

A revision is built aside on the same file system, then renamed into place under a lock: manifest, latest,
pointer, in this order. What a crash leaves between two of these is mended by the next run.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from provwatch.description import local_path
from provwatch.errors import PackagingError, UnreachableError
from provwatch.failpoints import reach
from provwatch.publish.entries import Entry, read_error
from provwatch.publish.files import locked, move, read_text, sync
from provwatch.publish.folder import FolderOptions
from provwatch.publish.local_storage import LocalStorage
from provwatch.publish.manifest import Head, manifest_header, parse_manifest, write_manifest
from provwatch.publish.objects import ObjectStore, write_error
from provwatch.publish.quilt import build_in_folder
from provwatch.publish.registry import LATEST, POINTER_NAME, STREAMED_ENTRIES, TOP_HASH, HeadMovedError, Revision
from provwatch.publish.storage import HOUSE

POINTER = "pointer"
CLOCKS_DIFFER_SECONDS = 2.0
LITTER_SECONDS = 86_400


class LocalRegistry:
    """A Quilt registry in a local folder."""

    def __init__(self, uri: str, options: FolderOptions | None = None) -> None:
        """Use the registry at a ``file://`` URI; it is created when something is first written.

        Args:
            uri: where it is.
            options: which files' bytes it is to keep.
        """
        self.uri = uri
        self.folder = Path(unquote(urlsplit(uri).path))
        self.objects = ObjectStore(self.folder)
        self.storage = LocalStorage(self.objects, options or FolderOptions())
        self.warnings: set[str] = set()

    def read(self, uri: str) -> tuple[bytes, str] | None:
        """Return the bytes of a local file, and its URI; None where there is none."""
        path = local_path(uri)
        try:
            return path.read_bytes(), uri
        except FileNotFoundError:
            return None
        except OSError as error:
            raise read_error(error, str(path)) from error

    def head_hash(self, package: str) -> str:
        """Return the top hash of the package's latest revision, or "" where there is none.

        An empty ``latest``, as a crash of other tools leaves it, is read as the newest pointer.

        Raises:
            ProvwatchError: the registry cannot be read, or ``latest`` is foreign.
        """
        latest = self._pointer(package, LATEST)
        value = read_text(latest)
        if value:
            if TOP_HASH.fullmatch(value) is None:
                message = "this is no top hash, so somebody else's tool wrote it"
                raise PackagingError(
                    message, where=str(latest), hint="Look at it, then remove it", code="foreign-latest"
                )
            return value
        return self._newest_pointed_at(package)

    def head(self, package: str) -> Head | None:
        """Return the package's latest revision, or None.

        Raises:
            ProvwatchError: the registry or the manifest cannot be read.
        """
        top_hash = self.head_hash(package)
        if not top_hash:
            return None
        path = self._manifest(top_hash)
        try:
            return parse_manifest(top_hash, path.read_bytes())
        except FileNotFoundError as error:
            hint = "Restore it, or remove the package's folder in .quilt/named_packages"
            raise PackagingError(
                "the latest revision has no manifest", where=str(path), hint=hint, code="broken-head"
            ) from error
        except OSError as error:
            raise UnreachableError(f"cannot be read: {error.strerror}", where=str(path)) from error

    def top_hashes(self, package: str) -> Iterator[str]:
        """Yield the top hashes of a package's revisions, the latest first, then from the newest on; some repeat."""
        yield from filter(None, [self.head_hash(package)])
        for second in sorted(self._pointer_seconds(package), reverse=True):
            value = read_text(self._pointer(package, str(second)))
            if TOP_HASH.fullmatch(value):
                yield value

    def publish(self, revision: Revision, expected: str) -> str:
        """Make a revision the package's latest; return its top hash.

        Args:
            revision: what to make.
            expected: top hash of the head that the revision was compared with, "" for none.

        Raises:
            HeadMovedError: the head is another one by now; nothing was published.
            ProvwatchError: it could not be built or written; nothing was published.
        """
        aside = self.folder / HOUSE / "staging" / uuid.uuid4().hex
        try:
            aside.mkdir(parents=True)
            top_hash = self._build(revision, aside)
            reach("after_build")
            with self._lock():
                if self.head_hash(revision.package) != expected:
                    raise HeadMovedError("another revision was made meanwhile", where=revision.package)
                self._put_in_place(revision.package, top_hash, aside / ".quilt/packages" / top_hash)
                self._sweep()
        except OSError as error:
            raise write_error(error, str(self.folder)) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return top_hash

    def relocate(self, package: str, head: Head, entries: Sequence[Entry]) -> bool:
        """Make the package's latest revision refer to its bytes where they lie now; it stays the same revision.

        Args:
            package: name of the package.
            head: the revision.
            entries: entries of the same content, by which the new places are known.

        Returns:
            False, with nothing done, where an entry's content is not the same after all.

        Raises:
            HeadMovedError: the head is another one by now.
            ProvwatchError: the registry cannot be written.
        """
        places = {entry.logical_key: entry for entry in entries}
        moved: list[Entry] = []
        for old in head.entries:
            new = places.get(old.logical_key)
            if new is None or old.hash is None or (new.size, new.hash) != (old.size, old.hash.value):
                return False
            moved.append(Entry(old.logical_key, new.physical_key, new.size, new.hash, old.meta or {}))
        aside = self.folder / HOUSE / "staging" / uuid.uuid4().hex
        try:
            aside.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as file:
                same = write_manifest(head.header, moved, file.write) == head.top_hash
            with self._lock():
                if self.head_hash(package) != head.top_hash:
                    raise HeadMovedError("another revision was made meanwhile", where=package)
                if same:
                    sync(aside)
                    move(aside, self._manifest(head.top_hash))
        except OSError as error:
            raise write_error(error, str(self.folder)) from error
        finally:
            aside.unlink(missing_ok=True)
        return same

    def _sweep(self) -> None:
        """Remove what processes that were killed a day or more ago left half-done; called under the lock."""
        too_old = time.time() - LITTER_SECONDS
        for room in ("tmp", "staging"):
            folder = self.folder / HOUSE / room
            for left in folder.iterdir() if folder.is_dir() else ():
                try:
                    if left.stat().st_mtime < too_old:
                        shutil.rmtree(left) if left.is_dir() else left.unlink()
                except OSError:
                    continue  # another process was quicker, or may not be touched

    def _build(self, revision: Revision, aside: Path) -> str:
        """Build the manifest aside: quilt3 does, and our own writer where memory would not stay flat.

        Our own too where the registry has Quilt workflows, which quilt3 would look for aside.
        """
        if len(revision.entries) <= STREAMED_ENTRIES and revision.workflow is None:
            return build_in_folder(revision, aside)
        packages = aside / ".quilt/packages"
        packages.mkdir(parents=True)
        header = manifest_header(revision.metadata, revision.message, revision.workflow)
        with (packages / "building").open("wb") as file:
            top_hash = write_manifest(header, revision.entries, file.write)
        (packages / "building").rename(packages / top_hash)
        return top_hash

    def _put_in_place(self, package: str, top_hash: str, built: Path) -> None:
        """Rename manifest, latest and pointer into place, in the order that keeps the registry readable."""
        manifest = self._manifest(top_hash)
        if not self._keeps_more(manifest, built):
            sync(built)
            move(built, manifest)
        reach("after_manifest")
        pointer = self._free_pointer(package)
        self._write_pointer(self._pointer(package, LATEST), top_hash)
        reach("after_latest")
        self._write_pointer(pointer, top_hash)
        reach("after_pointer")

    def _keeps_more(self, there: Path, built: Path) -> bool:
        """Say whether a manifest of this top hash is there whose entries have more of their bytes in the registry.

        A top hash does not tell where the bytes lie, so two packages, or a copied and a linked revision of one,
        may share a manifest; what one of them protects must stay protected.
        """
        house = (self.folder / HOUSE).as_uri().encode()
        try:
            return there.read_bytes().count(house) > built.read_bytes().count(house)
        except FileNotFoundError:
            return False

    def mend(self, package: str) -> bool:
        """Write the pointer or the ``latest`` that a crash left out; say whether there was anything to mend."""
        if not self._missing(package):
            return False
        try:
            with self._lock():  # what was missing a moment ago may have been another's unfinished revision
                missing = self._missing(package)
                top_hash = self.head_hash(package)
                if LATEST in missing:
                    self._write_pointer(self._pointer(package, LATEST), top_hash)
                if POINTER in missing:
                    self._write_pointer(self._free_pointer(package), top_hash)
        except OSError as error:
            raise write_error(error, str(self.folder)) from error
        return bool(missing)

    def _missing(self, package: str) -> set[str]:
        """Return what of `LATEST` and `POINTER` the package's latest revision lacks."""
        top_hash = self.head_hash(package)
        if not top_hash:
            return set()
        missing = set() if read_text(self._pointer(package, LATEST)) else {LATEST}
        return missing if self._newest_pointed_at(package) == top_hash else {*missing, POINTER}

    def has_head(self, package: str, top_hash: str) -> bool:
        """Say whether this revision is the package's latest, and its manifest is there."""
        return self.head_hash(package) == top_hash and self._manifest(top_hash).is_file()

    def _free_pointer(self, package: str) -> Path:
        """Return a pointer after all others: for this second, waiting for the next one where it is taken.

        Where a clock that ran ahead left a pointer in the future, the new one comes right after it.
        """
        newest = max(self._pointer_seconds(package), default=0)
        if newest > time.time() + CLOCKS_DIFFER_SECONDS:
            return self._pointer(package, str(newest + 1))
        while int(time.time()) <= newest:
            time.sleep(1.0 - time.time() % 1.0)
        return self._pointer(package, str(int(time.time())))

    def _write_pointer(self, pointer: Path, top_hash: str) -> None:
        """Write a pointer so that it is never seen half-written."""
        aside = self.folder / HOUSE / "staging" / f"{uuid.uuid4().hex}.pointer"
        aside.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(top_hash, "ascii")
        sync(aside)
        move(aside, pointer)

    def _manifest(self, top_hash: str) -> Path:
        """Return where a manifest lies."""
        return self.folder / ".quilt/packages" / top_hash

    def _pointer(self, package: str, name: str) -> Path:
        """Return where a pointer lies."""
        return self.folder / ".quilt/named_packages" / package / name

    def _newest_pointed_at(self, package: str) -> str:
        """Return the top hash in the newest numbered pointer that holds one, or ""."""
        for second in sorted(self._pointer_seconds(package), reverse=True):
            value = read_text(self._pointer(package, str(second)))
            if TOP_HASH.fullmatch(value):
                return value
        return ""

    def _pointer_seconds(self, package: str) -> list[int]:
        """Return the names of the package's numbered pointers: unix times in seconds."""
        folder = self._pointer(package, LATEST).parent
        try:
            return [int(name) for name in os.listdir(folder) if POINTER_NAME.fullmatch(name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UnreachableError(f"cannot be read: {error.strerror}", where=str(folder)) from error

    def _lock(self) -> AbstractContextManager[None]:
        """Hold the registry's lock, waiting for others for a minute."""
        return locked(self.folder / HOUSE / "lock")
