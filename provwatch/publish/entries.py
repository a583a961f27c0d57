"""What a package is made of: files found in a folder, and the entries they become."""

from __future__ import annotations

import errno
import fnmatch
import os
import re
import stat
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provwatch.errors import CredentialsError, PackagingError, ProvwatchError, UnreachableError

NEVER_PACKAGED = frozenset({".quilt", ".provwatch"})
IGNORE_FILE = ".quiltignore"
ABOVE = ("/" + "\0" * 24) * 4
HASH_TYPE = "sha2-256-chunked"
MAX_WAYS = 100


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as one look at the folder found it.

    Attributes:
        logical_key: its path in the package.
        path: where it is read from; links below the source folder are part of it.
        target: the real file behind it.
        outside: whether a link led out of the source folder.
        size: bytes.
        mtime_ns, ctime_ns, inode, device: its identity and age.
    """

    logical_key: str
    path: str
    target: str
    outside: bool
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int

    @property
    def signature(self) -> tuple[int, int, int, int, int]:
        """What changes when the file's content does."""
        return (self.size, self.mtime_ns, self.ctime_ns, self.inode, self.device)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a package.

    Attributes:
        logical_key: its path in the package.
        physical_key: URI of its bytes.
        size: bytes.
        hash: Quilt's hash, base64 of ``sha2-256-chunked``.
        meta: its metadata, as the manifest holds it.
    """

    logical_key: str
    physical_key: str
    size: int
    hash: str
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Scan:
    """The files of a folder, and what was passed over."""

    files: list[SourceFile] = field(default_factory=list)
    special: int = 0


def order(logical_key: str) -> list[str]:
    """Return the sort key of quilt3's manifests: path component by path component."""
    return logical_key.split("/")


def scan_folder(folder: Path, check: Callable[[], None] = lambda: None, never: Collection[Path] = ()) -> Scan:
    """Return every file below a folder, links followed, ``.quiltignore`` honoured.

    Args:
        folder: the folder.
        check: called for each folder below it; what it raises ends the scan.
        never: files and folders of provwatch's own, which are passed over.

    Raises:
        PackagingError: a dangling link, links that go round in a maze, or a name that cannot be a logical
            key; the sentence names it.
        CredentialsError: a file or folder may not be read.
        UnreachableError: the folder is not there.
    """
    root = os.path.realpath(folder)
    if not os.path.isdir(root):
        raise UnreachableError("no such folder", where=str(folder))
    walk = _Walk(root, _ignore_rules(root), check, {os.path.realpath(path) for path in never})
    walk.run()
    walk.scan.files.sort(key=lambda file: order(file.logical_key))
    return walk.scan


class _Folder:
    """A folder on the way: where it is, what it is in the package, and the folder that led to it."""

    __slots__ = ("parent", "path", "prefix", "real")

    def __init__(self, path: str, prefix: str, real: str, parent: _Folder | None) -> None:
        """Remember a folder; *real* is its path without links."""
        self.path = path
        self.prefix = prefix
        self.real = real
        self.parent = parent

    def leads_back_to(self, real: str) -> bool:
        """Say whether the way here has come through that folder already."""
        folder: _Folder | None = self
        while folder is not None:
            if folder.real == real:
                return True
            folder = folder.parent
        return False


