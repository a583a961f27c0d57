"""Quilt's Iceberg tables of a bucket on DuckDB, with the functions of Trino that DuckDB calls otherwise.

The columns are those of https://github.com/quiltdata/quilt/blob/master/docs/advanced-features/iceberg-tables.md;
``metadata`` is the manifest's ``user_meta`` as JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import duckdb

from catalog.packages import Revision, latest

TABLES = """
CREATE TABLE "{bucket}_package_revision" (pkg_name VARCHAR, "timestamp" TIMESTAMP, top_hash VARCHAR);
CREATE TABLE "{bucket}_package_tag" (pkg_name VARCHAR, tag_name VARCHAR, top_hash VARCHAR);
CREATE TABLE "{bucket}_package_manifest" (top_hash VARCHAR, message VARCHAR, metadata VARCHAR);
"""
MACROS = """
-- The value as text; NULL for objects and lists, which DuckDB would give as JSON.
CREATE MACRO json_extract_scalar(json, path) AS
    CASE WHEN json_type(json, path) NOT IN ('OBJECT', 'ARRAY') THEN json_extract_string(json, path) END;
-- Whether a list of JSON holds a string; NULL where it is no list.
CREATE MACRO json_array_contains(json, value) AS list_contains(TRY_CAST(json AS VARCHAR[]), value);
-- JSON as text without spaces.
CREATE MACRO json_format(json) AS CAST(json AS VARCHAR);
-- Whether a pattern is found anywhere.
CREATE MACRO regexp_like(string, pattern) AS regexp_matches(string, pattern);
"""


def tables_of(revisions: Iterable[Revision], bucket: str) -> duckdb.DuckDBPyConnection:
    """Return a database with the tables of one bucket."""
    every = tuple(revisions)
    database = duckdb.connect(config={"autoinstall_known_extensions": False})  # tests load nothing
    database.execute(TABLES.format(bucket=bucket) + MACROS)
    for revision in every:
        moment = datetime.fromtimestamp(revision.second, UTC).replace(tzinfo=None)
        _insert(database, f"{bucket}_package_revision", revision.name, moment, revision.top_hash)
    for revision in {revision.top_hash: revision for revision in every}.values():
        _insert(database, f"{bucket}_package_manifest", revision.top_hash, "", _text(revision.metadata))
    for revision in latest(every):
        _insert(database, f"{bucket}_package_tag", revision.name, "latest", revision.top_hash)
    return database


def _insert(database: duckdb.DuckDBPyConnection, table: str, *row: object) -> None:
    database.execute(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(row))})', list(row))  # noqa: S608 - our own


def _text(metadata: Any) -> str | None:
    """Return metadata as the table's text; escapes are resolved there, and a package without has none."""
    return None if metadata is None else json.dumps(metadata, ensure_ascii=False, separators=(",", ":"))


def ask(database: duckdb.DuckDBPyConnection, statement: str) -> list[dict[str, Any]]:
    """Return the rows of one statement, by the names of their columns."""
    result = database.execute(statement)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
