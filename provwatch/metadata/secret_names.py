"""Say which names and values are secret: the words that people use for them, and what cannot be one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

REDACTED = "<redacted>"
MAX_DEPTH = 100
MAX_NAME = 2_000
HINTS = ("token", "secret", "pass", "pwd", "key", "credential", "private", "auth", "hook", "sas", "pin")
"""A secret-looking name holds one of these, in whatever case; most names with one are harmless all the same."""
_KEYS = "api|access|account|licen[sc]e|secret|private|encryption|signing|auth|shared|storage|subscription|deploy|ssh"
_SECRET_NAME = re.compile(
    r"token|secret|passw(?:or)?d|passphrase|passcode|credential|private|webhook|hook_ur[il]|authorization"
    rf"|(?:{_KEYS})_?keys?(?![a-z])|(?:^|_)(?:pwd|auth|sas|pin)(?:_|$)|(?:^|_)pass$"
)
_HARMLESS_NAME = re.compile(
    r"(?:^|_)(?:max|min|num|nr|n|total|count|number_of|prompt|completion)_(?:\w+_)?tokens?(?:_|$)"
    r"|tokens?_?(?:per|count|limit|max|min|length|len|size|budget|total)|tokeni[sz]|private_mode|secret_santa"
    r"|(?:^|_)(?:one|two|first|second|third|single|multi|low|high|band|by|all|n)_pass$"
)
_SECRET_NUMBER = re.compile(r"passw|passphrase|passcode|(?:^|_)(?:pass|pwd|pin)(?:_|$)|secret|key|credential")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER = re.compile(r"[\W_]+")
_NUMBER = re.compile(r"[+-]?[\d.,_]+(?:[eE][+-]?\d+)?%?")
_NEVER = frozenset({"", "true", "false", "null", "none", REDACTED})


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Say whether a parameter of this name holds a secret, by the words that people use for them."""
    words = _words(name)
    return _SECRET_NAME.search(words) is not None and _HARMLESS_NAME.search(words) is None


def is_secret_number(name: str) -> bool:
    """Say whether even a number under this secret name is secret: a PIN is, a number of tokens is not."""
    return _SECRET_NUMBER.search(_words(name)) is not None


def is_number(value: str) -> bool:
    """Say whether a text is nothing but a number."""
    return _NUMBER.fullmatch(value) is not None


def is_secret_value(value: Any, name: str = "", depth: int = 0) -> bool:
    """Say whether the value of a secret-looking parameter can be secret: flags, nothing and most numbers cannot."""
    if depth > MAX_DEPTH:
        return True
    if value is None or isinstance(value, bool):
        return False
    if isinstance(value, str):
        return value.lower() not in _NEVER
    if isinstance(value, Mapping):
        return any(is_secret_value(item, name, depth + 1) for item in value.values())
    if isinstance(value, list):
        return any(is_secret_value(item, name, depth + 1) for item in value)
    return is_secret_number(name)


def _words(name: str) -> str:
    """Return a name's words in small letters, an underscore between them."""
    return (
        _OTHER.sub(
            "_", _HUMP.sub("_", name if len(name) < MAX_NAME else name[: MAX_NAME // 2] + name[-MAX_NAME // 2 :])
        )
        .strip("_")
        .lower()
    )
