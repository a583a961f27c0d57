"""What commands that package need: ledger, cache, signals, and how an outcome is told."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from provwatch.cli.summary import difference_rows, summarise, warning_rows
from provwatch.config import Settings, home
from provwatch.console import Progress, human_bytes, plain, say, styled, table, talk
from provwatch.errors import EXIT_INTERRUPTED, ProvwatchError
from provwatch.filesystems import filesystem_type, is_network
from provwatch.ledger import Ledger, State
from provwatch.ledger.sqlite import SqliteLedger
from provwatch.outcome import BAD, Outcome, Result
from provwatch.processor import Processor
from provwatch.publish.hash_cache import HashCache
from provwatch.publish.quilt import default_local_registry

LEDGER_FILE = "ledger.sqlite"
CACHE_FILE = "hashes.sqlite"
STYLES = {Result.PUSHED: "green", Result.EMITTED: "green", Result.PLANNED: "cyan"}
IN_PLACE_NOTE = (
    "note: the package refers to these files where they lie. --copy keeps their bytes in the registry, "
    "so that the package survives when the folder is changed or removed. (Said once.)"
)


@dataclass(slots=True)
class Session:
    """One command's work."""

    processor: Processor
    ledger: Ledger
    settings: Settings
    first_push: bool = False
    signals: list[int] = field(default_factory=list)

    def stopping(self) -> bool:
        """Say whether the person asked to stop."""
        return bool(self.signals)

    def report(self, outcome: Outcome, *, as_json: bool, data_is_elsewhere: bool = False) -> None:
        """Tell an outcome: as JSON, or for people; to stderr where stdout carries other data."""
        if as_json:
            (talk if data_is_elsewhere else say)(json.dumps(outcome.as_json(), ensure_ascii=False))
            return
        (talk if data_is_elsewhere or outcome.outcome in BAD else say)(_for_people(outcome))
        in_place = outcome.registry.startswith("file://") and not self.settings["copy"]
        if outcome.outcome is Result.PUSHED and self.first_push and in_place:
            talk(IN_PLACE_NOTE)
            self.first_push = False


@contextmanager
def open_session(settings: Settings, *, dry_run: bool = False) -> Iterator[Session]:
    """Open ledger and cache; the first signal finishes or hands back what is in hand, the second ends at once."""
    folder = home()
    with _open_ledger(folder, dry_run=dry_run) as ledger:
        cache = HashCache(folder / CACHE_FILE, read_only=dry_run)
        first = not dry_run and not any(job.outcome == Result.PUSHED for job in ledger.jobs(states=(State.DONE,)))
        signals: list[int] = []
        processor = Processor(settings, ledger, cache, progress=Progress(), stopping=lambda: bool(signals))
        before = {number: signal.signal(number, _handler(signals)) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield Session(processor, ledger, settings, first, signals)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            cache.close()


@contextmanager
def _open_ledger(folder: Path, *, dry_run: bool) -> Iterator[SqliteLedger]:
    """Open the ledger; for a dry run a copy of it, so that it knows the same and nothing is written."""
    path = ledger_path(folder)
    if not dry_run:
        with SqliteLedger(path) as ledger:
            yield ledger
        return
    with tempfile.TemporaryDirectory(prefix="provwatch-") as aside:
        for ending in ("", "-wal"):
            with contextlib.suppress(OSError):
                shutil.copy(f"{path}{ending}", Path(aside) / f"{LEDGER_FILE}{ending}")
        try:
            ledger = SqliteLedger(Path(aside) / LEDGER_FILE)
        except ProvwatchError:  # copied in the middle of a change, or broken: then without what it knew
            ledger = SqliteLedger(":memory:")
        with ledger:
            yield ledger


def ledger_path(folder: Path) -> Path:
    """Return where the ledger lies: one for each host where several may share the folder."""
    if not is_network(filesystem_type(folder)):
        return folder / LEDGER_FILE
    return folder / f"ledger-{socket.gethostname()}.sqlite"


def _handler(signals: list[int]) -> Any:
    """Return what handles a signal."""

    def handle(number: int, _frame: FrameType | None) -> None:
        signals.append(number)
        if len(signals) > 1:
            os._exit(EXIT_INTERRUPTED)
        os.write(sys.stderr.fileno(), b"stopping: finishing or handing back what is in hand; again ends at once\n")

    return handle


def _for_people(outcome: Outcome) -> str:
    """Return an outcome in a few lines."""
    word = styled(str(outcome.outcome), STYLES.get(outcome.outcome, "yellow"))
    if outcome.outcome in BAD:
        named = f" {plain(outcome.package)}" if outcome.package else ""
        return f"{styled(str(outcome.outcome), 'red')}{named}: {plain(outcome.reason)}"
    lines = []
    if outcome.metadata and outcome.outcome in STYLES:
        lines += [summarise(outcome.metadata), ""]
    lines.append(f"{word} {styled(plain(outcome.package), 'bold')}{_why(outcome)}")
    rows = {
        "top hash": outcome.top_hash,
        "files": f"{outcome.entries}, {human_bytes(outcome.bytes)}",
        "source": plain(outcome.source),
        "registry": plain(outcome.registry),
        "read with": _browse(outcome),
        "uri": outcome.uri,
        "catalog": plain(outcome.catalog_url),
        **warning_rows(_own_warnings(outcome)),
        **_plan_rows(outcome),
    }
    lines.append(table({label: value for label, value in rows.items() if value}))
    return "\n".join(lines)


def _why(outcome: Outcome) -> str:
    """Return the reason where there is one."""
    if outcome.outcome is Result.DUPLICATE and not outcome.reason.startswith("this was"):
        return ": nothing changed, nothing was written"
    return f": {plain(outcome.reason)}" if outcome.reason else ""


def _browse(outcome: Outcome) -> str:
    """Return the Python that opens the package."""
    if outcome.outcome is not Result.PUSHED:
        return ""
    default = outcome.registry == default_local_registry()
    place = "" if default else f", registry={plain(outcome.registry)!r}"
    return f"quilt3.Package.browse({plain(outcome.package)!r}{place})"


def _own_warnings(outcome: Outcome) -> list[str]:
    """Return the warnings about packaging, which the run's summary does not have."""
    return [code for code in outcome.warnings if code not in outcome.metadata.get("warnings", [])]


def _plan_rows(outcome: Outcome) -> dict[str, str]:
    """Return what would happen, for people."""
    plan = outcome.plan or {}
    rows = {"would": str(plan.get("would", "")), "message": plain(plan.get("commit_message", ""))}
    if "read_bytes" in plan:
        rows["would read"] = human_bytes(plan["read_bytes"])
    if plan.get("store_bytes"):
        rows["would upload" if outcome.registry.startswith("s3://") else "would copy"] = human_bytes(
            plan["store_bytes"]
        )
    return {**rows, **difference_rows(plan.get("diff", {}))}
