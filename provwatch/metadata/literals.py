"""The literal values of secrets: which are worth searching for, how they may be written, and how they are found."""

from __future__ import annotations

import html
import json
import re
import urllib.parse
from collections.abc import Iterable
from functools import cached_property

from provwatch.metadata.secret_names import REDACTED
from provwatch.metadata.secret_text import as_bytes, as_text

MIN_LITERAL_CHARACTERS = 6
MIN_PECULIAR_CHARACTERS = 8
MIN_UNMISTAKABLE_CHARACTERS = 12
_ORDINARY = frozenset({"true", "false", "null", "none", "default", "public", "results", "nextflow", "docker"})
_START = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf])|(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4}))"


class Literal:
    """One spelling of a secret value, and how to find it."""

    def __init__(self, spelling: str, *, anywhere: bool) -> None:
        """Look for the spelling anywhere, or only where it is no part of a longer word or number."""
        self.spelling = spelling
        self.encoded = as_bytes(spelling)
        self._anywhere = anywhere

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """The pattern of the spelling as a word of its own."""
        start = _START if self.spelling[0].isalnum() else ""
        end = "(?![A-Za-z0-9])" if self.spelling[-1].isalnum() else ""
        return re.compile(start + re.escape(self.spelling) + end)

    def without(self, text: str) -> str:
        """Return the text without this literal."""
        if self.spelling not in text:
            return text
        return text.replace(self.spelling, REDACTED) if self._anywhere else self._pattern.sub(REDACTED, text)

    def is_in(self, data: bytes) -> bool:
        """Say whether some bytes hold this literal."""
        return self.encoded in data and (self._anywhere or self._pattern.search(as_text(data)) is not None)


def is_searchable(literal: str) -> bool:
    """Say whether a value is special enough to be searched for in other files."""
    return len(literal) >= MIN_LITERAL_CHARACTERS and literal.lower() not in _ORDINARY


def _is_mixed(literal: str) -> bool:
    """Say whether a value has letters and other characters."""
    return any(char.isalpha() for char in literal) and any(not char.isalpha() for char in literal)


def is_peculiar(literal: str) -> bool:
    """Say whether a value is so special that data holds it only if it was put there."""
    long_word = literal.isalpha() and len(literal) >= MIN_UNMISTAKABLE_CHARACTERS
    return (long_word or (_is_mixed(literal) and len(literal) >= MIN_PECULIAR_CHARACTERS)) and is_searchable(literal)


def all_spellings(literals: Iterable[str]) -> list[Literal]:
    """Return every spelling of some values, the longest first."""
    spellings = {
        spelling: _is_mixed(literal) and len(literal) >= MIN_UNMISTAKABLE_CHARACTERS
        for literal in sorted(literals)
        for spelling in _spellings(literal)
    }
    ordered = sorted(spellings, key=lambda spelling: (-len(spelling), spelling))
    return [Literal(spelling, anywhere=spellings[spelling]) for spelling in ordered]


def _spellings(literal: str) -> set[str]:
    """Return how JSON, HTML, URLs, Groovy and shells may write a value."""
    literal = literal.encode("utf-8", "replace" if not literal.isascii() else "strict").decode()
    return {
        literal,
        json.dumps(literal)[1:-1],
        json.dumps(literal, ensure_ascii=False)[1:-1],
        html.escape(literal),
        urllib.parse.quote(literal, safe=""),
        urllib.parse.quote_plus(literal),
        literal.replace("\\", "\\\\").replace("'", "\\'"),
        literal.replace("'", "'\\''"),
    }
