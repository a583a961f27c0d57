"""Losing what provwatch remembers."""

from __future__ import annotations

import os
from pathlib import Path


def no_ledger() -> None:
    """Lose the ledger and the cache."""
    for path in Path(os.environ["PROVWATCH_HOME"]).iterdir():
        path.unlink()
