"""Find secrets in text: by their look, and as values that are assigned to secret-looking names.

Bytes are looked at as text too (`as_text`), so that there is one set of rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from provwatch.metadata.secret_names import (
    HINTS,
    REDACTED,
    is_number,
    is_secret_name,
    is_secret_number,
    is_secret_value,
)

RULES_VERSION = "1"
"""To be raised with every change of these rules or those for names: files are searched again then."""
_LOOKS: Final[tuple[tuple[tuple[str, ...], str, str], ...]] = (
    # What a text must hold for the pattern to be tried at all; the pattern; what comes in its place.
    (("AKIA", "ASIA", "AROA", "AIDA"), r"\b(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}\b", REDACTED),
    (("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"\bgh[pousr]_[A-Za-z0-9]{20,}\b", REDACTED),
    (("github_pat_",), r"\bgithub_pat_[A-Za-z0-9_]{20,}\b", REDACTED),
    (("glpat-",), r"\bglpat-[A-Za-z0-9_\-]{16,}", REDACTED),
    (("xox",), r"\bxox[abprs]-[A-Za-z0-9\-]{10,}", REDACTED),
    (("sk-",), r"\bsk-[A-Za-z0-9_\-]{20,}", REDACTED),
    (("eyJ",), r"\beyJ[A-Za-z0-9_\-]{16,}(?:\.[A-Za-z0-9_\-]+){0,2}", REDACTED),
    (("hooks.slack.com",), r"(hooks\.slack\.com/(?:services|workflows|triggers)/)[\w/%.\-]+", rf"\g<1>{REDACTED}"),
    ((".webhook.office.com/",), r"(\.webhook\.office\.com/)[\w/%@.\-]+", rf"\g<1>{REDACTED}"),
    (
        ("PRIVATE KEY-----",),
        r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:(?:[^-]|-(?!----)){0,20000}-----END [A-Z ]{0,40}PRIVATE KEY-----)?",
        REDACTED,
    ),
    (("://",), r"(?<=://)[^/\s:@'\"<>?#]{0,256}:[^/\s'\"<>?#]{1,256}(?=@)", REDACTED),
    (
        ("Signature=", "Credential=", "Security-Token=", "sig=", "access_token="),
        (
            r"((?:X-Amz-(?:Signature|Credential|Security-Token)|Signature|\bsig|X-Goog-Signature|access_token)=)"
            r"(?!<redacted>)[^&\s'\"<>\\]+"
        ),
        rf"\g<1>{REDACTED}",
    ),
    (
        ("uthorization", "UTHORIZATION"),
        (
            r"((?i:\b(?:proxy-)?authorization)\\?['\"]?[ \t]*[:=][ \t]*\\?['\"]?)(?![\s<{\[\"'\\])"
            r"(?:(?i:basic|bearer|token|digest|apikey|aws4-hmac-sha256)[ \t]+)?(?!<redacted>)[^\s'\"\\<>]+"
        ),
        rf"\g<1>{REDACTED}",
    ),
    (
        ("earer ", "EARER "),
        r"((?i:\bbearer)[ \t]+)(?:(?=[A-Za-z._~+/\-]{0,200}\d)[\w.~+/\-]{6,}|[\w.~+/\-]{16,})=*",
        rf"\g<1>{REDACTED}",
    ),
)
_NAMED = rf"(?<![\w.\-])(?=[\w.\-]*(?:{'|'.join(HINTS)}))"
_QUOTED = r"""\"(?:[^\"\\\n]|\\.)*+\"|'(?:[^'\\\n]|\\.)*+'"""
_PLAIN = r"""(?:[^\s,;&}\])\[{'\"<>\\]|\\(?![nrtu'\"\\]))"""
_VALUE = rf"(?P<value>{_QUOTED}|\[[^\[\]\n]*+\]|\{{[^{{}}\n]*+\}}|{_PLAIN}++)"
_ASSIGNED = (
    rf"(?i)(?P<open>['\"]?){_NAMED}(?P<name>[\w.\-]++)(?P=open)[ \t]*+(?P<sign>=(?![=~])|:(?!:|//))[ \t]*+{_VALUE}"
)
_FLAG = rf"(?i){_NAMED}(?P<name>--?[\w.\-]++)(?P<open>)(?P<sign>)[ \t]++(?![-=:]){_VALUE}"
_YAML = (
    rf"(?im)^(?P<indent>[ \t]*+(?:-[ \t]++)*+)(?P<open>['\"]?){_NAMED}(?P<name>[\w.\-]++)(?P=open)[ \t]*+:"
    r"(?:[ \t]++(?P<rest>[^\r\n]*+))?\r?$"
)
_YAML_ITEM = r"(?m)^[ \t]*+(?:-[ \t]++)*+(?:[\w.\-]++[ \t]*+:[ \t]++)?(?P<value>[^\s][^\r\n]*+)"
_VARIABLE = r"\$\{?[A-Za-z_][\w.]*\}?|(?:params|secrets|System)\.[\w.()]+"


