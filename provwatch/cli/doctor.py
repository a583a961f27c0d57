"""``provwatch doctor``: what could keep provwatch from working here, each with its fix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from provwatch.cli.check import Check

EPILOG = """\b
Examples:
  provwatch doctor
  provwatch doctor --registry s3://my-bucket
  provwatch doctor --json
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", epilog=EPILOG)(doctor)


def doctor(
    registry: Annotated[str | None, typer.Option("--registry", help="Check this registry.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Check Python, configuration, ledger and registry; say how to mend what is wrong."""
    from provwatch.cli.checks import CHECKS
    from provwatch.console import plain, say, say_json, styled
    from provwatch.errors import EXIT_DONE

    checks = list(_run(CHECKS, registry))
    if json_output:
        say_json({"checks": [check.as_json() for check in checks]})
    else:
        for check in checks:
            mark = styled("ok  ", "green") if check.ok else styled("FAIL", "red")
            say(f"{mark}  {check.name.ljust(13)}  {plain(check.detail)}")
            if not check.ok and check.fix:
                say(f"{' ' * 21}{styled('fix:', 'bold')} {plain(check.fix)}")
    return max((check.exit_code for check in checks if not check.ok), default=EXIT_DONE)


def _run(checks: tuple[Callable[[str | None], Iterator[Check]], ...], registry: str | None) -> Iterator[Check]:
    """Run every check; one that fails does not keep the next from running."""
    for check in checks:
        yield from check(registry)
