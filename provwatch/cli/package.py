"""``provwatch package``: make the package of a run's folder now, unless it is there already."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from provwatch.cli import options

if TYPE_CHECKING:
    from provwatch.outcome import Outcome

EPILOG = """\b
Examples:
  provwatch package results/ --dry-run
  provwatch package results/
  provwatch package results/ --name lab/rnaseq-42 --metadata '{"project": "atlas"}'
  provwatch package results/ --dedup outputs
  provwatch package results/ --registry s3://my-bucket --exclude '*.bam'
  provwatch package results/ --emit descriptions.jsonl
"""


class Dedup(StrEnum):
    """What makes a duplicate."""

    CONTENT = "content"
    OUTPUTS = "outputs"
    OFF = "off"


class Files(StrEnum):
    """Which files to package."""

    ALL = "all"
    LISTED = "listed"


Flag = bool | None


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("package", epilog=EPILOG)(package)


def package(
    source: Annotated[list[str], typer.Argument(help="Folders, crates, description files or '-'.")],
    registry: options.Registry = None,
    name: options.Name = None,
    message: options.Message = None,
    quilt_workflow: options.QuiltWorkflow = None,
    metadata: options.UserMetadata = None,
    metadata_prefix: options.MetadataPrefix = None,
    files: Annotated[Files | None, typer.Option("--files", help="All files, or those the crate lists.")] = None,
    dedup: Annotated[Dedup | None, typer.Option("--dedup", help="What makes a duplicate.")] = None,
    copy: Annotated[Flag, typer.Option("--copy/--no-copy", help="Keep the files' bytes in the registry.")] = None,
    link: Annotated[
        Flag, typer.Option("--link/--no-link", help="Refer to files behind outward links in place.")
    ] = None,
    keep_config: Annotated[
        Flag, typer.Option("--keep-config/--no-keep-config", help="Package nextflow.config, redacted.")
    ] = None,
    allow_empty: Annotated[
        Flag, typer.Option("--allow-empty/--no-allow-empty", help="Package an empty folder too.")
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=0, help="Threads that read files.")] = None,
    include: Annotated[
        list[str] | None, typer.Option("--include", help="Only files like this; may be repeated.")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="No files like this; may be repeated.")] = None,
    summary: Annotated[
        Flag, typer.Option("--summary/--no-summary", help="Add a report, README.md and quilt_summarize.json.")
    ] = None,
    max_size: Annotated[str | None, typer.Option("--max-size", help="Refuse to store more, such as 500GB.")] = None,
    bwlimit: Annotated[str | None, typer.Option("--bwlimit", help="Upload no faster, such as 20MB a second.")] = None,
    take_over: Annotated[bool, typer.Option("--take-over", help="Take the name over from another source.")] = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Describe again, though no file changed.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen; write nothing.")] = False,
    emit: Annotated[str | None, typer.Option("--emit", help="Send the description instead: '-' or a file.")] = None,
    json_output: options.Json = False,
) -> int:
    """Make a Quilt package of each SOURCE, unless its package holds the same already."""
    from provwatch.cli.session import open_session
    from provwatch.config import load_settings
    from provwatch.errors import ProvwatchError
    from provwatch.outcome import exit_code, failed

    options.checked(name, registry)
    flags = {
        "registry": registry,
        "metadata_prefix": metadata_prefix,
        "files": files.value if files else None,
        "dedup": dedup.value if dedup else None,
        "copy": copy,
        "link": link,
        "keep_config": keep_config,
        "allow_empty": allow_empty,
        "threads": threads,
        "include": include or None,
        "exclude": exclude or None,
        "summary": summary,
        "max_size": max_size,
        "bwlimit": bwlimit,
    }
    settings = load_settings().override(flags)
    said: dict[str, Any] = {
        "registry": registry,
        "name": name,
        "message": message,
        "quilt_workflow": quilt_workflow,
        "metadata": options.user_metadata(metadata),
        "take_over": take_over,
        "refresh": refresh,
        "dry_run": dry_run,
        "emit": options.target(emit),
    }
    outcomes: list[Outcome] = []
    with open_session(settings, dry_run=dry_run) as session:
        for one in source:
            if session.stopping():
                break
            try:
                request = options.requests_for(one, settings, **said)
            except ProvwatchError as error:
                if len(source) == 1 and not json_output:
                    raise
                outcome = failed(error, source=one)
            else:
                outcome = session.processor.package(request)
            session.report(outcome, as_json=json_output, data_is_elsewhere=emit == "-")
            outcomes.append(outcome)
    return exit_code(outcomes)