@dataclass(frozen=True, slots=True)
class Found:
    """A secret value in a text: where it stands, what it is, and what to write in its place."""

    start: int
    end: int
    value: str
    replacement: str


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern, compiled when it is first needed: most runs need few of them."""
    return re.compile(pattern)


def as_text(data: bytes) -> str:
    """Return bytes as text that `as_bytes` turns back into the same bytes, whatever they are."""
    return data.decode("utf-8", "surrogateescape")


def as_bytes(text: str) -> bytes:
    """Return the bytes of a text; the opposite of `as_text`."""
    return text.encode("utf-8", "surrogateescape")


def without_looks(text: str) -> str:
    """Return a text without what gives itself away: keys, signed addresses, authorization headers."""
    for marks, pattern, replacement in _LOOKS:
        if any(mark in text for mark in marks):
            text = _compiled(pattern).sub(replacement, text)
    return text


def without_assignments(text: str, *, settings: bool = False) -> str:
    """Return a text with the values of secret-looking names and flags replaced.

    Args:
        text: prose, a command line, a log or a file.
        settings: whether ``name: value`` counts too, as in YAML, also without quotes or brackets around.
    """
    if not _may_assign(text):
        return text
    if settings:
        text = _replaced(text, _yaml_values(text))
    text = _replaced(text, _assigned(text, _FLAG, settings=settings))
    return _replaced(text, _assigned(text, _ASSIGNED, settings=settings))


def assigned_values(text: str, *, settings: bool = False) -> set[str]:
    """Return the values that a text assigns to secret-looking names, without their quotes."""
    if not _may_assign(text):
        return set()
    found = [*_assigned(text, _FLAG, settings=settings), *_assigned(text, _ASSIGNED, settings=settings)]
    if settings:
        found += _yaml_values(text)
    return {literal for item in found for literal in _literals(item.value)}


def _may_assign(text: str) -> bool:
    """Say whether a text could hold an assignment at all; cheap, since nearly all do not."""
    if "=" not in text and ":" not in text and "-" not in text:
        return False
    small = text.lower()
    return any(hint in small for hint in HINTS)


def _assigned(text: str, pattern: str, *, settings: bool) -> Iterator[Found]:
    """Yield the values of secret names that a pattern finds; a name that is harmless is passed over."""
    search, position = _compiled(pattern).search, 0
    while (match := search(text, position)) is not None:
        name, value = match["name"].strip("-."), match["value"]
        colon_counts = settings or match["open"] or _in_brackets(text, match.start())
        if (match["sign"] != ":" or colon_counts) and is_secret_name(name) and _is_secret(value, name):
            quote = value[0] if value[0] in "\"'" else '"' if match["open"] == '"' else ""
            yield Found(match.start("value"), match.end("value"), value, f"{quote}{REDACTED}{quote}")
            position = match.end()
        else:
            position = match.end("name")


def _in_brackets(text: str, start: int) -> bool:
    """Say whether a name begins a part of a map: Groovy prints one as ``[name:value, name:value]``."""
    return text[max(0, start - 16) : start].rstrip()[-1:] in {"[", "{", "(", ","}


def _is_secret(written: str, name: str) -> bool:
    """Say whether what is assigned to a secret name is a secret rather than a flag, a number or a variable."""
    if written[0] in "[{":
        return any(_is_secret(part, name) for part in _parts(written))
    value = written[1:-1] if written[0] in "\"'" else written
    if written[0] != "'" and _compiled(_VARIABLE).fullmatch(value):
        return False
    if value is written and is_number(value) and not is_secret_number(name):
        return False
    return is_secret_value(value)


def _parts(written: str) -> list[str]:
    """Return the items of a list, and the values of a map, that stand on one line."""
    items = (item.strip() for item in written[1:-1].split(","))
    return [part for item in items if (part := item.rpartition(": ")[2].strip())]


def _literals(written: str) -> set[str]:
    """Return the texts that an assigned value stands for."""
    if written[:1] in {"[", "{"}:
        return {literal for part in _parts(written) for literal in _literals(part)}
    if written[:1] in {"'", '"'} and written[-1:] == written[:1]:
        inner = written[1:-1]
        return {inner, _compiled(r"\\(.)").sub(r"\1", inner)} if "\\" in inner else {inner}
    return {written.strip()}


def _yaml_values(text: str) -> Iterator[Found]:
    """Yield what YAML writes below or behind a secret key: lists, folded and plain scalars."""
    search, position = _compiled(_YAML).search, 0
    while (match := search(text, position)) is not None:
        position = match.end()
        rest = (match["rest"] or "").partition(" #")[0].strip()
        if not is_secret_name(match["name"]):
            continue
        if rest == "" or rest[0] in "|>#":
            end = _block_end(text, match.end(), len(match["indent"]))
            for item in _compiled(_YAML_ITEM).finditer(text, match.end(), end):
                yield from _scalar(item["value"], item.start("value"), match["name"])
            position = max(position, end)
        elif rest[0] not in "\"'[{<&*!" and not rest.endswith((",", "{", "[")):
            yield from _scalar(rest, match.start("rest"), match["name"])


def _block_end(text: str, start: int, indent: int) -> int:
    """Return where the lines end that stand deeper than a key, or are the items of its list."""
    end = start
    while end < len(text):
        following = text.find("\n", end + 1)
        line = text[end + 1 : len(text) if following < 0 else following]
        bare = line.lstrip(" \t")
        depth = len(line) - len(bare)
        if bare.strip() and depth <= indent and not (depth == indent and bare.startswith("- ")):
            break
        end = len(text) if following < 0 else following
    return end


def _scalar(written: str, start: int, name: str) -> Iterator[Found]:
    """Yield a scalar of YAML if it is secret."""
    value = written.rstrip()
    if value and _is_secret(value, name):
        quote = value[0] if value[0] in "\"'" and value[-1] == value[0] else ""
        yield Found(start, start + len(value), value, f"{quote}{REDACTED}{quote}")


def _replaced(text: str, found: Iterator[Found]) -> str:
    """Return a text with what was found in it replaced."""
    pieces, position = [], 0
    for item in found:
        pieces += [text[position : item.start], item.replacement]
        position = item.end
    return "".join([*pieces, text[position:]]) if pieces else text
