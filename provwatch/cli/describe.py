"""``provwatch describe``: the package description of a source; touches nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from provwatch.cli import options

EPILOG = """\b
Examples:
  provwatch describe results/
  provwatch describe results/ --registry s3://my-bucket --name lab/run1
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("describe", epilog=EPILOG)(describe)


def describe(
    source: Annotated[str, typer.Argument(help="Folder, crate, description file or '-'.")],
    registry: options.Registry = None,
    name: options.Name = None,
    message: options.Message = None,
    quilt_workflow: options.QuiltWorkflow = None,
    metadata: options.UserMetadata = None,
    metadata_prefix: options.MetadataPrefix = None,
    json_output: options.Json = False,
) -> None:
    """Print the package description: Quilt's message, as JSON. Nothing is read but the crate, nothing written."""
    from provwatch.config import load_settings
    from provwatch.console import say_json
    from provwatch.description import serialise
    from provwatch.look import describe as description_of

    options.checked(name, registry)
    settings = load_settings().override({"registry": registry, "metadata_prefix": metadata_prefix})
    request = options.requests_for(
        source,
        settings,
        registry=registry,
        name=name,
        message=message,
        quilt_workflow=quilt_workflow,
        metadata=options.user_metadata(metadata),
    )
    say_json(serialise(description_of(request, settings)), indent=None if json_output else 2)
