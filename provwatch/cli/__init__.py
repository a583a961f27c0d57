"""The command line: one file a command, and their table here.

Commands are loaded when the command line is, so their modules import nothing heavy; what a command works with is
imported inside it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import typer

from provwatch import __version__
from provwatch.cli import convert, describe, diff, doctor, history, init, package, show, verify
from provwatch.console import plain, styled, talk
from provwatch.errors import EXIT_FAILED, EXIT_INTERRUPTED, ProvwatchError

COMMANDS = (convert, show, describe, package, history, diff, verify, doctor, init)

app = typer.Typer(
    name="provwatch",
    help="Workflow runs in, Quilt packages out: once per change, with their provenance.",
    epilog="Start with: provwatch package results/ --dry-run",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        typer.echo(f"provwatch {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """Workflow runs in, Quilt packages out: once per change, with their provenance."""


for _command in COMMANDS:
    _command.register(app)


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code; errors are sentences, tracebacks are for bugs."""
    _open_closed_streams()
    gc.disable()  # commands are short; what runs for long enables it again
    try:
        code = _run(arguments)
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_FAILED
    _leave(code, at_once=arguments is None)


def _leave(code: int, *, at_once: bool) -> NoReturn:
    """End the process; *at_once* spares it taking apart what it has read, which for a large crate takes a while."""
    if at_once:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _open_closed_streams() -> None:
    """Give a process that was started without standard streams empty ones, before a file gets their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - it stays open to the end
            setattr(sys, name, stream)


def _run(arguments: list[str] | None) -> int:
    """Run one command and return its exit code."""
    try:
        result: Any = app(arguments, standalone_mode=False)
    except ProvwatchError as error:
        talk(f"{styled('error', 'red', stream=sys.stderr)}: {plain(error)}")
        return error.exit_code
    except typer.Exit as leaving:
        return int(leaving.exit_code)
    except typer.Abort:
        return EXIT_INTERRUPTED
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # what click raises for a wrong command line
            error.show()
            return int(error.exit_code)
        raise
    return result if isinstance(result, int) else 0
