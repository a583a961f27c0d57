"""What a person asked for, and how the ledger remembers it so that it can be done again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provwatch.config import Settings
from provwatch.description import decode_message, parse_description
from provwatch.metadata.redact import redact_tree

BESIDE = "provwatch"
ASKED = ("user_wins", "take_over", "refresh", "emit")
"""What a job's description holds under `BESIDE`: what was asked for and is no field of Quilt's message."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to package, and what was said about it by hand.

    Attributes:
        folder: the local folder.
        crate: its crate's metadata document, where it was named; otherwise it is looked for.
        name: package name, or None to infer it.
        registry: registry, or None for the settings'.
        message: commit message, or None to make it from the run.
        metadata: the user's own metadata.
        quilt_workflow: Quilt workflow; None for the default, "" for none.
        user_wins: whether user metadata replaces derived metadata (a description) or may not.
        take_over: take a package name over from another source.
        refresh: make a revision when only derived metadata differs.
        dry_run: say what would happen.
        emit: where to send the description instead, or "".
    """

    folder: Path
    crate: Path | None = None
    name: str | None = None
    registry: str | None = None
    message: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    quilt_workflow: str | None = None
    user_wins: bool = False
    take_over: bool = False
    refresh: bool = False
    dry_run: bool = False
    emit: str = ""


def remembered(request: Request, source: str, settings: Settings) -> str:
    """Return a request as the ledger keeps it: Quilt's message, and beside it what Quilt has no field for.

    Args:
        request: what was asked for.
        source: URI of the folder.
        settings: the settings in force; those that were flags are kept.
    """
    asked = {name: getattr(request, name) for name in ASKED}
    flags = {name: settings[name] for name, origin in settings.origins.items() if origin == "flag"}
    beside = {**asked, "crate": str(request.crate or ""), "flags": flags}
    message = {
        "source_prefix": source,
        "registry": request.registry,
        "package_name": request.name,
        "metadata": redact_tree(dict(request.metadata)) or None,
        "commit_message": request.message,
        "workflow": request.quilt_workflow,
        BESIDE: {name: value for name, value in beside.items() if value} or None,
    }
    return json.dumps({name: value for name, value in message.items() if value is not None})


def recalled(text: str, *, where: str) -> tuple[Request, dict[str, Any]]:
    """Return what the ledger keeps of a request, and the settings that were flags then.

    Args:
        text: what `remembered` gave.
        where: what to call it in errors.

    Raises:
        DescriptionError: it cannot be used.
    """
    message = decode_message(text, where=where)
    beside = dict(message.pop(BESIDE, {}))
    flags = beside.pop("flags", {})
    description = parse_description(message, where=where)
    request = Request(
        folder=description.folder,
        crate=Path(beside.pop("crate")) if "crate" in beside else None,
        name=message.get("package_name"),
        registry=description.registry or None,
        message=description.commit_message,
        metadata=dict(description.metadata or {}),
        quilt_workflow=description.quilt_workflow,
        **beside,
    )
    return request, flags
