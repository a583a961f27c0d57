"""Package metadata from a crate and what lies beside it: searchable, bounded, redacted, the same every time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from provwatch.crate import CrateKind
from provwatch.crate.model import many, references, text
from provwatch.errors import DescriptionError
from provwatch.metadata.bounds import bound, json_size, tidy, with_warnings
from provwatch.metadata.data_facts import data_facts, means_facts, people, role_facts, sample_facts, task_facts
from provwatch.metadata.redact import REDACTED
from provwatch.metadata.run_facts import engine_facts, pipeline_facts, producer, run_facts, who_facts, written_time
from provwatch.metadata.schema import (
    MAX_OBJECT_BYTES,
    PROMOTED_PREFIX,
    SCHEMA_VERSION,
    VOLATILE_KEYS,
    is_derived,
    json_schema,
)
from provwatch.metadata.sources import Sources, Values, gather

__all__ = [
    "Metadata",
    "Sources",
    "derive_metadata",
    "gather",
    "is_derived",
    "json_schema",
    "merge_user_metadata",
    "stable_metadata",
]

SPEC_PREFIXES = ("https://w3id.org/ro/crate", "http://w3id.org/ro/crate", "https://purl.org/ro/crate")
MAX_NUMBER = 1 << 63  # the indexer has no larger whole numbers
PLACE_PARAMETERS = ("outdir=", "output_dir=", "publish_dir=", "outputDir=", "tracedir=")


class Metadata(msgspec.Struct, frozen=True, eq=False):
    """Derived metadata: as a package carries it, and whole.

    Attributes:
        values: bounded, at most 64 KiB as JSON.
        full: the same keys with nothing cut.
        kind: run, pipeline or data crate.
        is_run: whether the crate is of a run that did something (a ``-preview`` did not).
    """

    values: Values
    full: Values
    kind: CrateKind
    is_run: bool


def derive_metadata(sources: Sources, *, promote_params: Iterable[str] = ()) -> Metadata:
    """Derive package metadata; a pure function of the crate, its side files and the arguments.

    Args:
        sources: the crate and what lies beside it.
        promote_params: parameters that get a key of their own, ``param_NAME``, with their own type.
    """
    values: Values = {
        "schema": SCHEMA_VERSION,
        **pipeline_facts(sources),
        **run_facts(sources),
        **who_facts(sources),
        **engine_facts(sources),
        **data_facts(sources),
        **sample_facts(sources),
        **task_facts(sources),
        **means_facts(sources),
        **_text_facts(sources),
        **_crate_facts(sources),
        **role_facts(sources),
        **_promoted(sources, promote_params),
    }
    if sources.is_preview:
        sources.warnings.add("preview")
    clean = {name: _clean(sources, value) for name, value in values.items()}
    full = tidy({**clean, "warnings": _clean(sources, list(sources.warnings))})
    is_run = sources.view.kind is CrateKind.RUN and not sources.is_preview
    return Metadata(values=bound(full), full=full, kind=sources.view.kind, is_run=is_run)


def _clean(sources: Sources, value: Any) -> Any:
    """Return a value without the secrets that the crate's parameters gave away."""
    if isinstance(value, str):
        return sources.redactor.text(value)
    if isinstance(value, list):
        return sorted(set(sources.redactor.texts(value)))
    return value


def _text_facts(sources: Sources) -> Values:
    """Return what the crate says of itself in words."""
    root = sources.root
    words = [word for item in many(root.get("keywords")) for word in str(text(item) or "").split(",")]
    publishers = people(sources.crate, root.get("publisher"))
    return {
        "title": text(root.get("name")),
        "description": text(root.get("description")) or text(sources.workflow.get("description")),
        "keywords": sorted({word.strip() for word in words if word.strip()}),
        "published": _published(sources),
        "publisher": publishers[0] if publishers else None,
    }


def _published(sources: Sources) -> str | None:
    """Return the crate's date of publication: a day, a year or a month as it is written, a time in UTC."""
    written = text(sources.root.get("datePublished"))
    return written_time(sources, "published", written) if written and ":" in written else written


