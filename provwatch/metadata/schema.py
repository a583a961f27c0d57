"""The metadata schema: every key with its type, group, limit and meaning, in one table.

Decided by what Quilt's indexer can search: facets come from booleans, numbers, strings and lists of
strings only, and a workflow's schema gives columns for top-level keys only. So the schema is flat.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

SCHEMA_VERSION = "1"
PROMOTED_PREFIX = "param_"
DEFAULT_LIST_LIMIT = 100
MAX_OBJECT_BYTES = 64 * 1024
MAX_ITEM_CHARACTERS = 1_024
MAX_STRING_CHARACTERS = 4_096

Kind = Literal["string", "integer", "number", "boolean", "strings"]


class Key(msgspec.Struct, frozen=True):
    """One key of the metadata.

    Attributes:
        name: the key.
        kind: its JSON type; ``strings`` is a list of strings.
        group: what it tells about.
        meaning: one sentence for people, also the schema's description.
        volatile: whether it differs between two runs with the same results.
        limit: how many items a list may have.
        date: whether the value is a date or a time.
    """

    name: str
    kind: Kind
    group: str
    meaning: str
    volatile: bool = False
    limit: int = DEFAULT_LIST_LIMIT
    date: bool = False


KEYS: tuple[Key, ...] = (
    Key("schema", "string", "pipeline", "Version of this metadata schema"),
    Key("pipeline", "string", "pipeline", "Name of the pipeline"),
    Key("pipeline_version", "string", "pipeline", "Version the pipeline's manifest gives"),
    Key("pipeline_revision", "string", "pipeline", "Branch or tag that was run"),
    Key("pipeline_commit", "string", "pipeline", "Git commit that was run"),
    Key("repository", "string", "pipeline", "URL of the pipeline's source code"),
    Key("license", "string", "pipeline", "License of the crate, else of the pipeline"),
    Key("run_name", "string", "run", "Name of the run", volatile=True),
    Key("run_id", "string", "run", "Identifier of the run; Nextflow's session id", volatile=True),
    Key("run_status", "string", "run", "succeeded, failed, cancelled or unknown"),
    Key("run_status_source", "string", "run", "stated, inferred or unknown"),
    Key("run_error", "string", "run", "Error message of a failed run"),
    Key("run_started", "string", "run", "Start, UTC", volatile=True, date=True),
    Key("run_ended", "string", "run", "End, UTC", volatile=True, date=True),
    Key("duration_s", "integer", "run", "Wall-clock seconds from start to end", volatile=True),
    Key("command_line", "string", "run", "Command that started the run", volatile=True),
    Key("profiles", "strings", "run", "Configuration profiles of the run"),
    Key("stub_run", "boolean", "run", "Present and true when the run was a stub run"),
    Key("user", "string", "who", "Account that started the run", volatile=True),
    Key("user_source", "string", "who", "Where the user comes from", volatile=True),
    Key("agent", "string", "who", "Person or organisation that ran the pipeline"),
    Key("agent_orcid", "string", "who", "ORCID iD of the agent"),
    Key("organization", "string", "who", "Organisation of the agent"),
    Key("organization_ror", "string", "who", "ROR id of the organisation"),
    Key("engine", "string", "engine", "Workflow engine"),
    Key("engine_version", "string", "engine", "Version of the workflow engine"),
    Key("samples", "strings", "data", "Samples", limit=2_000),
    Key("sample_count", "integer", "data", "Number of samples"),
    Key("samples_source", "string", "data", "Where the samples come from; inferred when from task tags"),
    Key("inputs", "strings", "data", "Input files and folders", limit=200),
    Key("input_count", "integer", "data", "Number of input files and folders"),
    Key("input_digests", "strings", "data", "Checksums of inputs, INPUT=sha256:HEX"),
    Key("output_count", "integer", "data", "Number of output files and folders"),
    Key("output_bytes", "integer", "data", "Bytes of all outputs"),
    Key("output_types", "strings", "data", "File name extensions of the outputs"),
    Key("tasks_total", "integer", "tasks", "Tasks, without the run itself and without publishing", volatile=True),
    Key("tasks_succeeded", "integer", "tasks", "Tasks that succeeded", volatile=True),
    Key("tasks_failed", "integer", "tasks", "Tasks that failed", volatile=True),
    Key("tasks_unknown", "integer", "tasks", "Tasks whose status cannot be trusted or is not given", volatile=True),
    Key("tasks_cached", "integer", "tasks", "Tasks taken from the cache", volatile=True),
    Key("processes", "strings", "tasks", "Processes, by their short names", volatile=True),
    Key("process_tasks", "strings", "tasks", "Tasks of each process, FULL:NAME=COUNT", volatile=True),
    Key("params", "strings", "means", "Parameters, NAME=VALUE", limit=256),
    Key("param_count", "integer", "means", "Number of parameters"),
    Key("software", "strings", "means", "Tools with their versions, NAME=VERSION"),
    Key("containers", "strings", "means", "Container images"),
    Key("cpu_hours", "number", "means", "CPU hours used", volatile=True),
    Key("peak_memory_gb", "number", "means", "Largest resident set of a task, GB", volatile=True),
    Key("title", "string", "text", "Name of the crate"),
    Key("description", "string", "text", "Description of the crate"),
    Key("keywords", "strings", "text", "Keywords"),
    Key("published", "string", "text", "Date the crate gives for its publication", volatile=True, date=True),
    Key("publisher", "string", "text", "Publisher"),
    Key("crate_sha256", "string", "crate", "SHA-256 of the metadata document", volatile=True),
    Key("crate_entities", "integer", "crate", "Entities in the crate", volatile=True),
    Key("crate_producer", "string", "crate", "Tool that wrote the crate"),
    Key("crate_profiles", "strings", "crate", "Profiles the crate claims to conform to"),
    Key("links", "strings", "crate", "Web pages about the run", volatile=True),
    Key("warnings", "strings", "crate", "Codes of what was odd, cut or redacted", volatile=True),
    Key("creator", "strings", "roles", "Creators of the dataset"),
    Key("producer", "strings", "roles", "Producers of the dataset"),
    Key("instrument", "strings", "roles", "Laboratory instruments; never software"),
    Key("instrument_id", "strings", "roles", "Identifiers of the instruments"),
    Key("eln_entry", "strings", "roles", "Electronic lab notebook entries"),
)

KEY_BY_NAME: dict[str, Key] = {key.name: key for key in KEYS}
VOLATILE_KEYS = frozenset(key.name for key in KEYS if key.volatile)


def is_derived(name: str) -> bool:
    """Say whether a metadata key is one that provwatch fills in, not one that a user gave."""
    return name in KEY_BY_NAME or name.startswith(PROMOTED_PREFIX)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft-07, without ``$ref``) that Quilt can use as a workflow's metadata schema.

    Keys outside the schema are the user's own and are not restricted.
    """
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "provwatch package metadata",
        "description": "Searchable metadata of a workflow run, derived from its Workflow Run RO-Crate",
        "type": "object",
        "required": ["schema"],
        "properties": {key.name: _property(key) for key in KEYS},
    }


_STATUSES = ["succeeded", "failed", "cancelled", "unknown"]
_SPECIAL: dict[str, dict[str, Any]] = {
    "schema": {"type": "string", "const": SCHEMA_VERSION},
    "run_status": {"type": "string", "enum": _STATUSES},
    "run_status_source": {"type": "string", "enum": ["stated", "inferred", "unknown"]},
}
_BY_KIND: dict[Kind, dict[str, Any]] = {
    "strings": {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
    "integer": {"type": "integer", "minimum": 0},
    "number": {"type": "number", "minimum": 0},
    "boolean": {"type": "boolean"},
    "string": {"type": "string", "minLength": 1},
}


def _property(key: Key) -> dict[str, Any]:
    """Return the schema of one key."""
    return {"description": key.meaning, **_SPECIAL.get(key.name, _BY_KIND[key.kind])}
