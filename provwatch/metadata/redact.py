"""Take secrets out of text, bytes and JSON values: by name, by look, and wherever their values turn up again.

The rules for names are in `secret_names`, those for text in `secret_text`; here is what knows the literal
values of one run's secrets, and how JSON is gone through.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from provwatch.metadata.literals import all_spellings, is_peculiar, is_searchable
from provwatch.metadata.secret_names import MAX_DEPTH, REDACTED, is_number, is_secret_name, is_secret_value
from provwatch.metadata.secret_text import (
    RULES_VERSION,
    as_bytes,
    as_text,
    assigned_values,
    without_assignments,
    without_looks,
)

__all__ = ["MAX_DEPTH", "REDACTED", "Redactor", "is_secret_name", "is_secret_value", "redact_tree", "secret_literals"]

Clean = Callable[[str], str]


def redact_tree(value: Any, clean: Clean | None = None) -> Any:
    """Return a JSON value with the values of secret-looking keys replaced; what lies too deep to look at, too.

    A ``PropertyValue`` or ``FormalParameter`` counts as a key, by its name or that of its formal parameter.

    Args:
        value: the JSON value, or a whole metadata document.
        clean: applied to all other strings.
    """
    return _redacted(value, clean, _formal_names(value), 0)


def _redacted(value: Any, clean: Clean | None, names: Mapping[str, str], depth: int) -> Any:
    """Return one JSON value of a tree, redacted."""
    if isinstance(value, str):
        return _redacted_text(value, clean, names, depth)
    if depth > MAX_DEPTH:
        return REDACTED
    if isinstance(value, list):
        return [_redacted(item, clean, names, depth + 1) for item in value]
    if not isinstance(value, Mapping):
        return value
    name = _secret_parameter(value, names)
    result = {}
    for key, item in value.items():
        secret = name if name and key in {"value", "defaultValue"} else str(key) if is_secret_name(str(key)) else ""
        key_or_not = clean(key) if clean is not None and isinstance(key, str) else key
        hidden = secret and is_secret_value(item, secret)
        result[key_or_not] = REDACTED if hidden else _redacted(item, clean, names, depth + 1)
    return result


def _redacted_text(value: str, clean: Clean | None, names: Mapping[str, str], depth: int) -> str:
    """Return a string redacted; nf-prov writes maps and lists as strings of JSON."""
    inner = parsed(value)
    if inner is not None:
        redacted = _redacted(inner, clean, names, depth + 1)
        return value if redacted == inner else json.dumps(redacted, ensure_ascii=False)
    return clean(value) if clean is not None else value


def secret_literals(value: Any, name: str = "") -> set[str]:
    """Return the literal values of secret-looking keys in a JSON value, as deep as `redact_tree` looks.

    Numbers are none, whatever their name: they would be found inside others.
    """
    found: set[str] = set()
    _collect(value, name if is_secret_name(name) else "", _formal_names(value), found, 0)
    return found


def _collect(value: Any, name: str, names: Mapping[str, str], found: set[str], depth: int) -> None:
    """Add the literal values of secrets in a JSON value to *found*; *name* is the secret key it lies under."""
    if depth > MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        parameter = _secret_parameter(value, names)
        for key, item in value.items():
            own = parameter if parameter and key in {"value", "defaultValue"} else str(key)
            _collect(item, name or (own if is_secret_name(own) else ""), names, found, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _collect(item, name, names, found, depth + 1)
    elif isinstance(value, str):
        inner = parsed(value)
        if inner is not None:
            _collect(inner, name, names, found, depth + 1)
        if name and is_secret_value(value, name):
            found.add(value.strip())
        elif not name:
            found |= assigned_values(value)


def parsed(value: str) -> Any:
    """Return the map or list that a string of JSON holds, or None."""
    if value[:1] in {"{", "["}:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return None
    return None


def _formal_names(value: Any) -> dict[str, str]:
    """Return the names of a metadata document's formal parameters, by ``@id``."""
    graph = value.get("@graph") if isinstance(value, Mapping) else None
    entities = (item for item in graph if isinstance(item, Mapping)) if isinstance(graph, list) else ()
    return {
        item["@id"]: item["name"]
        for item in entities
        if "FormalParameter" in str(item.get("@type"))
        if isinstance(item.get("name"), str) and isinstance(item.get("@id"), str)
    }


