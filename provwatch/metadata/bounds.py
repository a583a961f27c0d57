"""Keep metadata within what a catalog can index and a manifest record can hold."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from provwatch.crate.model import many
from provwatch.metadata.schema import (
    DEFAULT_LIST_LIMIT,
    KEY_BY_NAME,
    MAX_ITEM_CHARACTERS,
    MAX_OBJECT_BYTES,
    MAX_STRING_CHARACTERS,
    PROMOTED_PREFIX,
)

Values = dict[str, Any]
ELLIPSIS = "..."
MIN_STRING_CHARACTERS = 128
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def tidy(values: Values) -> Values:
    """Return the values without absent ones, with strings made safe for the indexer; nothing is cut.

    A string that the indexer would take for a date and is not one gets ``v`` in front.
    """
    kept: Values = {}
    for name in sorted(values):
        value = _tidy_value(values[name], dated=name in KEY_BY_NAME and KEY_BY_NAME[name].date)
        if value is not None and value not in ("", []):
            kept[name] = value
    return kept


def _tidy_value(value: Any, *, dated: bool) -> Any:
    """Return one value tidied; lists are never parsed for dates, so their items need no mark."""
    if isinstance(value, str):
        clean = _UNPRINTABLE.sub("\ufffd", value)
        return f"v{clean}" if not dated and _looks_like_date(clean) else clean
    if isinstance(value, list):
        if _UNPRINTABLE.search("\n".join(value)) is not None:
            value = [_UNPRINTABLE.sub("\ufffd", item) for item in value]
        return sorted({item for item in value if item != ""})
    return value


def _looks_like_date(written: str) -> bool:
    """Say whether Quilt's indexer would index a string as a date."""
    try:
        datetime.fromisoformat(written.removesuffix("Z"))
    except ValueError:
        return False
    return True


def bound(values: Values) -> Values:
    """Return tidied values cut to the limits of the schema; what was cut is named in ``warnings``."""
    cut: set[str] = set()
    bounded = {name: _bounded(name, value, cut) for name, value in values.items()}
    while True:
        warned = with_warnings(bounded, {f"truncated:{name}" for name in cut})
        excess = json_size(warned) - MAX_OBJECT_BYTES
        if excess <= 0:
            return warned
        largest = max(_cuttable(bounded), key=lambda name: (json_size(bounded[name]), name), default=None)
        if largest is None:
            return warned
        bounded[largest] = _shortened(bounded[largest])
        cut.add(largest)


def _bounded(name: str, value: Any, cut: set[str]) -> Any:
    """Return one value within its own limit."""
    if isinstance(value, str) and len(value) > MAX_STRING_CHARACTERS:
        cut.add(name)
        return value[: MAX_STRING_CHARACTERS - len(ELLIPSIS)] + ELLIPSIS
    if not isinstance(value, list):
        return value
    limit = KEY_BY_NAME[name].limit if name in KEY_BY_NAME else DEFAULT_LIST_LIMIT
    if len(value) > limit or any(isinstance(item, str) and len(item) > MAX_ITEM_CHARACTERS for item in value):
        cut.add(name)
    return sorted({_short_item(item) for item in value[:limit]})


def _short_item(item: Any) -> Any:
    """Return a list's item within the limit of characters."""
    if isinstance(item, str) and len(item) > MAX_ITEM_CHARACTERS:
        return item[: MAX_ITEM_CHARACTERS - len(ELLIPSIS)] + ELLIPSIS
    return item


def _cuttable(values: Values) -> list[str]:
    """Return the keys whose values can still be made shorter."""
    return [
        name
        for name, value in values.items()
        if (name in KEY_BY_NAME or name.startswith(PROMOTED_PREFIX))
        and (
            (isinstance(value, list) and (len(value) > 1 or len(value[0]) > MIN_STRING_CHARACTERS))
            or (isinstance(value, str) and len(value) > MIN_STRING_CHARACTERS)
        )
    ]


def _shortened(value: Any) -> Any:
    """Return a list's first three quarters, or half of a string."""
    if isinstance(value, list):
        return value[: len(value) * 3 // 4] or [_shortened(item) for item in value]
    return value[: len(value) // 2].removesuffix(ELLIPSIS) + ELLIPSIS


def with_warnings(values: Values, more: set[str]) -> Values:
    """Return the values, sorted by key, with more codes among their warnings."""
    codes = sorted({*(code for code in many(values.get("warnings")) if isinstance(code, str)), *more})
    limit = KEY_BY_NAME["warnings"].limit
    if len(codes) > limit:
        codes = [*codes[: limit - 1], "truncated:warnings"]
    merged = {**values, "warnings": codes} if codes else values
    return {name: merged[name] for name in sorted(merged)}


def json_size(value: Any) -> int:
    """Return how many bytes a value takes as JSON."""
    return len(json.dumps(value, ensure_ascii=False, separators=(", ", ": ")).encode("utf-8", "replace"))
