"""Every warning code with its meaning, in one table; a code may carry a detail after a colon."""

from __future__ import annotations

MEANINGS: dict[str, str] = {
    "crates": "crates in the folder; the first one is described",
    "dangling-reference": "things the run refers to that the crate does not describe",
    "duplicate-id": "@ids that stand in the crate twice with different content; merged",
    "end-before-start": "the run ended before it started, says the crate",
    "entity-not-an-object": "members of @graph that are no entities",
    "entity-without-id": "entities without an @id",
    "invalid-time": "a time that is not ISO 8601; kept as written",
    "left-out": "a file that is not packaged, because it may hold secrets",
    "listed-elsewhere": "files the crate lists that do not lie in the folder",
    "may-hold-secret": "a file that holds a secret's value and is packaged as it is, because it cannot be changed",
    "naive-time": "a time without a time zone; kept as written",
    "nested-entity": "entities inside others instead of beside them",
    "no-conditional-writes": "the S3 server cannot compare and set, so two publishers at once could lose a revision",
    "no-crate": "the folder holds no crate, so nothing says what made the files",
    "no-descriptor": "the crate has no metadata descriptor",
    "null-instrument": "tasks that do not say which module ran",
    "overridden": "a key of the schema that a package description set itself",
    "preview": "a -preview run wrote the crate",
    "redacted": "a file that holds secrets; a redacted copy is packaged",
    "redacted-param": "a parameter whose value is secret",
    "root-not-a-dataset": "the crate's root is not a Dataset",
    "runs": "runs in the crate; the newest one is described",
    "secret-in-name": "a file whose name holds a secret's value; names are packaged as they are",
    "special-file": "sockets, pipes and devices, which are not packaged",
    "truncated": "a key that was cut; convert --full gives it whole",
    "unversioned-bucket": "the bucket keeps no versions, so older revisions lose the bytes of files that changed",
}


def explain(code: str) -> str:
    """Return a warning code with its meaning, for people."""
    name, _, detail = code.partition(":")
    meaning = MEANINGS.get(name)
    return code if meaning is None else f"{detail} {meaning}" if detail.isdigit() else f"{code} ({meaning})"
