"""``provwatch history``: what the ledger remembers, and doing failed work again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from provwatch.ledger import Job
    from provwatch.ledger.sqlite import SqliteLedger

EPILOG = """\b
Examples:
  provwatch history
  provwatch history --failed --since 7d
  provwatch history show 01h2
  provwatch history retry 01h2
  provwatch history export > history.jsonl
"""
SHOW_EPILOG = """\b
Examples:
  provwatch history show 01h2
  provwatch history show 01h2 --json
"""
RETRY_EPILOG = """\b
Examples:
  provwatch history --failed
  provwatch history retry 01h2
"""
FORGET_EPILOG = """\b
Examples:
  provwatch history forget 01h2
"""
EXPORT_EPILOG = """\b
Examples:
  provwatch history export > history.jsonl
"""
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
DEFAULT_ROWS = 50

app = typer.Typer(help="Show what was packaged, and do failed work again.", epilog=EPILOG, invoke_without_command=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
JobId = Annotated[str, typer.Argument(metavar="ID", help="Id of a job, or its beginning.")]


def register(parent: typer.Typer) -> None:
    """Add the command."""
    parent.add_typer(app, name="history", rich_help_panel=None)


@app.callback()
def history(
    context: typer.Context,
    failed: Annotated[bool, typer.Option("--failed", help="Only what failed.")] = False,
    since: Annotated[str, typer.Option("--since", help="Only since then: 30m, 12h, 7d, 2w or a date.")] = "",
    source: Annotated[str, typer.Option("--source", help="Only this folder.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", help="At most so many.")] = DEFAULT_ROWS,
    json_output: Json = False,
) -> None:
    """List what was packaged, newest first."""
    if context.invoked_subcommand is not None:
        return
    from pathlib import Path

    from provwatch.console import say, say_json
    from provwatch.description import folder_uri
    from provwatch.ledger import State

    states = (State.FAILED, State.INCOMPLETE, State.QUARANTINED) if failed else ()
    wanted = (source if "://" in source else folder_uri(Path(source))) if source else None
    with _ledger() as ledger:
        jobs = ledger.jobs(states=states, source=wanted, since=_since(since), limit=limit)
        if json_output:
            for job in jobs:
                say_json(as_json(job))
            return
        lines = [_line(job) for job in jobs]
    say("\n".join(lines) if lines else "nothing yet: provwatch package FOLDER makes the first entry")


@app.command("show", epilog=SHOW_EPILOG)
def show(job_id: JobId, json_output: Json = False) -> None:
    """Show all that is known of one job."""
    from provwatch.console import plain, say, say_json, table

    with _ledger() as ledger:
        record = as_json(_found(ledger, job_id))
    if json_output:
        say_json(record)
    else:
        say(table({name: plain(value) for name, value in record.items() if value}))


@app.command("retry", epilog=RETRY_EPILOG)
def retry(job_id: JobId, json_output: Json = False) -> int:
    """Do a failed job again, now."""
    from provwatch.cli.session import open_session
    from provwatch.config import load_settings
    from provwatch.outcome import exit_code

    with open_session(load_settings()) as session:
        job = session.ledger.retry_now(_found(session.ledger, job_id).id)
        outcome = session.processor.again(job)
        session.report(outcome, as_json=json_output)
    return exit_code([outcome])


@app.command("forget", epilog=FORGET_EPILOG)
def forget(job_id: JobId, json_output: Json = False) -> None:
    """Remove a job from the ledger; packages are not touched."""
    from provwatch.console import say_json, talk

    with _ledger() as ledger:
        job = _found(ledger, job_id)
        ledger.forget(job.id)
    if json_output:
        say_json(as_json(job))
    else:
        talk(f"forgotten: {job.id}")


@app.command("export", epilog=EXPORT_EPILOG)
def export(json_output: Json = False) -> None:
    """Print every job as JSON, one a line, oldest first."""
    from provwatch.console import say_json

    with _ledger() as ledger:
        for job in ledger.jobs(newest_first=False):
            say_json(as_json(job))


def as_json(job: Job) -> dict[str, Any]:
    """Return a job as the contract has it."""
    return {
        "id": job.id,
        "source": job.source,
        "package": job.package,
        "state": str(job.state),
        "attempts": job.attempts,
        "code": job.code,
        "reason": job.reason,
        "fingerprint": job.fingerprint,
        "top_hash": job.top_hash,
        "first_seen": _time(job.first_seen),
        "updated": _time(job.updated),
        "registry": job.registry,
        "outcome": job.outcome,
    }


def _ledger() -> SqliteLedger:
    """Open the ledger."""
    from provwatch.cli.session import ledger_path
    from provwatch.config import home
    from provwatch.ledger.sqlite import SqliteLedger

    return SqliteLedger(ledger_path(home()))


def _found(ledger: Any, job_id: str) -> Job:
    """Return a job, or say that there is none."""
    from provwatch.errors import UsageError

    job: Job | None = ledger.job(job_id)
    if job is None:
        raise UsageError(f"there is no job {job_id!r}", hint="See: provwatch history")
    return job


def _time(seconds: float) -> str:
    """Return a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _since(written: str) -> float | None:
    """Return the time that an age such as ``7d``, or a date, means."""
    from provwatch.errors import UsageError

    if not written:
        return None
    try:
        if written[:-1].isdecimal() and written[-1] in UNITS:
            age = timedelta(**{UNITS[written[-1]]: int(written[:-1])})
            return (datetime.now(UTC) - age).timestamp()
        return datetime.fromisoformat(written).timestamp()
    except (ValueError, OverflowError):
        raise UsageError(f"{written!r} is neither an age nor a date", hint="Use 12h, 7d or 2026-11-22") from None


def _line(job: Job) -> str:
    """Return one line for people."""
    from provwatch.console import plain, styled

    word = job.outcome or str(job.state)
    style = {"pushed": "green", "emitted": "green", "failed": "red"}.get(word, "yellow")
    why = f"  {job.code}" if job.code and job.code != word else ""
    name = plain(job.package or job.source)
    return f"{job.id}  {_time(job.updated)}  {styled(word.ljust(10), style)}  {name}  {job.top_hash[:10]}{why}".rstrip()
