"""``provwatch init``: write the files that connect provwatch to what is around it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

EPILOG = """\b
Examples:
  provwatch init config
  provwatch init config --print
  provwatch init quilt --print
"""


class What(StrEnum):
    """What can be written."""

    CONFIG = "config"
    QUILT = "quilt"


NEXT_STEPS = {
    What.CONFIG: "Every setting is there as a comment, with its default. Check with: provwatch doctor",
    What.QUILT: (
        "Upload what is in .quilt/ to .quilt/ of the bucket (merge with what is there: it would be overwritten), then "
        "publish with --quilt-workflow provwatch-run. find-runs.sql is for the catalog's Queries tab"
    ),
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init", epilog=EPILOG)(init)


def init(
    what: Annotated[What, typer.Argument(help="config: provwatch.toml; quilt: files for a bucket.")],
    print_only: Annotated[bool, typer.Option("--print", help="Print instead of writing.")] = False,
    folder: Annotated[Path, typer.Option("--to", help="Folder to write to.")] = Path(),
    registry: Annotated[str, typer.Option("--registry", help="Bucket that the Quilt files are for.")] = "s3://BUCKET",
) -> None:
    """Write integration files; what is there already is never overwritten."""
    from provwatch.cli.quilt_files import quilt_files
    from provwatch.cli.templates import config_files
    from provwatch.console import say, talk

    files = config_files() if what is What.CONFIG else quilt_files(registry)
    if print_only:
        say("\n".join(text if len(files) == 1 else f"# --- {name}\n{text}" for name, text in files.items()).rstrip())
        return
    _refuse_to_overwrite([folder / name for name in files])
    for name, text in files.items():
        _write(folder / name, text)
        talk(f"wrote {folder / name}")
    talk(NEXT_STEPS[what])


def _refuse_to_overwrite(paths: list[Path]) -> None:
    """Raise an error where one of the files is there, before any is written."""
    from provwatch.errors import UsageError

    for path in paths:
        if path.is_symlink() or path.exists():
            hint = "Remove it first, or see the new one with --print"
            raise UsageError("this file is there already", where=str(path), hint=hint)


def _write(path: Path, text: str) -> None:
    """Write a new file, in folders that are made for it."""
    from provwatch.publish.objects import write_error

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise write_error(error, str(path)) from error
