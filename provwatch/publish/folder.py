"""A local folder seen as a package: which files, with which hashes, as which entries."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from provwatch.errors import PackagingError
from provwatch.metadata import Sources
from provwatch.metadata.bounds import json_size
from provwatch.metadata.redact import Redactor
from provwatch.publish.entries import Entry, Scan, SourceFile, order
from provwatch.publish.fingerprint import MARK, Item, matcher, volatile_matcher
from provwatch.publish.hash_cache import HashCache
from provwatch.publish.hashing import ChangedError, Digest, Progress, digest_bytes, hash_files
from provwatch.publish.listed import listed_keys
from provwatch.publish.secrets import redacted, redactions, redactor_for
from provwatch.publish.storage import Blob, Placed

CONFIG_NAME = "nextflow.config"
REPORT_SETTING = re.compile(r"(?:prov\.formats\.\w+|dag|report|timeline|trace)\.file")
MAX_ENTRY_METADATA_BYTES = 64 * 1024
NOT_ENTRY_METADATA = frozenset({"@id", "@type", "name", MARK})


@dataclass(frozen=True, slots=True)
class FolderOptions:
    """How a folder becomes a package; see the settings of the same names."""

    files: str = "all"
    keep_config: bool = False
    copy: bool = False
    link: bool = False
    threads: int = 0
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(slots=True)
class Listing:
    """The files that go into a package.

    Attributes:
        files: the files, in manifest order.
        crate_key: logical key of the crate, or "".
        volatile: logical keys of the crate and of the run's own reports, which differ from run to run.
        warnings: codes of what was passed over.
    """

    files: list[SourceFile]
    crate_key: str
    volatile: set[str] = field(default_factory=set)
    warnings: set[str] = field(default_factory=set)


def list_files(folder: Path, scan: Scan, sources: Sources | None, options: FolderOptions) -> Listing:
    """Return the files of a scan that are to be packaged.

    Raises:
        PackagingError: with ``files = listed``, something that the crate lists is not there.
    """
    crate_key = _crate_key(folder, sources)
    listing = Listing(scan.files, crate_key, _reports(scan.files, sources, crate_key) | {crate_key})
    if scan.special:
        listing.warnings.add(f"special-file:{scan.special}")
    if options.files == "listed":
        if sources is None:
            hint = "Give --files all, or let nf-prov write a crate"
            raise PackagingError("there is no crate that lists files", where=str(folder), hint=hint, code="no-crate")
        keys, elsewhere = listed_keys(sources.crate, crate_key, {file.logical_key for file in scan.files})
        listing.files = [file for file in scan.files if file.logical_key in keys]
        if elsewhere:
            listing.warnings.add(f"listed-elsewhere:{elsewhere}")
    listing.files = _chosen(listing.files, options)
    if not options.keep_config:
        resolved = _resolved_configs(listing.files, crate_key)
        if resolved:
            listing.files = [file for file in listing.files if file.logical_key not in resolved]
            listing.warnings.update(f"left-out:{key}" for key in resolved)
    return listing


def _chosen(files: list[SourceFile], options: FolderOptions) -> list[SourceFile]:
    """Return the files that the patterns let through; they match whole logical keys, and ``*`` slashes too."""
    if not options.include and not options.exclude:
        return files
    included, excluded = matcher(options.include or ("*",)), matcher(options.exclude)
    return [file for file in files if included(file.logical_key) and not excluded(file.logical_key)]


def _crate_key(folder: Path, sources: Sources | None) -> str:
    """Return the crate's logical key, or "" where it does not lie in the folder."""
    if sources is None or sources.crate.folder is None:
        return ""
    try:
        below = sources.crate.folder.resolve().relative_to(folder.resolve())
    except ValueError:
        return ""
    return (below / sources.crate.filename).as_posix()


def _reports(files: Iterable[SourceFile], sources: Sources | None, crate_key: str) -> set[str]:
    """Return the keys of the reports that Nextflow and nf-prov wrote, by the names the configuration gives them.

    The names are relative to the launch folder; the crate's own name among them tells where the outdir is.
    """
    crate_name = sources.config.get("prov.formats.wrroc.file", "") if sources else ""
    if sources is None or not crate_key or not crate_name.endswith(crate_key):
        return set()
    outdir = crate_name.removesuffix(crate_key)
    named = {value for name, value in sources.config.items() if REPORT_SETTING.fullmatch(name)}
    return {file.logical_key for file in files if f"{outdir}{file.logical_key}" in named}


