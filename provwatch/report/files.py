"""What a report says of a package's files: which are worth a look, and how the rest is counted."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PIPELINE_INFO = "pipeline_info"
TABLES = frozenset({".csv", ".tsv"})
IMAGES = frozenset({".png", ".jpg", ".jpeg", ".svg", ".webp"})
COMPRESSED = frozenset({".gz", ".bz2", ".xz", ".zst"})


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A file of the package: its path in it, and its bytes."""

    logical_key: str
    size: int

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.logical_key.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The first folder of its path, "" at the top."""
        return self.logical_key.partition("/")[0] if "/" in self.logical_key else ""

    @property
    def kind(self) -> str:
        """What it is, as far as its name tells: its suffix in small letters, without compression."""
        stem, dot, suffix = self.name.lower().rpartition(".")
        if not stem.strip("."):
            return ""
        if f".{suffix}" in COMPRESSED and "." in stem.lstrip("."):
            return f".{stem.rpartition('.')[2]}"
        return f"{dot}{suffix}"


@dataclass(frozen=True, slots=True)
class Group:
    """Files of one folder and kind."""

    folder: str
    kind: str
    count: int
    size: int


def is_multiqc(file: PackagedFile) -> bool:
    """Say whether a file is a MultiQC report."""
    return file.kind == ".html" and "multiqc" in file.name.lower()


def is_report(file: PackagedFile) -> bool:
    """Say whether a file is another report that people read."""
    return file.kind == ".html" and not is_multiqc(file)


def is_table(file: PackagedFile) -> bool:
    """Say whether a file is a table that a browser can show."""
    return file.kind in TABLES and file.name.lower().endswith(file.kind)


def is_image(file: PackagedFile) -> bool:
    """Say whether a file is an image."""
    return file.kind in IMAGES


def nearest(files: Iterable[PackagedFile], most: int) -> list[PackagedFile]:
    """Return the files that lie nearest to the top, results before what tells of the run itself."""
    return heapq.nsmallest(most, files, key=_distance)


def _distance(file: PackagedFile) -> tuple[bool, int, str]:
    """Return what nearness is judged by."""
    parts = file.logical_key.split("/")
    return PIPELINE_INFO in parts, len(parts), file.logical_key


def grouped(files: Sequence[PackagedFile]) -> list[Group]:
    """Return the files counted by top folder and kind, in order."""
    counts: dict[tuple[str, str], list[int]] = {}
    for file in files:
        counts.setdefault((file.folder, file.kind), []).append(file.size)
    return [Group(folder, kind, len(sizes), sum(sizes)) for (folder, kind), sizes in sorted(counts.items())]
