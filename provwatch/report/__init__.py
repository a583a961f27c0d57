"""Files that make a package worth opening: a report of the run, what the catalog shows first, the whole metadata.

Pure functions of the metadata, the crate and the list of files: no clock, and the same bytes every time.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from provwatch.graph import draw
from provwatch.metadata import Metadata, Sources, user_given
from provwatch.report.files import PackagedFile
from provwatch.report.page import Page
from provwatch.report.summarize import summarize

__all__ = ["METADATA", "README", "REPORT", "SUMMARIZE", "PackagedFile", "generate"]

REPORT = "provwatch/report.md"
METADATA = "provwatch/metadata.json"
README = "README.md"
SUMMARIZE = "quilt_summarize.json"


def generate(
    metadata: Metadata | None,
    values: Mapping[str, Any],
    sources: Sources | None,
    files: Sequence[PackagedFile],
    *,
    title: str,
    registry: str = "",
) -> dict[str, bytes]:
    """Return the files that provwatch adds to a package, by logical key.

    Args:
        metadata: what was derived from the crate, or None where there is none.
        values: the package's metadata, the user's keys included.
        sources: the crate, or None.
        files: the package's own files, in manifest order.
        title: name of the package.
        registry: ``s3://bucket`` that it is read from, "" for a local one.
    """
    picture = draw(sources.crate, sources.view, "mermaid", clean=sources.redactor.text) if sources else ""
    page = Page(values, files, picture, title, registry)
    present = {file.logical_key for file in files}
    folders = {folder for key in present for folder in _upper_folders(key)}
    readme = _has_room(README, present, folders)
    report = REPORT if REPORT in present or _has_room(REPORT, present, folders) else ""
    made = {REPORT: page.written(above="../"), METADATA: _json(_full(metadata, values))}
    made[README] = page.written(above="")
    made[SUMMARIZE] = _json(summarize(report, files, shown_already=readme))
    return {key: data for key, data in made.items() if _has_room(key, present, folders)}


def _upper_folders(key: str) -> Iterator[str]:
    """Yield the two topmost folders of a key: what is added lies no deeper."""
    first, below, rest = key.partition("/")
    if below:
        yield first
        second, deeper, _ = rest.partition("/")
        if deeper:
            yield f"{first}/{second}"


def _has_room(key: str, present: Collection[str], folders: Collection[str]) -> bool:
    """Say whether a file can be added: a package holds no file below another, nor one in place of a folder."""
    above = {str(folder) for folder in PurePosixPath(key).parents}
    return key not in present and key not in folders and above.isdisjoint(present)


def _full(metadata: Metadata | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata with nothing cut, the user's keys included."""
    return {**metadata.full, **user_given(values)} if metadata else dict(values)


def _json(value: Any) -> bytes:
    """Return JSON as people read it, the same every time."""
    return (json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n").encode()
