"""What a word on the command line stands for: a folder, or a revision of a package in a registry."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from provwatch.config import Settings
from provwatch.console import Progress
from provwatch.description import PACKAGE_NAME, expanded, local_path, normalise_registry
from provwatch.errors import DescriptionError, UsageError
from provwatch.look import Look, folder_options, take_look
from provwatch.publish.differences import Bytes, Side, side_of
from provwatch.publish.folder import FolderOptions, split_known
from provwatch.publish.hash_cache import HashCache
from provwatch.publish.hashing import hash_files
from provwatch.publish.quilt import default_local_registry
from provwatch.publish.registries import open_registry
from provwatch.publish.registry import LATEST
from provwatch.publish.revisions import Found, find_revision
from provwatch.request import Request

QUILT_URI = "quilt+s3://"
_LOOKS_LIKE_A_FOLDER = re.compile(r"[./~]|file://")
HINT = "Use NAMESPACE/NAME, NAMESPACE/NAME@TOPHASH or quilt+s3://BUCKET#package=NAMESPACE/NAME@TOPHASH"


@dataclass(frozen=True, slots=True)
class PackageWord:
    """A revision of a package as a person named it.

    Attributes:
        registry: URI of the registry.
        package: name of the package.
        wanted: its top hash or the beginning of it; "" for the latest revision.
    """

    registry: str
    package: str
    wanted: str


def folder_in(word: str) -> Path | None:
    """Return the folder that a word names, or None where it names a package.

    What could be either is the folder where there is one; ``NAMESPACE/NAME@latest`` is always a package.

    Raises:
        UsageError: it is neither.
    """
    if not word:
        raise UsageError("the argument is empty", hint="Is a variable not set? '.' is the current folder")
    if word.startswith(QUILT_URI):
        return None
    path = local_path(word) if word.startswith("file://") else expanded(word)
    if path.is_dir():
        return path
    if PACKAGE_NAME.fullmatch(word.partition("@")[0]) and not _LOOKS_LIKE_A_FOLDER.match(word):
        return None
    raise UsageError("this is neither a folder nor a package", where=word, hint=f"For a package: {HINT}")


def parse_package(word: str, settings: Settings) -> PackageWord:
    """Return the revision that a word names.

    Args:
        word: ``NS/NAME``, ``NS/NAME@TOPHASH`` or a ``quilt+s3://`` URI, which names its own registry.
        settings: the settings in force.

    Raises:
        UsageError: it names none.
    """
    if word.startswith(QUILT_URI):
        return _parse_uri(word)
    package, _, wanted = word.partition("@")
    registry = normalise_registry(settings["registry"] or default_local_registry())
    return PackageWord(registry, _checked(package, word), wanted)


def _parse_uri(uri: str) -> PackageWord:
    """Return the revision that a ``quilt+s3://bucket#package=ns/name@tophash`` URI names."""
    try:
        parts = urlsplit(uri)
        fields = parse_qs(parts.fragment, strict_parsing=True)
        registry = normalise_registry(f"s3://{parts.netloc}")
        named = fields.pop("package")[0]
    except (ValueError, KeyError, DescriptionError) as error:
        raise UsageError("this Quilt URI names no package", where=uri, hint=HINT) from error
    if fields or parts.path.strip("/") or parts.query:
        hint = "Leave out what follows the package, such as &path="
        raise UsageError("only whole packages can be looked at", where=uri, hint=hint)
    package, _, wanted = named.partition("@")
    if not wanted and package.endswith(f":{LATEST}"):
        package = package.removesuffix(f":{LATEST}")
    return PackageWord(registry, _checked(package, uri), wanted)


def _checked(package: str, word: str) -> str:
    """Return a package name that can be one."""
    if PACKAGE_NAME.fullmatch(package) is None:
        raise UsageError(f"{package!r} is no package name", where=word if word != package else "", hint=HINT)
    return package


def find_package(word: PackageWord, settings: Settings) -> Found:
    """Return a revision from its registry.

    Raises:
        ProvwatchError: it cannot be read, or is not there.
    """
    with open_registry(word.registry, word.package, settings, FolderOptions()) as registry:
        return find_revision(registry, word.package, word.wanted)


def sides(a: str, b: str | None, settings: Settings, cache: HashCache, progress: Progress) -> tuple[Side, Side]:
    """Return the two packages that words name, to be compared.

    Args:
        a: a folder or a package.
        b: the same; None for the package that the folder *a* makes, which then is the first of the two.
        settings: the settings in force.
        cache: knows the hashes of files that have not changed.
        progress: shows what is read.

    Raises:
        ProvwatchError: one of them cannot be read, or is not there.
    """
    first, second = folder_in(a), folder_in(b) if b is not None else None
    if b is not None:
        originals = first is not None or second is not None
        words = [None if first else parse_package(a, settings), None if second else parse_package(b, settings)]
        one, other = (_side_of_package(word, settings, originals=originals) if word else None for word in words)
        return (
            one or _side_of_folder(_look_at(first, settings), settings, cache, progress),
            other or _side_of_folder(_look_at(second, settings), settings, cache, progress),
        )
    if first is None:
        hint = f"Name two: provwatch diff {a.partition('@')[0]}@1a2b3c {a}"
        raise UsageError("a package alone differs from nothing", hint=hint)
    look = _look_at(first, settings)
    return _side_of_head(look, settings), _side_of_folder(look, settings, cache, progress)


def _look_at(folder: Path | None, settings: Settings) -> Look:
    """Look at a folder as the package that it would be."""
    return take_look(Request(folder=folder or Path()), settings, lambda: None)


def _side_of_package(word: PackageWord, settings: Settings, *, originals: bool) -> Side:
    """Return a revision as a side; see `differences.side_of`."""
    head = find_package(word, settings).head
    return side_of(head, f"{word.package}@{head.top_hash}", originals=originals)


def _side_of_head(look: Look, settings: Settings) -> Side:
    """Return the package that a folder makes as it is now: nothing, where there is none yet."""
    package = look.description.package_name
    with open_registry(look.description.registry, package, settings, FolderOptions()) as registry:
        head = registry.head(package)
    if head is None:
        return Side(package, {}, {})
    return side_of(head, f"{package}@{head.top_hash}", originals=True)


def _side_of_folder(look: Look, settings: Settings, cache: HashCache, progress: Progress) -> Side:
    """Return a folder as the package that it would be, hashing what is not known yet."""
    read_ns = time.time_ns()
    files = look.listing.files
    digests, unread = split_known(files, cache)
    with progress.showing("Hashing", sum(file.size for file in unread)) as bar:
        for file, digest in hash_files(unread, threads=folder_options(settings).threads, progress=bar.advance):
            digests[file.logical_key] = digest
            cache.keep(file, digest, read_ns=read_ns)
    entries = {file.logical_key: Bytes(file.size, digests[file.logical_key].quilt) for file in files}
    header = {"message": look.description.commit_message}
    return Side(look.description.source_prefix, entries, look.metadata, header)
