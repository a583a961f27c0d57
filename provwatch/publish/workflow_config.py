"""The configuration of a registry's Quilt workflows: bytes to a checked value, by the rules of quilt3 8.

Format: https://docs.quilt.bio/workflows. The rules are stated anew here, because quilt3's own are not public
and take a second to load; the tests hold both side by side.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from provwatch.errors import PackagingError

CONFIG_KEY = ".quilt/workflows/config.yml"
CODE = "quilt-workflow"
DRAFT_07 = "http://json-schema.org/draft-07/schema#"
MAX_TEXT_CHARACTERS = 240
_NEWEST_VERSION = (1, 1, 0)

Schema = Mapping[str, Any] | bool
Read = Callable[[str], bytes | None]

_TEXT = {"type": "string"}
_FILLED = {"type": "string", "minLength": 1}
_VERSION = {"type": "string", "pattern": r"^[1-9][0-9]*(\.(0|[1-9][0-9]*)){0,2}$"}


def _object(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    """Return the schema of an object without further keys."""
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": list(required)}


_WORKFLOW = _object(
    {
        "name": _FILLED,
        "description": _FILLED,
        "handle_pattern": _TEXT,
        "metadata_schema": _TEXT,
        "entries_schema": _TEXT,
        "is_message_required": {"type": "boolean"},
        "catalog": True,
    },
    "name",
)
_SUCCESSOR = {
    "type": "object",
    "required": ["title"],
    "properties": {"title": _FILLED, "copy_data": {"type": "boolean"}},
}
_CONFIG = _object(
    {
        "version": {"oneOf": [_VERSION, _object({"base": _VERSION, "catalog": _VERSION}, "base")]},
        "is_workflow_required": {"type": "boolean"},
        "default_workflow": _TEXT,
        "workflows": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^[A-Za-z_-][A-Za-z0-9_-]*$", "maxLength": 64},
            "additionalProperties": _WORKFLOW,
        },
        "schemas": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"type": "object", "required": ["url"], "properties": {"url": _TEXT}},
        },
        "successors": {"type": "object", "minProperties": 1, "additionalProperties": _SUCCESSOR},
        "catalog": True,
    },
    "version",
    "workflows",
)


def parse_config(config: bytes, *, where: str) -> dict[str, Any]:
    """Return a workflows configuration that quilt3 would take.

    Args:
        config: the bytes of ``.quilt/workflows/config.yml``.
        where: its URI.

    Raises:
        PackagingError: it is no YAML, breaks the format, or is of a version that is not known.
    """
    import yaml  # noqa: PLC0415 - only where there is a configuration

    try:
        parsed: Any = yaml.safe_load(config.decode())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise refused(f"the Quilt workflows configuration is not YAML: {one_line(error)}", where) from error
    found = problems(_CONFIG, parsed)
    if found:
        raise refused(f"the Quilt workflows configuration is not valid: {'; '.join(found)}", where)
    version: str = parsed["version"] if isinstance(parsed["version"], str) else parsed["version"]["base"]
    if (*map(int, version.split(".")), 0, 0)[:3] > _NEWEST_VERSION:
        newest = ".".join(map(str, _NEWEST_VERSION))
        raise refused(f"version {version.strip()} of Quilt workflows is not known, {newest} is the newest", where)
    return dict(parsed)


def load_schema(config: Mapping[str, Any], schema_id: str, read: Read, *, where: str) -> Schema:
    """Return a JSON Schema that the configuration names.

    Raises:
        PackagingError: it is not listed, cannot be read, or is no draft-07 schema without ``$ref``.
    """
    url = schema_url(config, schema_id, where=where)
    data = read(url)
    if data is None:
        raise refused(f"the schema {schema_id!r} is not there", url, f"Upload it, or mend its url in {where}")
    try:
        schema: Any = json.loads(data.decode(), object_hook=_without_ref)
    except (ValueError, RecursionError) as error:
        raise refused(f"the schema {schema_id!r} cannot be used: {one_line(error)}", url) from error
    dialect = schema.get("$schema", DRAFT_07) if isinstance(schema, dict) else DRAFT_07
    if dialect != DRAFT_07:
        message = f"the schema {schema_id!r} says $schema {one_line(dialect)}, and Quilt knows only draft-07"
        raise refused(message, url, f"Write {DRAFT_07}")
    _check_schema(schema, schema_id, url)
    checked: Schema = schema
    return checked


def schema_url(config: Mapping[str, Any], schema_id: str, *, where: str) -> str:
    """Return where a schema lies: an ``s3://`` URI, or a ``file://`` URI for a local registry.

    Raises:
        PackagingError: the schema is not listed, or its URL is neither, or local for a registry that is not.
    """
    schemas: Mapping[str, Any] = config.get("schemas", {})
    if schema_id not in schemas:
        raise refused(f"there is no {schema_id!r} among the schemas of the Quilt workflows configuration", where)
    url: str = schemas[schema_id]["url"]
    if not _is_usable(url):
        raise refused(f"the url of schema {schema_id!r} is neither an s3:// nor a file:// URI: {one_line(url)}", where)
    if urlsplit(url).scheme == "file" and where.startswith("s3://"):
        raise refused(f"the schema {schema_id!r} is a local file, which a bucket cannot use: {one_line(url)}", where)
    return url


def _is_usable(url: str) -> bool:
    """Say whether quilt3 would take this for the place of a schema."""
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
    except ValueError:
        return False
    if parts.scheme == "s3":
        return bool(parts.netloc) and query.keys() <= {"versionId"}
    return parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path[:1] == "/" and not parts.query


def _without_ref(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse a reference, wherever it stands, as quilt3 does."""
    if "$ref" in value:
        raise ValueError("Quilt does not take $ref")
    return value


