"""``provwatch convert``: a crate's metadata as Quilt package metadata."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from provwatch.crate import Crate

EPILOG = """\b
Examples:
  provwatch convert results/
  provwatch convert results/ro-crate-metadata.json -o metadata.json
  provwatch convert run.crate.zip --full
  cat ro-crate-metadata.json | provwatch convert -
  provwatch convert --schema > provwatch-metadata.schema.json
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("convert", epilog=EPILOG)(convert)


def convert(
    crate: Annotated[str, typer.Argument(metavar="[CRATE]", help="Metadata document, folder, .zip or '-'.")] = "",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write to this file.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Cut nothing, however long.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse what Quilt's RO-Crate profile refuses.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of the metadata.")] = False,
    json_output: Annotated[bool, typer.Option("--json", hidden=True, help="JSON is all it writes.")] = False,
) -> None:
    """Convert a crate to the metadata that its package would carry, as JSON."""
    import json

    from provwatch.console import say
    from provwatch.metadata import json_schema

    if schema:
        text = json.dumps(json_schema(), indent=2)
    else:
        read = _read(crate, output, strict=strict)
        text = json.dumps(_metadata(read, full=full), indent=2, ensure_ascii=False)
    if output is None:
        say(text)
    else:
        _write(output, f"{text}\n")


def _read(source: str, output: Path | None, *, strict: bool) -> Crate:
    """Read the crate, unless it would be overwritten."""
    from provwatch.crate import read_crate
    from provwatch.errors import UsageError

    if not source:
        raise UsageError("name a crate", hint="For example: provwatch convert results/")
    crate = read_crate(source, strict=strict)
    if output is not None and _is_source(output, source, crate):
        message = "this is the crate that is being read; its metadata would overwrite it"
        raise UsageError(message, where=str(output), hint="Choose another file for -o")
    return crate


def _is_source(output: Path, source: str, crate: Crate) -> bool:
    """Say whether a file is the crate's document, the archive that holds it, or standard input."""
    import os

    parts = crate.where.split("!")  # an archive's path comes before its member's, and may hold a ! itself
    read_from: list[str | int] = ["!".join(parts[: count + 1]) for count in range(len(parts))]
    for place in [0] if source == "-" else read_from:
        try:
            if output.is_file() and os.path.samestat(os.stat(place), output.stat()):
                return True
        except (OSError, ValueError):  # a member of an archive, or closed
            continue
    return False


_KEPT: list[Crate] = []
"""A crate that was read, kept to the end of the process: taking a large one apart takes a while."""


def _metadata(crate: Crate, *, full: bool) -> dict[str, object]:
    """Return the metadata of a crate."""
    from provwatch.config import load_settings
    from provwatch.metadata import derive_metadata, gather

    _KEPT[:] = [crate]
    promoted = load_settings()["promote_params"]
    metadata = derive_metadata(gather(crate), promote_params=promoted)
    return metadata.full if full else metadata.values


def _write(output: Path, text: str) -> None:
    """Write a file aside and rename it into place; pipes and devices are written to."""
    import os
    import shutil
    import uuid

    from provwatch.publish.objects import write_error

    try:
        if output.exists() and not output.is_file():
            output.write_text(text, encoding="utf-8")
            return
        target = Path(os.path.realpath(output))
        aside = target.with_name(f".provwatch-{uuid.uuid4().hex}")
        try:
            with aside.open("x", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                shutil.copymode(target, aside)
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(error, str(output)) from error