def _crate_facts(sources: Sources) -> Values:
    """Return what kind of crate it is."""
    crate = sources.crate
    profiles = set()
    for owner in (sources.root, crate.facts(crate.descriptor_id)):
        for item in many(owner.get("conformsTo")):
            target = item.get("@id") if isinstance(item, Mapping) else item
            if isinstance(target, str) and not target.startswith(SPEC_PREFIXES):
                profiles.add(target)
    missing = _dangling(sources)
    if missing:
        sources.warnings.add(f"dangling-reference:{missing}")
    return {
        "crate_sha256": crate.sha256,
        "crate_entities": len(crate.entities),
        "crate_producer": producer(sources),
        "crate_profiles": sorted(profiles),
    }


def _dangling(sources: Sources) -> int:
    """Return how many things the run and its tasks refer to that the crate does not describe."""
    links: list[Any] = []
    for action in [*(run.action for run in sources.view.runs), *(task.action for task in sources.view.tasks)]:
        for value in (action.instrument, action.object, action.result):
            if isinstance(value, list):
                links += value
            elif value is not None:
                links.append(value)
    return len(set(references(links)).difference(sources.crate.entities))


def _promoted(sources: Sources, names: Iterable[str]) -> Values:
    """Return the parameters that the configuration wants as keys of their own, with their own types."""
    wanted = set(names)
    run = sources.view.run
    promoted: Values = {}
    if not wanted or run is None:
        return promoted
    from provwatch.metadata.data_facts import parameter_text, run_parameters  # noqa: PLC0415 - only with promote_params

    for name, value in run_parameters(sources):
        if name in wanted and value is not None:
            clean = parameter_text(sources, name, value)
            keep = isinstance(value, bool | int | float) and clean != REDACTED and abs(value) < MAX_NUMBER
            promoted[PROMOTED_PREFIX + name] = value if keep else clean
    return promoted


def merge_user_metadata(
    derived: Values, user: Mapping[str, Any], *, prefix: str = "", user_wins: bool = False
) -> Values:
    """Return derived metadata with a user's own merged in last.

    Args:
        derived: bounded derived metadata.
        user: the user's keys.
        prefix: put in front of each of the user's keys.
        user_wins: let user keys replace derived ones, with the warning ``overridden:KEY`` (a description
            from a queue); otherwise that is an error.

    Raises:
        DescriptionError: a key belongs to the schema, or the whole is over the size limit.
    """
    named = {f"{prefix}{key}": value for key, value in user.items()}
    clashes = sorted(key for key in named if is_derived(key))
    if clashes and not user_wins:
        message = f"user metadata cannot set {', '.join(clashes)}: provwatch derives that from the crate"
        hint = "Rename the key, or give --metadata-prefix to put a prefix in front of all of yours"
        raise DescriptionError(message, hint=hint, code="metadata-clash")
    merged = with_warnings({**derived, **named}, {f"overridden:{key}" for key in clashes})
    size = json_size(merged)
    if size > MAX_OBJECT_BYTES and named:
        message = f"metadata takes {size} bytes with yours, and {MAX_OBJECT_BYTES} is the limit"
        raise DescriptionError(message, hint="Give less, or put the rest into a file of the package")
    return merged


def user_given(metadata: Mapping[str, Any]) -> Values:
    """Return the part of a package's metadata that a user gave: outside the schema, or overriding it."""
    warnings = metadata.get("warnings")
    overridden = {
        code.removeprefix("overridden:")
        for code in (warnings if isinstance(warnings, list) else [])
        if isinstance(code, str) and code.startswith("overridden:")
    }
    return {key: value for key, value in metadata.items() if not is_derived(key) or key in overridden}


def stable_metadata(metadata: Mapping[str, Any]) -> Values:
    """Return the derived metadata that only changes when the results may have: no volatile keys.

    Where the results were written to does not count either, so that a run repeated into another folder
    is the same run.
    """
    stable = {key: value for key, value in metadata.items() if is_derived(key) and key not in VOLATILE_KEYS}
    parameters = [item for item in many(stable.get("params")) if not str(item).startswith(PLACE_PARAMETERS)]
    return {**stable, "params": parameters}
