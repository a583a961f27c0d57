"""Metadata of small crates, and the rules that every metadata keeps."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

from provwatch.crate import Crate, decode_crate
from provwatch.metadata import Metadata, derive_metadata, gather, json_schema
from provwatch.metadata.bounds import json_size
from provwatch.metadata.schema import KEY_BY_NAME, MAX_OBJECT_BYTES

Values = dict[str, Any]

SCHEMA = Draft7Validator(json_schema())


def derive(source: bytes | Crate, *, folder: Path | None = None, promote: tuple[str, ...] = ()) -> Metadata:
    """Return what is derived from a document, bounded and whole."""
    crate = decode_crate(source, where="crate.json", folder=folder) if isinstance(source, bytes) else source
    metadata = derive_metadata(gather(crate), promote_params=promote)
    broken = broken_rules(metadata.values) + broken_rules(metadata.full, bounded=False)
    assert not broken, broken
    return metadata


def values_of(source: bytes | Crate, *, folder: Path | None = None, promote: tuple[str, ...] = ()) -> Values:
    """Return the metadata that a package of this crate carries."""
    return derive(source, folder=folder, promote=promote).values


def picked(values: Values, *names: str) -> tuple[Any, ...]:
    """Return the values of some keys, None for those left out."""
    return tuple(values.get(name) for name in names)


def warnings_of(source: bytes | Crate, **options: Any) -> list[str]:
    """Return only the warnings."""
    return list(values_of(source, **options).get("warnings", []))


def broken_rules(values: Values, *, bounded: bool = True) -> list[str]:
    """Return what is wrong with metadata, by the schema and by what Quilt's indexer makes facets of."""
    broken = [f"{'/'.join(map(str, error.path))}: {error.message[:200]}" for error in SCHEMA.iter_errors(values)]
    if list(values) != sorted(values):
        broken.append("the keys are not in order")
    if bounded and json_size(values) > MAX_OBJECT_BYTES:
        broken.append(f"{json_size(values)} bytes")
    for name, value in values.items():
        if isinstance(value, list):
            if not value or not all(isinstance(item, str) and item for item in value):
                broken.append(f"{name}: not a list of strings")
            elif value != sorted(set(value)):
                broken.append(f"{name}: not in order, or not each once")
        elif isinstance(value, str):
            is_date = name in KEY_BY_NAME and KEY_BY_NAME[name].date
            if not value or (_reads_as_date(value) and not is_date):
                broken.append(f"{name}: {value!r} is empty, or would be taken for a date")
        elif not isinstance(value, bool | int | float):
            broken.append(f"{name}: {type(value).__name__} makes no facet")
    return broken


def _reads_as_date(written: str) -> bool:
    """Say whether Quilt's indexer takes a string for a date."""
    try:
        datetime.fromisoformat(written)
    except ValueError:
        return False
    return True