def _secret_parameter(value: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Return the name of a parameter that is secret, or "": its own, its formal parameter's, the end of its ``@id``."""
    if "value" not in value and "defaultValue" not in value:
        return ""
    candidates = [value.get("name")]
    if not candidates[0] and "@type" in value:
        examples = value.get("exampleOfWork")
        targets = [*(examples if isinstance(examples, list) else [examples]), value]
        ids = [item.get("@id") if isinstance(item, Mapping) else item for item in targets]
        candidates = [names.get(target) or target.rsplit("/", 1)[-1] for target in ids if isinstance(target, str)]
    return next((name for name in candidates if isinstance(name, str) and is_secret_name(name)), "")


class Redactor:
    """Takes known secret values, and whatever looks like a secret, out of text, bytes and JSON."""

    def __init__(self, literals: Iterable[str] = ()) -> None:
        """Remember the literal values; those too short or too ordinary to search for are left out."""
        self.all_literals = frozenset(literals)
        self._literals = all_spellings(filter(is_searchable, self.all_literals))
        self.peculiar = all_spellings(filter(is_peculiar, self.all_literals))

    @cached_property
    def version(self) -> str:
        """What changes with the rules and the literal values; slow to make, so that nobody guesses them from it."""
        known = json.dumps(sorted(self.all_literals)).encode()
        return f"{RULES_VERSION}/{hashlib.pbkdf2_hmac('sha256', known, b'provwatch', 50_000, 16).hex()}"

    def text(self, value: str) -> str:
        """Return a text without secrets: prose, a message, a command line, a name."""
        return without_assignments(without_looks(self._without_literals(value)))

    def texts(self, values: Sequence[str]) -> Sequence[str]:
        """Return texts without secrets; a long list without any costs one look at the whole."""
        whole = "\n".join(values)
        return values if self.text(whole) == whole else [self.text(value) for value in values]

    def tree(self, value: Any) -> Any:
        """Return a JSON value without secrets: by key, by literal value and by look, in keys and strings."""
        return redact_tree(value, self.text)

    def peculiar_bytes(self, data: bytes) -> bytes:
        """Return a result's bytes without those literal values that cannot be there by chance."""
        text = as_text(data)
        clean = text
        for literal in self.peculiar:
            clean = literal.without(clean)
        if clean == text:
            return data
        if _json_of(text) is not None and _json_of(clean) is None:
            return json.dumps(Redactor(filter(is_peculiar, self.all_literals)).tree(_json_of(text)), indent=4).encode()
        return as_bytes(clean)

    def bytes(self, data: bytes) -> bytes:
        """Return a provenance file's bytes without secrets; what was JSON stays JSON."""
        text = as_text(data)
        value = _json_of(text)
        if value is None:
            return as_bytes(without_assignments(without_looks(self._without_literals(text)), settings=True))
        clean = self.text(text)
        written = _json_of(clean)
        whole = value if written is None else written
        redacted = self.tree(whole)
        if written is not None and redacted == written:
            return as_bytes(clean) if clean != text else data
        return json.dumps(redacted, indent=4).encode()

    def _without_literals(self, text: str) -> str:
        """Return a text without the known values."""
        for literal in self._literals:
            text = literal.without(text)
        return text


def learn(data: bytes, *, settings: bool) -> set[str]:
    """Return the secret values that a provenance file gives away.

    Args:
        data: JSON, YAML, a configuration, a log or a script.
        settings: whether the file sets things; of any other only values count that cannot be ordinary words.
    """
    text = as_text(data)
    value = _json_of(text)
    if value is not None:
        return secret_literals(value)
    found = assigned_values(text, settings=True)
    words = {literal for literal in found if not (is_number(literal) or literal.isalpha())}
    return {literal for literal in found if not is_number(literal)} if settings else set(filter(is_peculiar, words))


def _json_of(text: str) -> Any:
    """Return the map or list that a file of JSON holds, or None."""
    bare = text.removeprefix("\ufeff")
    return parsed(bare) if bare[:1] in {"{", "["} else parsed(bare[:4096].lstrip() + bare[4096:])
