"""Trees of files for the tests of packaging, and a look at what becomes of them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from provwatch.publish.entries import SourceFile, scan_folder

PLANTED = b"hunter2-not-a-real-secret"
LONG_AGO_NS = 1_700_000_000_000_000_000


def write_tree(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Make a folder with these files, by their paths in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def copy_tree(source: Path, target: Path) -> Path:
    """Copy a folder of the example data, writable whatever the original is."""
    return Path(shutil.copytree(source, target, copy_function=shutil.copyfile))


def source_file(**changed: Any) -> SourceFile:
    """Return a file as a scan finds it: a small one, from long ago."""
    fields: dict[str, Any] = {
        "logical_key": "a.txt",
        "path": "/data/a.txt",
        "target": "/data/a.txt",
        "outside": False,
        "size": 3,
        "mtime_ns": LONG_AGO_NS,
        "ctime_ns": LONG_AGO_NS,
        "inode": 7,
        "device": 1,
    }
    return SourceFile(**{**fields, **changed})


def keys_of(folder: Path) -> list[str]:
    """Return the logical keys that a scan finds."""
    return [file.logical_key for file in scan_folder(folder).files]


def footprint(*folders: Path) -> dict[str, tuple[int, ...]]:
    """Return everything below some folders with what changes when it is written to; the same twice is no write."""
    found = {}
    for folder in folders:
        for path in [folder, *folder.rglob("*")]:
            status = path.lstat()
            found[str(path)] = (status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return found


def stored_bytes(*folders: Path) -> dict[str, bytes]:
    """Return every file below some folders with its bytes."""
    return {str(path): path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}
