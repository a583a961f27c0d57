"""A picture as a Mermaid flowchart (https://mermaid.js.org/syntax/flowchart.html), one statement a line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provwatch.graph.flow import Kind
from provwatch.graph.picture import INK, PALETTE, WIRE, Arrow, Box, Picture, Role

SHAPES: dict[Kind, tuple[str, str]] = {
    Kind.CRATE: ("([", "])"),
    Kind.WORKFLOW: ("{{", "}}"),
    Kind.RUN: ("([", "])"),
    Kind.TASK: ("(", ")"),
    Kind.PARAMETERS: ("[/", "/]"),
    Kind.FILE: ("[", "]"),
    Kind.FOLDER: ("[[", "]]"),
}
LINE_BREAK = "<br/>"
ICON = ":fa-"  # fa:fa-car would become a picture of one, escaped or not
ICON_APART = ":\N{ZERO WIDTH SPACE}fa-"
# All but letters, digits and what is plain inside quotes. Labels are Markdown too: a full stop may end the
# number of a list item, a hyphen may begin one, and underscores that are not between letters emphasise.
# Lines with the words style or classDef lose their last semicolon.
SPECIAL = re.compile(
    r"[^\w .,:/()=-]|(?<![^\W_])_|_(?![^\W_])|\.(?= |$)|^[-=]|s(?=tyle)|c(?=lassDef)",
)


def write_mermaid(picture: Picture) -> str:
    """Write a picture as a flowchart inside one subgraph, whose label is the title."""
    title = " - ".join(part for part in (picture.title, picture.subtitle) if part)
    direction = "TD" if picture.downward else "LR"
    lines = [f"flowchart {direction}", f'  subgraph n0["{_escape(title)}"]', f"    direction {direction}"]
    lines += [f"    {_node(box)}" for box in picture.boxes]
    lines += [f"    {_link(picture, arrow)}" for arrow in picture.arrows]
    lines += ["  end", f"  style n0 fill:none,stroke:{WIRE}", *(f"  {line}" for line in _colours(picture))]
    return "\n".join(lines) + "\n"


def _node(box: Box) -> str:
    """Return the statement of a box."""
    left, right = SHAPES[box.kind]
    return f'{box.id}{left}"{LINE_BREAK.join(map(_escape, box.lines))}"{right}'


def _link(picture: Picture, arrow: Arrow) -> str:
    """Return the statement of an arrow."""
    line = "-.->" if arrow.dashed else "-->"
    return f"{picture.boxes[arrow.source].id} {line} {picture.boxes[arrow.target].id}"


def _colours(picture: Picture) -> Iterator[str]:
    """Yield the statements that colour the boxes of each role."""
    for role, colours in PALETTE.items():
        ids = ",".join(box.id for box in picture.boxes if box.role is role)
        if ids:
            dashes = ",stroke-width:3px,stroke-dasharray:6 3" if role is Role.FAILED else ""
            yield f"classDef {role} fill:{colours.fill},stroke:{colours.line},color:{INK}{dashes}"
            yield f"class {ids} {role}"


def _escape(words: str) -> str:
    """Write all that Mermaid, Markdown or HTML could take for syntax as ``#35;``, its code point."""
    return SPECIAL.sub(lambda found: f"#{ord(found[0])};", words).replace(ICON, ICON_APART)
