"""A picture as a Graphviz digraph (https://graphviz.org/doc/info/lang.html), one statement a line."""

from __future__ import annotations

from provwatch.graph.flow import Kind
from provwatch.graph.picture import INK, PALETTE, WIRE, Arrow, Box, Picture, Role

SHAPES: dict[Kind, str] = {
    Kind.CRATE: "box",
    Kind.WORKFLOW: "hexagon",
    Kind.RUN: "box",
    Kind.TASK: "box",
    Kind.PARAMETERS: "parallelogram",
    Kind.FILE: "note",
    Kind.FOLDER: "folder",
}
ROUNDED = frozenset({Kind.CRATE, Kind.RUN, Kind.TASK})
LINE_BREAK = "\\n"


def write_dot(picture: Picture) -> str:
    """Write a picture as a digraph with the title above it."""
    title = _quote(*filter(None, (picture.title, picture.subtitle)))
    direction = "TB" if picture.downward else "LR"
    lines = [
        "digraph provenance {",
        f"  graph [label={title}, labelloc=t, rankdir={direction}, fontname=Helvetica];",
        f'  node [style=filled, fontname=Helvetica, fontsize=11, fontcolor="{INK}"];',
        f'  edge [color="{WIRE}"];',
        *(f"  {_node(box)}" for box in picture.boxes),
        *(f"  {_edge(picture, arrow)}" for arrow in picture.arrows),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _node(box: Box) -> str:
    """Return the statement of a box."""
    colours = PALETTE[box.role]
    styles = ["filled", "rounded"] if box.kind in ROUNDED else ["filled"]
    extra = ""
    if box.role is Role.FAILED:
        styles.append("dashed")
        extra = ", penwidth=2.5"
    elif box.stacked:
        extra = ", peripheries=2"
    words = f"label={_quote(*box.lines)}, tooltip={_quote(box.tip)}"
    paint = f'fillcolor="{colours.fill}", color="{colours.line}", style="{",".join(styles)}"'
    return f"{box.id} [{words}, shape={SHAPES[box.kind]}, {paint}{extra}];"


def _edge(picture: Picture, arrow: Arrow) -> str:
    """Return the statement of an arrow."""
    style = " [style=dashed]" if arrow.dashed else ""
    return f"{picture.boxes[arrow.source].id} -> {picture.boxes[arrow.target].id}{style};"


def _quote(*lines: str) -> str:
    """Return lines as one quoted string: no escape sequences of Graphviz's in it, and no HTML entities."""
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for line in lines)
    return f'"{LINE_BREAK.join(escaped)}"'
