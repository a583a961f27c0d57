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


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init", epilog=EPILOG)(init)


def init(
    what: Annotated[What, typer.Argument(help="config: provwatch.toml; quilt: a Quilt workflow with its schema.")],
    print_only: Annotated[bool, typer.Option("--print", help="Print instead of writing.")] = False,
    folder: Annotated[Path, typer.Option("--to", help="Folder to write to.")] = Path(),
    registry: Annotated[str, typer.Option("--registry", help="Bucket the Quilt workflow is for.")] = "s3://BUCKET",
) -> None:
    """Write integration files; what is there already is never overwritten."""
    from provwatch.cli import templates
    from provwatch.console import say, talk
    from provwatch.errors import UsageError
    from provwatch.publish.objects import write_error

    files = templates.config_files() if what is What.CONFIG else templates.quilt_files(registry)
    if print_only:
        say("\n".join(text if len(files) == 1 else f"# --- {name}\n{text}" for name, text in files.items()).rstrip())
        return
    for name, text in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            hint = "Remove it first, or see the new one with --print"
            raise UsageError("this file is there already", where=str(path), hint=hint) from None
        except OSError as error:
            raise write_error(error, str(path)) from error
        talk(f"wrote {path}")
    talk(templates.NEXT_STEPS[what.value])
