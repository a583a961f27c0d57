"""Commands load only what they need: nothing slow for help, conversion and duplicates."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("boto3", "quilt3", "pydantic", "rich.progress", "jsonschema")
SCRIPT = """
import atexit, sys
atexit.register(lambda: print("LOADED", *[name for name in {names!r} if name in sys.modules], file=sys.stderr))
from provwatch.cli import main
main(sys.argv[1:])
"""


def loaded(names: tuple[str, ...], *arguments: str) -> tuple[int, set[str]]:
    """Run a command in a process of its own; return its exit code and which of the modules it loaded."""
    script = SCRIPT.format(names=names)
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False, env=os.environ
    )
    return done.returncode, set(done.stderr.rpartition("LOADED")[2].split())


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("convert",), id="convert"),
        pytest.param(("show",), id="show"),
        pytest.param(("describe",), id="describe"),
        pytest.param(("package", "--dry-run"), id="dry run"),
    ],
)
def test_reading_commands_load_nothing_heavy(command: tuple[str, ...], demo: Path) -> None:
    """Commands that read a crate load neither boto3 nor quilt3."""
    assert loaded(HEAVY, *command, str(demo)) == (0, set())


def test_help_does_not_even_load_msgspec() -> None:
    """Help is there at once."""
    assert loaded((*HEAVY, "msgspec", "platformdirs", "sqlite3"), "--help") == (0, set())


def test_a_duplicate_does_not_load_quilt3(demo: Path, registry: Path) -> None:
    """Only an actual build loads quilt3."""
    command = ("package", str(demo), "--registry", str(registry))
    assert loaded(("quilt3",), *command) == (0, {"quilt3"})
    assert loaded(HEAVY, *command) == (0, set())
