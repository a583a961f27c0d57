"""A flow to a picture: every word that will be seen, cleaned, on one line and short."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from provwatch.crate import Crate, Run, RunView
from provwatch.crate.model import text
from provwatch.graph.flow import DATA_KINDS, Flow, Kind, Node, neighbours
from provwatch.graph.layout import runs_down
from provwatch.graph.nodes import UNNAMED, has_failed, shown_id, split_process
from provwatch.graph.picture import FAILED_MARK, TIP_CHARACTERS, Arrow, Box, Picture, Role, one_line, shorten

TITLE_CHARACTERS = 80
EXTENSIONS_SHOWN = 3
NAMES_SHOWN = 2
DOT = " \N{MIDDLE DOT} "


def label(crate: Crate, view: RunView, flow: Flow, clean: Callable[[str], str]) -> Picture:
    """Give a flow its words; *clean* sees each text from the crate before it is shortened."""

    def tidy(words: str) -> str:
        return one_line(clean(one_line(words)))

    title = shorten(tidy(_title(crate, view)), TITLE_CHARACTERS) or UNNAMED
    facts = [shorten(tidy(fact)) for fact in _facts(crate, view)]
    subtitle = DOT.join(fact for fact in facts if fact)
    return Picture(
        title=title,
        subtitle=subtitle,
        summary=_summary(flow),
        boxes=tuple(_boxes(flow, tidy)),
        arrows=tuple(
            Arrow(source, target, dashed)
            for pairs, dashed in ((flow.flows, False), (flow.starts, True))
            for source, target in sorted(pairs)
        ),
        downward=runs_down(len(flow.nodes), [*flow.flows, *flow.starts]),
    )


def _title(crate: Crate, view: RunView) -> str:
    """Return what ran, else what the crate is of."""
    workflow = crate.get(view.workflow_id) if view.workflow_id else None
    name = text(workflow.name) if workflow is not None else None
    return name or text(crate.root.name) or shown_id(view.workflow_id) or "Crate"


def _facts(crate: Crate, view: RunView) -> Iterator[str]:
    """Yield which run it was, how it ended, on which engine, and who ran it."""
    if view.run is not None:
        yield from _run_facts(view.run, _title(crate, view), from_nf_prov=view.from_nf_prov)
    elif not view.tasks:
        yield f"{view.kind} crate"
    tools = (tool for engine in view.engines for tool in crate.linked(engine.instrument))
    yield from _first_names(text(tool.name) for tool in tools)
    if view.run is not None:
        agents = crate.resolve(crate.facts(view.run.id).get("agent"))
        yield from _first_names(text(agent.get("name")) for agent in agents)


def _run_facts(run: Run, title: str, *, from_nf_prov: bool) -> Iterator[str]:
    """Yield a run's name, unless it says nothing new, its ``@id``, and whether it failed."""
    name, run_id = text(run.action.name) or "", shown_id(run.id)
    if name and run_id not in name and name != title:
        yield name
    if run_id:
        yield f"run {run_id}"
    if has_failed(run.action, from_nf_prov=from_nf_prov):
        yield f"{FAILED_MARK} failed"


def _first_names(names: Iterable[str | None]) -> list[str]:
    """Return the first few of the different names, sorted."""
    return sorted({name for name in names if name})[:NAMES_SHOWN]


def _summary(flow: Flow) -> str:
    """Return what the picture shows, for those who cannot see it."""
    counts = Counter[Kind]()
    for node in flow.nodes:
        counts[node.kind] += node.members
    failed = sum(node.failed for node in flow.nodes if node.kind is Kind.TASK)
    shown = [
        _plural(counts[Kind.TASK], "task") + (f" ({failed} failed)" if failed else ""),
        _plural(counts[Kind.FILE] + counts[Kind.FOLDER], "file"),
        _plural(counts[Kind.PARAMETERS], "parameter"),
    ]
    arrows = "Arrows follow what was read and written"
    starts = ", dashed ones lead to the tasks that the run began with" if flow.starts else ""
    return f"Provenance of {', '.join(shown)}. {arrows}{starts}."


def _plural(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _boxes(flow: Flow, tidy: Callable[[str], str]) -> Iterator[Box]:
    """Yield the boxes, numbered from ``n1``; no name from the crate becomes one here."""
    before, after = neighbours(len(flow.nodes), flow.flows)
    is_run = all(node.kind is not Kind.CRATE for node in flow.nodes)
    for position, node in enumerate(flow.nodes):
        lines = [line for line in map(tidy, _lines(node)) if line] or [UNNAMED]
        role = _role(node, made=bool(before[position]), used=bool(after[position]) or not is_run)
        stacked = node.members > 1 and node.kind is not Kind.PARAMETERS
        tip = shorten(", ".join(lines), TIP_CHARACTERS)
        yield Box(f"n{position + 1}", node.kind, role, tuple(map(shorten, lines)), tip, stacked)


def _role(node: Node, *, made: bool, used: bool) -> Role:
    """Return what a node is to the run."""
    if node.failed:
        return Role.FAILED
    if node.kind is Kind.TASK:
        return Role.TASK
    if node.kind is Kind.PARAMETERS:
        return Role.PARAMETERS
    if node.kind not in DATA_KINDS:
        return Role.RUN
    if not made:
        return Role.INPUT
    return Role.OUTPUT if node.published or not used else Role.DATA


def _lines(node: Node) -> Iterator[str]:
    """Yield the lines of a box, the name first."""
    if node.kind is Kind.TASK:
        yield from _task_lines(node)
    elif node.kind is Kind.PARAMETERS:
        yield _plural(node.members, "parameter")
    elif node.kind in DATA_KINDS and node.members > 1:
        noun = "folder" if node.kind is Kind.FOLDER else "file"
        yield f"{_plural(node.members, noun)}{_extensions(node.extensions)}"
        if node.place:
            yield f"in {node.place}"
    else:
        yield node.name if node.members == 1 else f"{node.name} x {node.members}"
        if node.note:
            yield node.note
    if node.failed:
        share = f" {node.failed} of {node.members}" if node.members > 1 else ""
        yield f"{FAILED_MARK}{share} failed"


def _task_lines(node: Node) -> Iterator[str]:
    """Yield the lines of tasks: ``ALIGN x 64``, or ``ALIGN`` and its tag; then where that process lies."""
    scope, own = split_process(node.name)
    if not node.name:
        yield f"{node.processes} other processes"
        yield _plural(node.members, "task")
        return
    if node.members > 1:
        yield f"{own} x {node.members}"
    else:
        yield own
        if node.note:
            yield node.note
    if node.processes > 1:
        yield f"{node.processes} processes"
    if scope:
        yield f"in {scope}"


def _extensions(extensions: Sequence[str]) -> str:
    """Return the extensions of folded files: `` (bam, txt)``, the first few of many."""
    if not extensions:
        return ""
    more = len(extensions) - EXTENSIONS_SHOWN
    shown = ", ".join(extensions[:EXTENSIONS_SHOWN])
    return f" ({shown} and {more} more)" if more > 0 else f" ({shown})"