def _check_schema(schema: Any, schema_id: str, url: str) -> None:
    """Refuse what is no draft-07 schema."""
    from jsonschema import Draft7Validator, SchemaError  # noqa: PLC0415 - slow to load

    try:
        Draft7Validator.check_schema(schema)
    except (SchemaError, RecursionError) as error:
        said = one_line(error.message if isinstance(error, SchemaError) else error)
        raise refused(f"the schema {schema_id!r} is not a JSON Schema: {said}", url) from error


def problems(schema: Schema, value: Any, name: Callable[[Any], str] | None = None) -> list[str]:
    """Return what keeps a value from fitting a schema, one sentence each.

    Args:
        schema: a draft-07 schema.
        value: a JSON value.
        name: turns the path of a problem, which begins with a list's index or a key, into words.
    """
    from jsonschema import Draft7Validator  # noqa: PLC0415 - slow to load
    from jsonschema.exceptions import best_match  # noqa: PLC0415 - slow to load

    found: list[str] = []
    try:
        for error in Draft7Validator(schema).iter_errors(value):
            inner = best_match([error]) if error.context else error
            place = name(inner.absolute_path) if name else inner.json_path.removeprefix("$").removeprefix(".")
            found.append(one_line(f"{place}: {inner.message}" if place else inner.message))
    except (RecursionError, ArithmeticError) as error:
        found.append(f"the check cannot be made: {one_line(error)}")
    return list(dict.fromkeys(found))


def one_line(value: object) -> str:
    """Return a text on one line, its middle left out where it is long: what is wrong stands at the ends."""
    text = " ".join(str(value).split())
    half = MAX_TEXT_CHARACTERS // 2
    return text if len(text) <= MAX_TEXT_CHARACTERS else f"{text[:half]} ... {text[-half:]}"


def refused(message: str, where: str, hint: str = "") -> PackagingError:
    """Return the error of a package that Quilt's validation does not let pass."""
    return PackagingError(message, where=where, hint=hint, code=CODE)
