"""How many bytes the files and folders of a crate take on disk, without leaving the crate's folder."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

MAX_FOLDER_FILES = 100_000


class Sizes:
    """The sizes of what lies in one folder; links to folders may lead about in it, not out of it."""

    def __init__(self, folder: Path | None) -> None:
        """Look below a folder; None has nothing to look at."""
        self._folder = folder
        self._root = os.path.realpath(folder) if folder is not None else ""
        self._real: dict[str, str] = {}

    def of(self, entity_id: str) -> int | None:
        """Return the bytes of a file or folder; None where it is not there, outside, or too large to count."""
        if self._folder is None or ":" in entity_id or entity_id.startswith(("/", "#")):
            return None
        for name in dict.fromkeys((entity_id, unquote(entity_id))):
            if ".." in PurePosixPath(name).parts:
                continue
            try:
                found = self._inside(os.path.join(self._root, name.rstrip("/")))
            except (OSError, ValueError):
                continue
            if found is None:
                return None
            path, status = found
            return self._of_folder(path) if stat.S_ISDIR(status.st_mode) else status.st_size
        return None

    def _inside(self, path: str) -> tuple[str, os.stat_result] | None:
        """Return where a path leads and what lies there; None where that is a folder outside of ours."""
        parent, name = os.path.split(path)
        if parent not in self._real:  # ten thousand results lie in a few folders
            self._real[parent] = os.path.realpath(parent)
        real = os.path.join(self._real[parent], name)
        status = os.lstat(real)
        if stat.S_ISLNK(status.st_mode) or name in {"", "."}:
            real = os.path.realpath(real, strict=True)
            status = os.lstat(real)
        inside = real == self._root or real.startswith(self._root.rstrip("/") + "/")
        # A file may lie outside: publishing by links into the work directory is Nextflow's default.
        return (real, status) if inside or stat.S_ISREG(status.st_mode) else None

    def _of_folder(self, folder: str) -> int | None:
        """Return the bytes of all files below a folder; links to folders are not followed."""
        total = count = 0
        pending = [folder]
        while pending:
            with suppress(OSError), os.scandir(pending.pop()) as entries:
                for entry in entries:
                    count += 1
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                        continue
                    size = self._of_entry(entry)
                    if size is None or count > MAX_FOLDER_FILES:
                        return None
                    total += size
        return total

    def _of_entry(self, entry: os.DirEntry[str]) -> int | None:
        """Return the bytes of what lies in a folder; 0 for links to folders or to nothing."""
        with suppress(OSError):
            if not entry.is_symlink():
                return entry.stat(follow_symlinks=False).st_size
            if not entry.is_dir():
                found = self._inside(entry.path)
                return None if found is None else found[1].st_size
        return 0
