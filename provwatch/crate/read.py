"""Find a crate's metadata document in what a person names: a file, a folder, a ``.zip`` or standard input."""

from __future__ import annotations

import os
import stat
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import msgspec

from provwatch.crate.decode import decode_crate
from provwatch.crate.model import Crate
from provwatch.errors import CrateError, CredentialsError, ProvwatchError, UnreachableError, UsageError

CRATE_NAMES = ("ro-crate-metadata.json", "ro-crate-manifest.json", "ro-crate-metadata.jsonld")
CUSTOM_NAME_FOLDERS = ("", "pipeline_info", "provenance")
BESIDE = ("nextflow.config",)
"""What is worth reading beside a crate; in an archive it has to be read with it."""
MAX_CRATE_BYTES = 1 << 30
MAX_BESIDE_BYTES = 1 << 20
SNIFF_BYTES = 1 << 16
ENCRYPTED = 1  # bit of a member's flags
DAMAGED_ARCHIVE: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
)
with suppress(ImportError):  # a Python without lzma reads no such archive
    from lzma import LZMAError

    DAMAGED_ARCHIVE += (LZMAError,)


def read_crate(source: str, *, strict: bool = False) -> Crate:
    """Read the crate that *source* names.

    Args:
        source: path of a metadata document, a folder or a ``.zip``, or ``-`` for standard input.
        strict: see `decode_crate`.

    Raises:
        CrateError: there is no crate, or it cannot be decoded.
        CredentialsError: nobody may read it.
        UnreachableError: the file or folder is not there, or cannot be read.
        UsageError: a kind of source that this command does not read.
    """
    if source == "-":
        data = sys.stdin.buffer.read(MAX_CRATE_BYTES + 1) if sys.stdin is not None else b""
        return decode_crate(_capped(data, "-"), strict=strict)
    if "://" in source and not source.startswith("file://"):
        message = "only local crates can be read here so far"
        raise UsageError(message, where=source, hint="Download it first: aws s3 cp URI - | provwatch convert -")
    path = _local_path(source)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise UnreachableError("no such file or folder", where=source, hint=near(path)) from error
    except OSError as error:
        raise unreadable(error, source) from error
    if stat.S_ISDIR(mode):
        found = find_crates(path)
        if not found:
            message = "this folder holds no RO-Crate"
            hint = f"Looked for {', '.join(CRATE_NAMES)} and other JSON with an RO-Crate descriptor"
            raise CrateError(message, where=source, hint=hint, code="no-crate")
        return read_crate_file(found[0], strict=strict, warnings=crate_warnings(found))
    if stat.S_ISREG(mode) and zipfile.is_zipfile(path):  # a pipe can be read only once
        return _read_zip(path, strict=strict)
    return read_crate_file(path, strict=strict)


def _local_path(source: str) -> Path:
    """Return the path that a file URI or a path with ``~`` names."""
    if source.startswith("file://"):
        return Path(unquote(urlsplit(source).path))
    try:
        return Path(source).expanduser()
    except RuntimeError:  # no such user: then it is a name like any other
        return Path(source)


def near(path: Path) -> str:
    """Return a hint at what was probably meant, or ""."""
    import difflib  # noqa: PLC0415 - only for a path that is wrong

    try:
        close = difflib.get_close_matches(path.name, os.listdir(path.absolute().parent), n=1)
    except (OSError, ValueError):
        return ""
    return f"Did you mean {close[0]!r}?" if close else ""


def read_crate_file(path: Path, *, strict: bool = False, warnings: Iterable[str] = ()) -> Crate:
    """Read a metadata document from a local file; pipes and devices are read once, up to the size cap.

    Args:
        path: the document.
        strict: see `decode_crate`.
        warnings: codes of what was odd about finding it, to be among the crate's own.
    """
    try:
        with path.open("rb") as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode) and os.fstat(file.fileno()).st_size > MAX_CRATE_BYTES:
                raise _too_large(str(path))
            data = _capped(file.read(MAX_CRATE_BYTES + 1), str(path))
    except OSError as error:
        raise unreadable(error, str(path)) from error
    crate = decode_crate(data, where=str(path), folder=path.absolute().parent, filename=path.name, strict=strict)
    return msgspec.structs.replace(crate, warnings=(*crate.warnings, *warnings))


def find_crate(folder: Path) -> Path | None:
    """Return the metadata document of the crate in a folder, or None; see `find_crates`."""
    return next(iter(find_crates(folder)), None)


def find_crates(folder: Path) -> list[Path]:
    """Return the metadata documents that may be the crate of a folder, the best first.

    A standard name is the only one. Without it all other JSON files that say they are a metadata
    descriptor count, the newest first, in name order where they are of one age. The folder itself comes
    before the sub-folders that pipelines keep provenance in.

    Raises:
        CredentialsError: nobody may look into the folder.
    """
    try:
        for below in CUSTOM_NAME_FOLDERS:
            named = (folder / below / name for name in CRATE_NAMES)
            standard = next(filter(Path.is_file, named), None)
            if standard is not None:
                return [standard]
            found = sorted(filter(looks_like_crate, _json_files(folder / below)), key=_newest_first)
            if found:
                return found
    except PermissionError as error:
        raise unreadable(error, str(folder)) from error
    return []


