"""Check a revision against itself: each entry's bytes against its hash, and the manifest against its top hash."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from provwatch.errors import EXIT_CREDENTIALS, EXIT_DONE, EXIT_FAILED, EXIT_UNREACHABLE
from provwatch.publish.checkpoint import Checkpoint
from provwatch.publish.checksums import KINDS
from provwatch.publish.manifest import HeadEntry
from provwatch.publish.places import PlaceError, Places

S3_READS = 16
WAITING_FOR_EACH = 4
NOT_CHECKABLE = "not-checkable"


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is not as the manifest says.

    Attributes:
        logical_key: the entry's path in the package; "" for the manifest itself.
        physical_key: where its bytes should be.
        problem: a sentence.
        code: missing, wrong-size, wrong-bytes, not-checkable, not-allowed, unreadable, ...
        exit_code: what it asks of the process.
    """

    logical_key: str
    physical_key: str
    problem: str
    code: str
    exit_code: int = EXIT_FAILED

    def as_json(self) -> dict[str, str]:
        """Return the fields of the JSON contract."""
        names = ("logical_key", "physical_key", "problem", "code")
        return {name: getattr(self, name) for name in names}


@dataclass(slots=True)
class Verification:
    """What came of it.

    Attributes:
        entries, bytes: how much the package holds.
        checked: entries that were looked at now.
        resumed: entries that an earlier, interrupted verification found right.
        wrong: what is not as the manifest says.
    """

    entries: int
    bytes: int
    checked: int = 0
    resumed: int = 0
    wrong: list[Wrong] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """The process's exit code: 0 when all is right, else the highest of 4 and 5 that is asked for, else 1."""
        codes = {wrong.exit_code for wrong in self.wrong}
        return max(codes & {EXIT_CREDENTIALS, EXIT_UNREACHABLE}, default=EXIT_FAILED if codes else EXIT_DONE)


class Verifier:
    """Checks entries, several at a time, in flat memory."""

    def __init__(self, places: Places, checkpoint: Checkpoint, *, threads: int = 0) -> None:
        """Read from these places, and remember in this checkpoint what was right.

        Args:
            places: read the entries' bytes.
            checkpoint: what an earlier verification found right.
            threads: how many read files; by default one a core. Objects are read by `S3_READS`.
        """
        self._places = places
        self._checkpoint = checkpoint
        self._threads = threads or os.cpu_count() or 1
        self._stopping = threading.Event()
        self._tell: Callable[[int], Any] = lambda _count: None

    def check(self, entries: list[HeadEntry], tell: Callable[[int], Any]) -> Verification:
        """Check entries; *tell* is told of bytes as they are read, or passed over.

        Raises:
            ProvwatchError: nothing can be read any more; what was right until then is remembered.
        """
        self._tell = tell
        found = Verification(len(entries), sum(entry.size or 0 for entry in entries))
        known = self._checkpoint.identities()
        for entry, (wrong, identity, resumed) in self._results(entries, known):
            if wrong is not None:
                found.wrong.append(wrong)
            elif identity and not resumed:
                self._checkpoint.keep(entry.logical_key, entry.physical_key, identity)
            found.checked += not resumed
            found.resumed += resumed
        return found

    def _results(
        self, entries: list[HeadEntry], known: dict[tuple[str, str], str]
    ) -> Iterator[tuple[HeadEntry, _Result]]:
        """Yield each entry with what came of it, in order; no more than a few wait."""
        in_s3 = any(entry.physical_key.startswith("s3://") for entry in entries)
        count = max(self._threads, S3_READS) if in_s3 else self._threads
        waiting: deque[tuple[HeadEntry, Future[_Result]]] = deque()
        pool = ThreadPoolExecutor(count, thread_name_prefix="verify")
        try:
            for entry in entries:
                before = known.get((entry.logical_key, entry.physical_key), "")
                waiting.append((entry, pool.submit(self._check, entry, before)))
                if len(waiting) > WAITING_FOR_EACH * count:
                    first, result = waiting.popleft()
                    yield first, result.result()
            while waiting:
                first, result = waiting.popleft()
                yield first, result.result()
        finally:
            self._stopping.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def _check(self, entry: HeadEntry, before: str) -> _Result:
        """Check one entry; *before* is what identified its bytes when they were right."""
        try:
            if before and self._places.identity(entry.physical_key) == before:
                self._tell(entry.size or 0)
                return None, before, True
            wrong, identity = self._read(entry)
        except PlaceError as error:
            return _wrong(entry, error.message, error.code, error.exit_code), "", False
        return wrong, identity, False

    def _read(self, entry: HeadEntry) -> tuple[Wrong | None, str]:
        """Read one entry's bytes; return what is wrong, and what identifies them."""
        begin = KINDS.get(entry.hash.type) if entry.hash else None
        if entry.hash is None or begin is None or entry.size is None:
            return _wrong(entry, _not_checkable(entry), NOT_CHECKABLE), ""
        with self._places.opened(entry.physical_key) as opened:
            if opened.size != entry.size:
                message = f"{opened.size} bytes, and the manifest says {entry.size}"
                return _wrong(entry, message, "wrong-size"), ""
            checksum = begin(entry.size)
            for piece in opened.pieces:
                if self._stopping.is_set():
                    raise PlaceError("not read to the end", code="interrupted")
                checksum.update(piece)
                self._tell(len(piece))
        value = checksum.value()
        if value != entry.hash.value:
            return _wrong(entry, f"other bytes: their {entry.hash.type} is {value}", "wrong-bytes"), ""
        return None, opened.identity


_Result = tuple[Wrong | None, str, bool]
"""What is wrong, or None; what identifies the bytes; whether they were found right earlier."""


def _wrong(entry: HeadEntry, problem: str, code: str, exit_code: int = EXIT_FAILED) -> Wrong:
    """Return what is wrong with an entry."""
    return Wrong(entry.logical_key, entry.physical_key, problem, code, exit_code)


def _not_checkable(entry: HeadEntry) -> str:
    """Return why an entry's bytes cannot be checked."""
    if entry.hash is None:
        return "cannot be checked: the manifest gives no hash"
    if entry.size is None:
        return "cannot be checked: the manifest gives no size"
    return f"cannot be checked: its hash is of the unknown type {entry.hash.type!r}"


def wrong_manifest(top_hash: str, uri: str, computed: str) -> list[Wrong]:
    """Return what is wrong with the manifest itself.

    Args:
        top_hash: what it is called.
        uri: where it lies.
        computed: the top hash that its bytes give, "" where they give none.
    """
    if computed == top_hash:
        return []
    said = f"its bytes give the top hash {computed}" if computed else "its bytes give no top hash"
    return [Wrong("", uri, f"the manifest is not what was published: {said}", "wrong-manifest")]
