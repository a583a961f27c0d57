"""``provwatch show``: what ran, for a person; and the picture of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

EPILOG = """\b
Examples:
  provwatch show results/
  provwatch show results/ --graph svg > run.svg
  provwatch show results/ --graph mermaid
"""


class Graph(StrEnum):
    """The forms of the provenance picture."""

    SVG = "svg"
    MERMAID = "mermaid"
    DOT = "dot"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("show", epilog=EPILOG)(show)


def show(
    crate: Annotated[str, typer.Argument(help="Metadata document, folder, .zip or '-'.")],
    graph: Annotated[Graph | None, typer.Option("--graph", help="Draw the provenance instead.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what a crate says of its run."""
    from provwatch.cli.summary import summarise
    from provwatch.console import say, say_json
    from provwatch.crate import read_crate
    from provwatch.metadata import derive_metadata, gather

    sources = gather(read_crate(crate))
    if graph is not None:
        from provwatch.graph import draw

        say(draw(sources.crate, sources.view, graph.value, clean=sources.redactor.text).rstrip("\n"))
        return
    metadata = derive_metadata(sources)
    if json_output:
        say_json({"source": crate, "kind": metadata.kind, "is_run": metadata.is_run, **metadata.values})
    else:
        say(summarise(metadata.values, kind=metadata.kind))
