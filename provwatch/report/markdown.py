"""Markdown from hostile text: what comes from a crate or a file name stays text, whatever renders it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote, urlsplit

from provwatch.console import plain

MAX_TEXT = 300
MAX_CODE = 1_000
_SPECIAL = re.compile(r"[\\`*\[\]|~!$^{}]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|\.(?=[^\W\d])|/(?=/)")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_AUTOLINK = re.compile(r"(?i)(https?|ftp|mailto|xmpp)(:)|(www)(\.)|(@)")


def text(value: object, *, most: int = MAX_TEXT) -> str:
    """Return a value as text on one line, that no Markdown or HTML is read from."""
    cut = _cut(plain(value), most)
    safe = "".join(_ENTITIES.get(character, character) for character in cut)
    safe = _SPECIAL.sub(lambda found: f"\\{found.group()}", safe)
    return _AUTOLINK.sub(lambda found: re.sub(r"[:.@]$", lambda end: f"&#{ord(end.group())};", found.group()), safe)


def code(value: object) -> str:
    """Return a value as code on one line; one that code cannot hold in a table is text."""
    cut = _cut(plain(value), MAX_CODE)
    if "`" in cut or "|" in cut or "\\" in cut or not cut.strip():
        return text(cut, most=MAX_CODE)
    return f"`{cut}`"


def _cut(value: str, most: int) -> str:
    """Return the beginning of a long text, saying how much is left out."""
    return value if len(value) <= most else f"{value[:most]}... ({len(value) - most:,} more characters)"


def link(words: str, key: str, *, above: str) -> str:
    """Return a link to a file of the package; *above* leads from the page to the package's top.

    A key that a browser would resolve to another file is code instead.
    """
    if any(part in {"", ".", ".."} for part in key.split("/")):
        return code(words)
    return f"[{text(words)}]({above}{quote(key)})"


def web_link(words: object, address: object) -> str:
    """Return a link to a web page; what is no web address is text."""
    try:
        parts = urlsplit(str(address))
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.username
    except ValueError:
        is_web = False
    return f"[{text(words)}]({quote(str(address), safe=':/?#=&%+,;~@')})" if is_web else text(words)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table's lines; none where it has no rows. The cells are Markdown already."""
    body = [f"| {' | '.join(row)} |" for row in rows]
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *body, ""] if body else []


def folded(items: Sequence[str], most: int) -> list[str]:
    """Return the first items, and how many more there are."""
    more = len(items) - most
    return [*items[:most], f"and {more:,} more"] if more > 0 else list(items)


def fence(language: str, source: str) -> list[str]:
    """Return a block of code, fenced with more backticks than it holds."""
    longest = max((len(run) for run in re.findall(r"`+", source)), default=0)
    marks = "`" * max(3, longest + 1)
    return [f"{marks}{language}", source.rstrip("\n"), marks, ""]
