"""Bytes that provwatch keeps in a local registry: copies, redacted files, files that links led to.

They lie at ``<registry>/.provwatch/objects/<sha256>``, each once, never under a source.
"""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path

from provwatch.errors import CredentialsError, PackagingError, ProvwatchError, UnreachableError
from provwatch.publish.entries import SourceFile, read_error
from provwatch.publish.hashing import ChangedError, Digest, combine, digest_bytes, part_bytes
from provwatch.publish.storage import HOUSE

FICLONE = 0x40049409
COPY_BYTES = 1024 * 1024


class ObjectStore:
    """The objects of one local registry."""

    def __init__(self, registry: Path) -> None:
        """Use the objects below a registry's folder; nothing is created before it is needed."""
        self._objects = registry / HOUSE / "objects"
        self._staging = registry / HOUSE / "tmp"
        self.tell: Callable[[int], None] = lambda _count: None
        """Called with the number of bytes copied; what it raises ends the copying."""

    @property
    def folder(self) -> Path:
        """Where the objects lie."""
        return self._objects

    def path(self, sha256: str) -> Path:
        """Return where the object with this hash lies."""
        return self._objects / sha256

    def has(self, sha256: str, size: int) -> bool:
        """Say whether the object is there, whole."""
        try:
            return self.path(sha256).stat().st_size == size
        except OSError:
            return False

    def put_bytes(self, data: bytes) -> tuple[Path, Digest]:
        """Keep some bytes; return where they lie and their hashes.

        Raises:
            ProvwatchError: the registry cannot be written.
        """
        digest = digest_bytes(data)
        if not self.has(digest.sha256, len(data)):
            temporary = self._temporary()
            try:
                with temporary.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                self._settle(temporary, digest.sha256)
            except OSError as error:
                raise write_error(error, str(self._objects)) from error
            finally:
                temporary.unlink(missing_ok=True)
        return self.path(digest.sha256), digest

    def put_file(self, file: SourceFile) -> tuple[Path, Digest]:
        """Keep a file's bytes, sharing its blocks where the file system can; return place and hashes.

        Raises:
            ChangedError: the file changed while it was being copied.
            ProvwatchError: it cannot be read, or the registry cannot be written.
        """
        temporary = self._temporary()
        try:
            digest = _copy(file, temporary, self.tell)
            if not self.has(digest.sha256, file.size):
                self._settle(temporary, digest.sha256)
        finally:
            temporary.unlink(missing_ok=True)
        return self.path(digest.sha256), digest

    def _temporary(self) -> Path:
        """Return a new place on the registry's file system."""
        try:
            self._staging.mkdir(parents=True, exist_ok=True)
            self._objects.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(error, str(self._staging)) from error
        return self._staging / uuid.uuid4().hex

    def _settle(self, temporary: Path, sha256: str) -> None:
        """Put a finished file in its place."""
        temporary.replace(self.path(sha256))


def _copy(file: SourceFile, destination: Path, tell: Callable[[int], None]) -> Digest:
    """Copy a file, hashing what was written, and check that it did not change meanwhile."""
    try:
        source = Path(file.path).open("rb")  # noqa: SIM115 - closed below; errors of reading and writing are told apart
    except OSError as error:
        raise read_error(error, file.path) from error
    with source:
        try:
            with destination.open("w+b") as target:
                if not _clone(source.fileno(), target.fileno()):
                    while chunk := source.read(COPY_BYTES):
                        target.write(chunk)
                        tell(len(chunk))
                target.flush()
                os.fsync(target.fileno())
                digest = _digest_open(target.fileno(), file.size)
        except OSError as error:
            raise write_error(error, str(destination.parent)) from error
        status = os.fstat(source.fileno())
    seen = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)
    if seen != file.signature:
        raise ChangedError("changed while it was being copied", where=file.path, hint="Is the run still writing?")
    return digest


def _clone(source: int, target: int) -> bool:
    """Share the source's blocks with the target; False where the file system cannot."""
    try:
        import fcntl  # noqa: PLC0415 - not there on Windows

        fcntl.ioctl(target, FICLONE, source)
    except (ImportError, OSError):
        return False
    return True


def _digest_open(descriptor: int, size: int) -> Digest:
    """Return both hashes of an open file in one reading."""
    part = part_bytes(size)
    whole, parts = hashlib.sha256(), []
    os.lseek(descriptor, 0, os.SEEK_SET)
    left = part
    current = hashlib.sha256()
    while chunk := os.read(descriptor, min(COPY_BYTES, left)):
        whole.update(chunk)
        current.update(chunk)
        left -= len(chunk)
        if left == 0:
            parts.append(current.digest())
            current, left = hashlib.sha256(), part
    if left < part:
        parts.append(current.digest())
    return Digest(combine(parts), whole.hexdigest())


def write_error(error: OSError, path: str) -> ProvwatchError:
    """Return an error that says what is wrong with writing to a registry, with the right exit code."""
    reason = error.strerror or str(error)
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        hint = "Check its permissions, or give another --registry"
        return CredentialsError(f"may not be written: {reason}", where=path, hint=hint, code="unwritable")
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        hint = "Free some space, or give a --registry on another disk; nothing was published"
        return PackagingError(f"the disk is full: {reason}", where=path, hint=hint, code="disk-full")
    return UnreachableError(f"cannot be written: {reason}", where=path, code="unwritable")
