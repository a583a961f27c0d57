"""A small model of Quilt's package index: what of a package's metadata people can search and sort by in the catalog.

The rules, as Quilt documents and shows them: booleans, numbers, strings and non-empty lists of strings become facets;
dicts are gone through; a string that ``datetime.fromisoformat`` accepts (without its ``Z``) is a date; strings over 256
characters, and lists that hold one, are text; everything else vanishes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from catalog.packages import Revision

MAX_KEYWORD_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class Facet:
    """What the index keeps of one value.

    Attributes:
        kind: boolean, double, date, keyword or text.
        values: the values; a list's each by itself.
    """

    kind: str
    values: tuple[Any, ...]

    def matches(self, wanted: str) -> bool:
        """Say whether the filter that the catalog offers for this kind lets it through.

        Keywords and booleans match as a whole, with ``*`` and ``?``; dates when they are as late; texts by a word.
        """
        if self.kind == "date":
            return self.values[0] >= datetime.fromisoformat(wanted)
        if self.kind == "text":
            return any(wanted in value.split() for value in self.values)
        return any(fnmatchcase(str(value), wanted) for value in self.values)


def facets(metadata: Any) -> dict[str, Facet]:
    """Return the facets of a package's metadata, by the JSON Pointers of their keys."""
    return dict(_facets("", metadata)) if isinstance(metadata, Mapping) else {}


def _facets(path: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Facet]]:
    """Yield the facets below a path."""
    for key, value in values.items():
        pointer = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
        if isinstance(value, Mapping):
            yield from _facets(pointer, value)
        elif isinstance(value, bool):
            yield pointer, Facet("boolean", (value,))
        elif isinstance(value, int | float):
            yield pointer, Facet("double", (float(value),))
        elif isinstance(value, str):
            moment = _date(value)
            yield pointer, Facet("date", (moment,)) if moment else _words([value])
        elif isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            yield pointer, _words(value)


def _words(values: list[str]) -> Facet:
    """Return the facet of strings that are no date."""
    short = all(len(value) <= MAX_KEYWORD_CHARACTERS for value in values)
    return Facet("keyword" if short else "text", tuple(values))


def _date(written: str) -> datetime | None:
    """Return the date that a string is taken for."""
    try:
        return datetime.fromisoformat(written.removesuffix("Z"))
    except ValueError:
        return None


def search(revisions: Iterable[Revision], filters: Mapping[str, str]) -> set[Revision]:
    """Return the revisions that pass all filters, each given by a facet's pointer."""
    return {
        revision
        for revision in revisions
        if all(
            pointer in found and found[pointer].matches(wanted)
            for found in [facets(revision.metadata)]
            for pointer, wanted in filters.items()
        )
    }


def columns(revisions: Iterable[Revision], schema: Mapping[str, Any]) -> set[str]:
    """Return the columns of the search table: facets that top-level keys of the workflow's schema name."""
    pointers = {pointer for revision in revisions for pointer in facets(revision.metadata)}
    return {key for key in schema["properties"] if f"/{key}" in pointers}