def crate_warnings(found: Sequence[Path]) -> tuple[str, ...]:
    """Return the warnings for what `find_crates` found: ``crates:N`` where there was a choice."""
    return (f"crates:{len(found)}",) if len(found) > 1 else ()


def _newest_first(path: Path) -> tuple[int, str]:
    """Return a sort key that puts the file that was written last first."""
    try:
        return (-path.stat().st_mtime_ns, path.name)
    except OSError:  # gone since it was looked at
        return (0, path.name)


def _json_files(folder: Path) -> Iterator[Path]:
    """Yield the JSON files of one folder in name order."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        path = folder / name
        if name.endswith((".json", ".jsonld")) and path.is_file():
            yield path


def looks_like_crate(path: Path) -> bool:
    """Say, from the start of a file, whether it is an RO-Crate metadata document under another name."""
    try:
        with path.open("rb") as file:
            start = file.read(SNIFF_BYTES)
    except OSError:
        return False
    return b'"@graph"' in start and b"/ro/crate" in start


def _read_zip(path: Path, *, strict: bool) -> Crate:
    """Read the crate in an archive: at its top, or in the one folder that it holds."""
    try:
        with path.open("rb") as file:
            name, data, beside = _unpacked(file, str(path))
    except OSError as error:
        raise unreadable(error, str(path)) from error
    crate = decode_crate(data, where=f"{path}!{name}", filename=PurePosixPath(name).name, strict=strict)
    return msgspec.structs.replace(crate, beside=beside)


def _unpacked(file: BinaryIO, where: str) -> tuple[str, bytes, dict[str, bytes]]:
    """Return name and bytes of the crate in an archive, and what is worth reading beside it."""
    try:
        with zipfile.ZipFile(file) as archive:
            member = _find_member(archive)
            if member is None:
                message = "this archive holds no RO-Crate"
                raise CrateError(message, where=where, hint=f"Looked for {', '.join(CRATE_NAMES)}", code="no-crate")
            inside = f"{where}!{member.filename}"
            if member.file_size > MAX_CRATE_BYTES:
                raise _too_large(inside)
            if member.flag_bits & ENCRYPTED:
                raise CrateError("the archive is encrypted", where=inside, hint="Unpack it with its password first")
            with archive.open(member) as content:
                data = _capped(content.read(MAX_CRATE_BYTES + 1), inside)
            return member.filename, data, _beside(archive, member.filename)
    except DAMAGED_ARCHIVE as error:
        raise CrateError(f"the archive cannot be read: {error}", where=where) from error


def _beside(archive: zipfile.ZipFile, crate: str) -> dict[str, bytes]:
    """Return the beginnings of the files beside a crate that are worth reading; they are extras, and never an error."""
    found: dict[str, bytes] = {}
    for name in BESIDE:
        with suppress(KeyError, *DAMAGED_ARCHIVE), archive.open(str(PurePosixPath(crate).with_name(name))) as content:
            found[name] = content.read(MAX_BESIDE_BYTES)
    return found


def _find_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo | None:
    """Return the shallowest member with a crate's name or, at the top or in a folder there, one that looks like one."""
    members = [member for member in archive.infolist() if not member.is_dir()]
    members.sort(key=lambda member: (_depth(member), member.filename))
    for depth, level in groupby(members, _depth):
        here = list(level)
        for name in CRATE_NAMES:
            for member in here:
                if PurePosixPath(member.filename).name == name:
                    return member
        for member in here:
            if depth <= 1 and member.filename.endswith((".json", ".jsonld")):
                with archive.open(member) as file:
                    start = file.read(SNIFF_BYTES)
                if b'"@graph"' in start and b"/ro/crate" in start:
                    return member
    return None


def _depth(member: zipfile.ZipInfo) -> int:
    """Return how many folders of the archive lie around a member."""
    return member.filename.count("/")


def _capped(data: bytes, where: str) -> bytes:
    """Return *data*, unless it is larger than any crate provwatch reads."""
    if len(data) > MAX_CRATE_BYTES:
        raise _too_large(where)
    return data


def _too_large(where: str) -> CrateError:
    """Return the error for a document over the size cap."""
    return CrateError(f"larger than {MAX_CRATE_BYTES >> 30} GiB, which no crate is expected to be", where=where)


def unreadable(error: OSError, where: str) -> ProvwatchError:
    """Turn an operating system error into one that says what to do; keeps permission apart from absence."""
    reason = error.strerror or str(error)
    if isinstance(error, PermissionError):
        hint = "Check its permissions"
        return CredentialsError(f"may not be read: {reason}", where=where, hint=hint, code="unreadable")
    return UnreachableError(f"cannot be read: {reason}", where=where, hint="Check that it is there and readable")
