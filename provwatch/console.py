"""The one module that speaks: data to stdout, talk to stderr, colours and progress only to a terminal."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from provwatch.errors import ProvwatchError

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
WIDE_COLUMNS = 60
_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def say_json(value: Any, *, indent: int | None = None) -> None:
    """Write one JSON value to stdout: on one line, or indented."""
    say(json.dumps(value, ensure_ascii=False, indent=indent))


def say(text: str) -> None:
    """Write data to stdout.

    Raises:
        ProvwatchError: it cannot be written, such as on a full disk.
        BrokenPipeError: nobody reads it any more.
    """
    try:
        _write(sys.stdout, f"{text}\n")
    except BrokenPipeError:
        raise
    except OSError as error:
        message, hint = f"cannot be written: {error.strerror}", "What is there of it is not whole"
        raise ProvwatchError(message, where="standard output", hint=hint, code="unwritable") from error


def talk(text: str) -> None:
    """Write a line for people to stderr, if it can be; nobody could be told that it cannot."""
    with suppress(OSError):
        _write(sys.stderr, f"{text}\n")


def _write(stream: Any, text: str) -> None:
    """Write and flush; text the stream cannot encode is written escaped."""
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def plain(value: object) -> str:
    """Return a value as text of one line without control characters; for everything from outside."""
    return _CONTROL.sub("\ufffd", str(value).replace("\n", " "))


def styled(text: str, style: str, *, stream: Any = None) -> str:
    """Return the text in a colour where the stream is a terminal and ``NO_COLOR`` is not set."""
    target = stream if stream is not None else sys.stdout
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not target.isatty():
        return text
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def human_bytes(count: float) -> str:
    """Return a number of bytes the way people write it."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004 - the step between units
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def human_seconds(seconds: float) -> str:
    """Return a duration the way people write it."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def table(rows: Mapping[str, str]) -> str:
    """Return labelled lines, aligned."""
    width = max((len(label) for label in rows), default=0)
    return "\n".join(f"  {styled(label.ljust(width), 'dim')}  {value}" for label, value in rows.items())


class Progress:
    """Counts bytes; shows them with an estimate of the time left where stderr is a terminal."""

    def __init__(self) -> None:
        """Start silent."""
        self._bar: Any = None
        self._task: Any = None
        self._lock = threading.Lock()
        self._pending = 0

    @contextmanager
    def showing(self, what: str, total: int) -> Iterator[Progress]:
        """Show progress over *total* bytes of *what* while the block runs."""
        if total and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            from rich import progress  # noqa: PLC0415 - only for a terminal
            from rich.console import Console  # noqa: PLC0415 - only for a terminal

            console = Console(stderr=True)
            columns: list[Any] = [progress.TextColumn(what), progress.DownloadColumn(), progress.TimeRemainingColumn()]
            if console.width >= WIDE_COLUMNS:
                columns[1:1] = [progress.BarColumn()]
                columns.append(progress.TransferSpeedColumn())
            self._bar = progress.Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task(what, total=total)
            with self._bar:
                yield self
            self._bar = None
        else:
            yield self

    def announce(self, text: str) -> None:
        """Tell people what is about to begin."""
        talk(text)

    def advance(self, count: int) -> None:
        """Count some bytes; called from any thread."""
        if self._bar is not None:
            with self._lock:
                self._bar.advance(self._task, count)