def _resolved_configs(files: Iterable[SourceFile], crate_key: str) -> set[str]:
    """Return the keys of the configuration that nf-prov resolved: beside the crate, else at the top."""
    beside = f"{crate_key.rpartition('/')[0]}/{CONFIG_NAME}".lstrip("/")
    return {file.logical_key for file in files if file.logical_key in {beside, CONFIG_NAME}}


@dataclass(frozen=True, slots=True)
class CleanCopy:
    """What a redacted copy is; its bytes are made again when they are stored."""

    size: int
    digest: Digest


@dataclass(slots=True)
class Content:
    """The content of a listing.

    Attributes:
        listing: the files.
        digests: each file's hashes, by logical key.
        clean: the redacted copies of the files that hold secrets, by logical key.
        read_ns: when reading began, nanoseconds since 1970.
        redactor: knows the secrets, and makes the copies.
        generated: files that provwatch adds, by logical key.
    """

    listing: Listing
    digests: dict[str, Digest]
    clean: dict[str, CleanCopy]
    read_ns: int = 0
    redactor: Redactor = field(default_factory=Redactor)
    generated: Mapping[str, bytes] = field(default_factory=dict)

    def items(self) -> Iterator[Item]:
        """Yield what the fingerprint is made of."""
        for file in self.listing.files:
            yield file.logical_key, file.size, self.digests[file.logical_key].quilt


def split_known(files: Iterable[SourceFile], cache: HashCache) -> tuple[dict[str, Digest], list[SourceFile]]:
    """Return the hashes that are known already, and the files that have to be read."""
    known: dict[str, Digest] = {}
    unread: list[SourceFile] = []
    for file, digest in cache.known(files):
        if digest is None:
            unread.append(file)
        else:
            known[file.logical_key] = digest
    return known, unread


def read_content(
    listing: Listing, sources: Sources | None, cache: HashCache, options: FolderOptions, progress: Progress
) -> Content:
    """Hash what is not known yet, and find secrets.

    Raises:
        ChangedError: a file changed meanwhile.
        ProvwatchError: a file cannot be read.
    """
    read_ns = time.time_ns()
    digests, unread = split_known(listing.files, cache)
    for file, digest in hash_files(unread, threads=options.threads, progress=progress):
        digests[file.logical_key] = digest
        cache.keep(file, digest, read_ns=read_ns)
    cache.save()
    redactor = redactor_for(sources, listing.files, cache)
    listing.warnings.update(f"secret-in-name:{name}" for name in _secret_names(listing.files, redactor))
    clean: dict[str, CleanCopy] = {}
    for file, redaction in redactions(listing.files, redactor, listing.crate_key, cache):
        if redaction.clean is None:
            listing.warnings.add(f"may-hold-secret:{file.logical_key}")
        else:
            digests[file.logical_key] = digest_bytes(redaction.original)
            clean[file.logical_key] = CleanCopy(len(redaction.clean), digest_bytes(redaction.clean))
    cache.save()
    return Content(listing, digests, clean, read_ns, redactor)


def _secret_names(files: Iterable[SourceFile], redactor: Redactor) -> Iterator[str]:
    """Yield the keys that hold a secret's value, without it; they are packaged all the same, as names are identity."""
    for file in files:
        if any(literal.spelling in file.logical_key for literal in redactor.peculiar):
            yield redactor.text(file.logical_key)


def make_blobs(content: Content) -> list[Blob]:
    """Return the bytes that the package's entries are to have, in the listing's order, generated ones after it."""
    blobs = []
    for file in content.listing.files:
        key = file.logical_key
        clean, last = content.clean.get(key), key == content.listing.crate_key
        if clean is None:
            blobs.append(Blob(key, file.size, content.digests[key], file=file, last=last))
        else:
            make = partial(_clean_bytes, file, clean, content)
            blobs.append(Blob(key, clean.size, clean.digest, make=make, last=last))
    for key, data in content.generated.items():
        blobs.append(Blob(key, len(data), digest_bytes(data), make=partial(bytes, data)))
    return blobs


