"""The command line in processes of its own, which tests may kill or take permissions from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import provwatch

ROOT = Path(provwatch.__file__).parents[1]
AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def surroundings(**more: str) -> dict[str, str]:
    """Return an environment in which Python finds provwatch and what tests share."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests"))), **more}


def run_provwatch(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return run_command(provwatch_command(*arguments), **environment)


def run_like_others(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line as somebody whom file permissions hold for."""
    return run_command(like_others(provwatch_command(*arguments)))


def run_script(script: str, *arguments: object, others: bool = False) -> subprocess.CompletedProcess[str]:
    """Run some Python, if need be as somebody whom file permissions hold for."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return run_command(like_others(command) if others else command)


def start_provwatch(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Start the command line and do not wait for it."""
    command = provwatch_command(*arguments)
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=surroundings(**environment), stdout=pipe, stderr=pipe, text=True)


def provwatch_command(*arguments: object) -> list[str]:
    """Return the command line as a command."""
    return [sys.executable, "-m", "provwatch", *map(str, arguments)]


def run_command(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    surrounding = surroundings(**environment)
    return subprocess.run(command, env=surrounding, capture_output=True, text=True, check=False, timeout=60)


def like_others(command: list[str]) -> list[str]:
    """Return a command that file permissions hold for, also where root runs the tests; skip where that cannot be."""
    if not AS_ROOT:
        return command
    if shutil.which("setpriv") is None:
        pytest.skip("root may read everything, and setpriv is not here to take that away")
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *command]
