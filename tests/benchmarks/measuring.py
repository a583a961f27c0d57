"""How benchmarks measure: whole processes, peers in turn, ratios round by round."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

PROVWATCH = [str(Path(sys.executable).parent / "provwatch")]
ROUNDS = 5
MIB = 1024 * 1024


@dataclass(frozen=True)
class Usage:
    """What one process took."""

    cpu: float
    wall: float
    rss: float

    def __str__(self) -> str:
        """Write it for the table."""
        return f"{self.cpu:.2f} s CPU, {self.wall:.2f} s, {self.rss:.0f} MiB"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    ours: str
    peer: str
    ratio: str
    wanted: str
    reached: bool


def measure(command: Sequence[str], home: Path) -> Usage:
    """Run a command with a home of its own and return what it took."""
    environment = {**os.environ, "HOME": str(home), "PROVWATCH_HOME": str(home / "provwatch"), "TERM": "dumb"}
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{command} failed: {said.decode()}")
    return Usage(usage.ru_utime + usage.ru_stime, time.monotonic() - started, usage.ru_maxrss / 1024)


def median(usages: Sequence[Usage]) -> Usage:
    """Return the median of each figure."""
    return Usage(*(statistics.median(getattr(usage, name) for usage in usages) for name in ("cpu", "wall", "rss")))


def in_turn(rounds: int, *runs: Callable[[], Usage]) -> list[list[Usage]]:
    """Run several things in turn, so that all see the same machine; the first round is not counted."""
    counted: list[list[Usage]] = [[] for _ in runs]
    for number in range(rounds + 1):
        for usages, run in zip(counted, runs, strict=True):
            usage = run()
            if number:
                usages.append(usage)
    return counted


def ratio(ours: Sequence[Usage], peers: Sequence[Usage], name: str = "cpu") -> float:
    """Return the median of the ratios, round by round."""
    return statistics.median(getattr(a, name) / getattr(b, name) for a, b in zip(ours, peers, strict=True))