def make_entries(
    content: Content, sources: Sources | None, placed: Mapping[str, Placed], cache: HashCache
) -> list[Entry]:
    """Return the package's entries in manifest order, when all their bytes are where they are to lie.

    Args:
        content: the folder's content.
        sources: the crate, which describes the files.
        placed: where the bytes of each lie.
        cache: learns the hashes that placing brought.
    """
    describe = _EntryMetadata(sources, content.listing, content.redactor)
    entries = []
    for file in content.listing.files:
        key = file.logical_key
        digest, clean, place = content.digests[key], content.clean.get(key), placed[key]
        meta = describe(key)
        if clean is not None:
            meta[MARK] = {**meta.get(MARK, {}), **_redacted_mark(file, digest)}
            content.listing.warnings.add(f"redacted:{key}")
        elif place.digest.sha256 != digest.sha256:  # a large file's name in the registry: so it is not copied again
            cache.keep(file, place.digest, read_ns=content.read_ns)
        size = file.size if clean is None else clean.size
        entries.append(_entry(key, size, meta, place.uri, place.digest.quilt))
    for key, data in content.generated.items():
        place = placed[key]
        entries.append(_entry(key, len(data), {MARK: {"generated": True}}, place.uri, place.digest.quilt))
    cache.save()
    return sorted(entries, key=lambda entry: order(entry.logical_key)) if content.generated else entries


def expected_entries(listing: Listing, sources: Sources | None, generated: Mapping[str, bytes]) -> list[Entry]:
    """Return the package's entries in manifest order, as far as they are known before anything is read."""
    describe = _EntryMetadata(sources, listing, sources.redactor if sources else Redactor())
    entries = [_entry(file.logical_key, file.size, describe(file.logical_key)) for file in listing.files]
    entries += [_entry(key, len(data), {MARK: {"generated": True}}) for key, data in generated.items()]
    return sorted(entries, key=lambda entry: order(entry.logical_key))


def _entry(key: str, size: int, meta: dict[str, Any], place: str = "", quilt: str = "") -> Entry:
    """Return an entry with metadata of its own."""
    return Entry(key, place, size, quilt, {"user_meta": meta} if meta else {})


def _clean_bytes(file: SourceFile, clean: CleanCopy, content: Content) -> bytes:
    """Make a file's redacted copy again.

    Raises:
        ChangedError: the file is not what it was when it was searched.
    """
    again = redacted(file, content.redactor, content.listing.crate_key)
    if again is None or again.clean is None or digest_bytes(again.clean) != clean.digest:
        raise ChangedError("changed while it was being read", where=file.path, hint="Is the run still writing?")
    return again.clean


def _redacted_mark(file: SourceFile, digest: Digest) -> dict[str, Any]:
    """Return what an entry remembers of the file that it is a redacted copy of."""
    return {
        "redacted": True,
        "original_sha256": digest.sha256,
        "original_hash": digest.quilt,
        "original_size": file.size,
    }


class _EntryMetadata:
    """Finds what the crate says of a file."""

    def __init__(self, sources: Sources | None, listing: Listing, redactor: Redactor) -> None:
        """Look in the crate that the metadata comes from."""
        self._sources = sources
        self._redactor = redactor
        self._listing = listing
        self._prefix = f"{listing.crate_key.rpartition('/')[0]}/".lstrip("/")
        self._is_known_volatile = volatile_matcher()

    def __call__(self, key: str) -> dict[str, Any]:
        """Return a file's metadata: its properties in the crate, redacted, small enough for a manifest."""
        if self._sources is None:
            return {}
        found: dict[str, Any] = {}
        properties = self._properties(key)
        if properties:
            kept = {name: value for name, value in properties.items() if name not in NOT_ENTRY_METADATA}
            found = self._redactor.tree(kept)
            if json_size(found) > MAX_ENTRY_METADATA_BYTES:
                self._listing.warnings.add("truncated:entry-metadata")
                found = {}
        if key in self._listing.volatile and not self._is_known_volatile(key):
            found[MARK] = {"volatile": True}
        return found

    def _properties(self, key: str) -> dict[str, Any]:
        """Return the properties of the File with this logical key, however its ``@id`` is spelled."""
        if self._sources is None or not key.startswith(self._prefix):
            return {}
        crate, relative = self._sources.crate, key.removeprefix(self._prefix)
        for spelling in (relative, f"./{relative}", quote(relative), f"./{quote(relative)}"):
            entity = crate.get(spelling)
            if entity is not None and entity.is_a("File", "MediaObject"):
                return crate.properties(spelling)
        return {}
