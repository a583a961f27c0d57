"""What flowed where in a run: things and the links between them, before anybody gives them words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

Pair = tuple[int, int]


class Kind(StrEnum):
    """What a node stands for."""

    CRATE = "crate"
    WORKFLOW = "workflow"
    RUN = "run"
    TASK = "task"
    PARAMETERS = "parameters"
    FILE = "file"
    FOLDER = "folder"


DATA_KINDS = frozenset({Kind.FILE, Kind.FOLDER})


class Node(NamedTuple):
    """One thing, or several of one kind folded into one; a tuple, as a run has a million of them.

    Attributes:
        kind: what it is.
        name: full process name of a task, name or path of a file; "" where folded ones have none in common.
        note: what tells it from its siblings, such as a task's tag; "" when folded.
        place: the folder that a file, or all the folded ones, lie in, or "".
        extensions: file name extensions without the dot, sorted.
        members: how many it stands for.
        processes: how many processes its tasks belong to.
        failed: how many of them failed.
        published: whether it, or one of them, is an output of the run.
    """

    kind: Kind
    name: str
    note: str = ""
    place: str = ""
    extensions: tuple[str, ...] = ()
    members: int = 1
    processes: int = 1
    failed: int = 0
    published: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """Nodes and, by their positions, what went from where to where.

    Attributes:
        nodes: in an order that depends only on the crate's content.
        flows: data into and out of processes, or the crate and its parts; each pair once.
        starts: the run and the tasks it began with; each pair once, none that is a flow too.
    """

    nodes: Sequence[Node]
    flows: Sequence[Pair]
    starts: Sequence[Pair] = ()


def neighbours(count: int, pairs: Sequence[Pair]) -> tuple[list[list[int]], list[list[int]]]:
    """Return, for each of *count* nodes, where its links come from and where they go to."""
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    for source, target in pairs:
        after[source].append(target)
        before[target].append(source)
    return before, after
