"""Read Workflow Run RO-Crates: bytes to a `Crate`, and what ran in it. The only code that knows JSON-LD."""

from provwatch.crate.decode import decode_crate
from provwatch.crate.model import Crate, Entity
from provwatch.crate.read import (
    CRATE_NAMES,
    crate_warnings,
    find_crate,
    find_crates,
    looks_like_crate,
    read_crate,
    read_crate_file,
)
from provwatch.crate.runs import CrateKind, Run, RunView, view_runs

__all__ = [
    "CRATE_NAMES",
    "Crate",
    "CrateKind",
    "Entity",
    "Run",
    "RunView",
    "crate_warnings",
    "decode_crate",
    "find_crate",
    "find_crates",
    "looks_like_crate",
    "read_crate",
    "read_crate_file",
    "view_runs",
]
