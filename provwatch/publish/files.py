"""Files that several processes share: locked, read whole or not at all, renamed into place for good."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from provwatch.errors import PackagingError, UnreachableError

LOCK_SECONDS = 60.0
LOCK_POLL_SECONDS = 0.05


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, waiting for others for a minute.

    Raises:
        PackagingError: another process has held it for longer.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        _acquire(file.fileno(), path)
        yield


def _acquire(descriptor: int, path: Path) -> None:
    """Take an advisory lock that the end of the process gives back."""
    try:
        import fcntl  # noqa: PLC0415 - not there on Windows, which has no such lock to take
    except ImportError:
        return
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                message = f"another process has held the registry's lock for {LOCK_SECONDS:.0f} s"
                raise PackagingError(message, where=str(path), hint="Try again later", code="registry-busy") from None
            time.sleep(LOCK_POLL_SECONDS)
        else:
            return


def read_text(path: Path) -> str:
    """Return a pointer's text, "" where there is none."""
    try:
        return path.read_text("ascii").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except UnicodeDecodeError:
        return "?"
    except OSError as error:
        raise UnreachableError(f"cannot be read: {error.strerror}", where=str(path)) from error


def sync(path: Path) -> None:
    """Make sure a file's bytes are on disk before it is renamed into place."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def move(source: Path, destination: Path) -> None:
    """Rename a file into place, and make the rename last."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    source.replace(destination)
    try:
        descriptor = os.open(destination.parent, os.O_RDONLY)
    except OSError:
        return  # folders cannot be opened on this system, nor need they be
    try:
        os.fsync(descriptor)
    except OSError:
        return
    finally:
        os.close(descriptor)
