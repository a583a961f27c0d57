"""Keep secrets out of packages: decide which files are searched for what, and make their redacted copies.

Provenance files (crate, parameters, configuration, traces, reports) are cleaned of everything that looks
like a secret, and give away the values of secrets. In all other files only those values are looked for,
and only the ones too peculiar to be there by chance. The rules are in `provwatch.metadata.redact`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from provwatch.metadata import Sources
from provwatch.metadata.redact import Redactor, learn
from provwatch.publish.entries import SourceFile, read_error
from provwatch.publish.hash_cache import HashCache

PROVENANCE_FOLDERS = frozenset({"pipeline_info", ".lineage", ".nextflow"})
_SETTINGS_NAMES = ("*.config", "*params*.json", "*params*.y*ml")
_PROVENANCE_NAMES = (
    *_SETTINGS_NAMES,
    "ro-crate-*.json*",
    "*.wrroc.json",
    "bco.json",
    "*.gexf",
    "trace*.txt",
    "*_trace*.txt",
    "execution_*",
    "report*.html",
    "timeline*.html",
    "dag*",
    ".nextflow.log*",
    ".command.*",
)
_is_provenance_name = re.compile("|".join(map(fnmatch.translate, _PROVENANCE_NAMES))).match
_is_settings_name = re.compile("|".join(map(fnmatch.translate, _SETTINGS_NAMES))).match
MAX_COPY_BYTES = 1 << 30
MAX_LEARN_BYTES = 64 << 20
SNIFF_BYTES = 8_192
BLOCK_BYTES = 1 << 20
YAML_SUFFIXES = frozenset({".yml", ".yaml"})


@dataclass(frozen=True, slots=True)
class Redaction:
    """A file's content as it was and as it may be stored; None where it cannot be changed."""

    original: bytes
    clean: bytes | None


def is_provenance(logical_key: str) -> bool:
    """Say whether a file tells how results were made rather than being one."""
    path = PurePosixPath(logical_key)
    return bool(PROVENANCE_FOLDERS.intersection(path.parts[:-1])) or _is_provenance_name(path.name) is not None


def redactor_for(sources: Sources | None, files: Iterable[SourceFile], cache: HashCache | None = None) -> Redactor:
    """Return a redactor that knows the secrets of the crate, its configuration and all provenance files.

    A file that was found clean with the rules of today has none to give away, and is not read again.
    """
    redactor = sources.redactor if sources else Redactor()
    literals = set(redactor.all_literals)
    rules = redactor.version.partition("/")[0]
    provenance = [file for file in files if is_provenance(file.logical_key)]
    searched = cache.searched(provenance) if cache is not None else {}
    for file in provenance:
        if searched.get(file.target, "").partition("/")[0] != rules:
            literals |= _learnt(file)
    return Redactor(literals)


def _learnt(file: SourceFile) -> set[str]:
    """Return the secret values that a provenance file gives away; of a very long one, its beginning does."""
    data = _read(file, MAX_LEARN_BYTES)
    if b"\0" in data[:SNIFF_BYTES]:
        return set()
    path = PurePosixPath(file.logical_key)
    return learn(data, settings=_is_settings_name(path.name) is not None or path.suffix in YAML_SUFFIXES)


def redactions(
    files: Iterable[SourceFile], redactor: Redactor, crate_key: str, cache: HashCache | None = None
) -> Iterator[tuple[SourceFile, Redaction]]:
    """Yield the files that hold secrets, with clean copies; one is in memory at a time.

    Args:
        files: the files that would be packaged.
        redactor: knows the secret values.
        crate_key: the logical key of the crate among them, or "".
        cache: knows which files were searched before, and learns which are clean.
    """
    files = list(files)
    searched = cache.searched(files) if cache is not None else {}
    for file in files:
        if searched.get(file.target) == redactor.version:
            continue
        redaction = redacted(file, redactor, crate_key)
        if redaction is not None:
            yield file, redaction
        elif cache is not None and _is_looked_into(file, redactor, crate_key):
            cache.mark_searched(file, redactor.version)


def redacted(file: SourceFile, redactor: Redactor, crate_key: str) -> Redaction | None:
    """Return a file's content with and without secrets, or None where it holds none."""
    if not _is_looked_into(file, redactor, crate_key):
        return None
    whole = _is_all_provenance(file, crate_key) and file.size <= MAX_COPY_BYTES
    if not whole and not _holds(file, redactor):
        return None
    original = _read(file, MAX_COPY_BYTES) if file.size <= MAX_COPY_BYTES else b""
    if file.size > MAX_COPY_BYTES or b"\0" in original[:SNIFF_BYTES]:
        return Redaction(b"", None) if not whole or _holds(file, redactor) else None
    clean = redactor.bytes(original) if whole else redactor.peculiar_bytes(original)
    return Redaction(original, clean) if clean != original else None


def _is_all_provenance(file: SourceFile, crate_key: str) -> bool:
    """Say whether a file is the crate, or another that tells how results were made."""
    return file.logical_key == crate_key or is_provenance(file.logical_key)


def _is_looked_into(file: SourceFile, redactor: Redactor, crate_key: str) -> bool:
    """Say whether there is anything to look for in a file."""
    return bool(redactor.peculiar) or _is_all_provenance(file, crate_key)


def _holds(file: SourceFile, redactor: Redactor) -> bool:
    """Say whether a file of any size or kind holds a secret's value, reading it block by block."""
    overlap = max((len(literal.encoded) for literal in redactor.peculiar), default=0) + 8
    before = b""
    try:
        with Path(file.path).open("rb") as opened:
            while block := opened.read(BLOCK_BYTES):
                window = before + block
                if any(literal.is_in(window) for literal in redactor.peculiar):
                    return True
                before = window[-overlap:]
    except OSError as error:
        raise read_error(error, file.path) from error
    return False


def _read(file: SourceFile, most: int) -> bytes:
    """Return a file's bytes, up to a number of them."""
    try:
        with Path(file.path).open("rb") as opened:
            return opened.read(most)
    except OSError as error:
        raise read_error(error, file.path) from error