class _Walk:
    """One walk over a folder."""

    def __init__(
        self, root: str, ignored: Callable[[str], bool], check: Callable[[], None], never: Collection[str]
    ) -> None:
        """Start at *root*, passing over what *ignored* says, and *never*."""
        self.scan = Scan()
        self._inside = root.rstrip(os.sep) + os.sep
        self._ignored = ignored
        self._check = check
        self._never = never
        self._waiting = [_Folder(root, "", root, None)]
        self._visits: dict[str, int] = {}

    def run(self) -> None:
        """Take up everything in every folder; a list of what waits instead of recursion, as trees can be deep."""
        while self._waiting:
            self._check()
            folder = self._waiting.pop()
            try:
                with os.scandir(folder.path) as found:
                    members = list(found)
            except OSError as error:
                raise read_error(error, folder.path) from error
            for member in members:
                self._take_member(member, folder)

    def _take_member(self, member: os.DirEntry[str], folder: _Folder) -> None:
        """Take up one member of a folder."""
        key, real = f"{folder.prefix}{member.name}", os.path.join(folder.real, member.name)
        if real in self._never or (member.name in NEVER_PACKAGED and os.path.isdir(member.path)):
            return
        if member.is_symlink():
            self._follow(member, key, folder)
        elif not member.is_dir():
            self._take(member, key, real)
        elif not self._ignored(f"{key}/"):
            self._waiting.append(_Folder(member.path, f"{key}/", real, folder))

    def _follow(self, member: os.DirEntry[str], key: str, folder: _Folder) -> None:
        """Take up what a link points at."""
        target = os.path.realpath(member.path)
        try:
            is_folder = stat.S_ISDIR(os.stat(target).st_mode)
        except OSError as error:
            if self._ignored(key):
                return
            if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
                raise read_error(error, member.path) from error
            message = f"this link points at {os.readlink(member.path)!r}, which is not there"
            hint = "Was the work directory cleaned? Publish with mode 'copy', or remove the link"
            raise PackagingError(message, where=member.path, hint=hint, code="dangling-link") from error
        if not is_folder:
            self._take(member, key, target)
        elif not self._ignored(f"{key}/") and not folder.leads_back_to(target):
            self._visits[target] = self._visits.get(target, 0) + 1
            if self._visits[target] > MAX_WAYS:
                message = f"more than {MAX_WAYS} ways of links lead to the folder {target!r}"
                hint = "Keep the links out with a .quiltignore file"
                raise PackagingError(message, where=member.path, hint=hint, code="link-maze")
            self._waiting.append(_Folder(member.path, f"{key}/", target, folder))

    def _take(self, member: os.DirEntry[str], key: str, target: str) -> None:
        """Take up one file."""
        if self._ignored(key):
            return
        try:
            status = member.stat()
        except OSError as error:
            raise read_error(error, member.path) from error
        if not stat.S_ISREG(status.st_mode):
            self.scan.special += 1
            return
        _check_key(key, member.path)
        self.scan.files.append(
            SourceFile(
                logical_key=key,
                path=member.path,
                target=target,
                outside=not target.startswith(self._inside),
                size=status.st_size,
                mtime_ns=status.st_mtime_ns,
                ctime_ns=status.st_ctime_ns,
                inode=status.st_ino,
                device=status.st_dev,
            )
        )


def _check_key(key: str, path: str) -> None:
    """Refuse a name that a manifest cannot hold."""
    try:
        key.encode("utf-8")
    except UnicodeEncodeError:
        message = f"the name {os.fsencode(key)!r} is not UTF-8, and logical keys are"
        raise PackagingError(message, where=ascii(path), hint="Rename the file", code="invalid-key") from None


def _ignore_rules(root: str) -> Callable[[str], bool]:
    """Return what says whether ``.quiltignore`` passes over a key; folders' keys end in ``/``.

    The rules are quilt3's: shell patterns, one a line, at any depth; ``dir`` and ``dir/`` match a folder, and
    ``*`` stands for slashes too. Only what lies above the folder has no names here, so that a rule means the
    same wherever the folder lies.
    """
    try:
        lines = Path(root, IGNORE_FILE).read_text("utf-8").split("\n")
    except FileNotFoundError:
        return lambda _key: False
    except PermissionError as error:
        raise read_error(error, str(Path(root, IGNORE_FILE)) if os.access(root, os.X_OK) else root) from error
    except (OSError, UnicodeDecodeError) as error:
        raise PackagingError("the ignore file cannot be read", where=str(Path(root, IGNORE_FILE))) from error
    patterns = [fnmatch.translate(f"*/{line}") for line in lines if line]
    if not patterns:
        return lambda _key: False
    matches = re.compile("|".join(patterns)).match

    def ignored(key: str) -> bool:
        path = f"{ABOVE}/{key}"
        return matches(path) is not None or (path.endswith("/") and matches(path[:-1]) is not None)

    return ignored


def read_error(error: OSError, path: str) -> ProvwatchError:
    """Return an error that says what is wrong with reading a file, with the right exit code."""
    reason = error.strerror or str(error)
    if error.errno in {errno.EACCES, errno.EPERM}:
        return CredentialsError(
            f"may not be read: {reason}", where=path, hint="Check its permissions", code="unreadable"
        )
    if error.errno == errno.ENOENT:
        return PackagingError("vanished while it was being packaged", where=path, code="vanished")
    return UnreachableError(f"cannot be read: {reason}", where=path, code="unreadable")
