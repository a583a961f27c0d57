"""What every form of the graph writes down: boxes with finished words, arrows, and their colours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from provwatch.graph.flow import Kind

LABEL_CHARACTERS = 40
TIP_CHARACTERS = 240
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
FAILED_MARK = "\N{BALLOT X}"
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Not text: controls, lone surrogates and non-characters, which XML forbids, and marks that turn text around.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]")
SPACE = re.compile(r"[ \t\r\n]+")


class Role(StrEnum):
    """What a box is to the run; decides its colour."""

    RUN = "run"
    TASK = "task"
    FAILED = "failed"
    PARAMETERS = "parameters"
    INPUT = "input"
    DATA = "data"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Colours:
    """Colours of a box; the line has a contrast of 3 or more against white and near-black pages."""

    fill: str
    line: str


INK = "#111827"
WIRE = "#6b7280"
PALETTE: dict[Role, Colours] = {
    Role.RUN: Colours("#ede9fe", "#7c3aed"),
    Role.TASK: Colours("#fef3c7", "#b45309"),
    Role.FAILED: Colours("#fee2e2", "#dc2626"),
    Role.PARAMETERS: Colours("#e0f2fe", "#0369a1"),
    Role.INPUT: Colours("#dbeafe", "#2563eb"),
    Role.DATA: Colours("#f3f4f6", "#6b7280"),
    Role.OUTPUT: Colours("#dcfce7", "#15803d"),
}


@dataclass(frozen=True, slots=True)
class Box:
    """One node in words.

    Attributes:
        id: ``n1``, ``n2``...; never from the crate.
        kind: decides its shape.
        role: decides its colour.
        lines: what stands in it, the name first.
        tip: the same in one line, less shortened.
        stacked: whether it stands for several.
    """

    id: str
    kind: Kind
    role: Role
    lines: tuple[str, ...]
    tip: str
    stacked: bool


@dataclass(frozen=True, slots=True)
class Arrow:
    """A link between two boxes, by their positions; dashed where a run started a task."""

    source: int
    target: int
    dashed: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """A graph ready to be written: its texts are single lines of printable characters, but not yet escaped.

    It is read from the left to the right, or from the top when it runs *downward*.
    """

    title: str
    subtitle: str
    summary: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    downward: bool


def one_line(words: str) -> str:
    """Return text on one line, with a mark in place of what no reader could see; nothing moves together."""
    return UNPRINTABLE.sub(REPLACEMENT, SPACE.sub(" ", words)).strip()


def shorten(words: str, characters: int = LABEL_CHARACTERS) -> str:
    """Return text of at most so many characters, cut in the middle: names differ at their ends."""
    if len(words) <= characters:
        return words
    tail = (characters - 1) // 2
    return words[: characters - 1 - tail] + ELLIPSIS + words[len(words) - tail :]
