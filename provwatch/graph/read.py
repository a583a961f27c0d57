"""A crate to a flow: who read and wrote what, with publishes and parameters folded away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from provwatch.crate import Crate, Entity, RunView
from provwatch.crate.model import references, text
from provwatch.crate.runs import ACTION_TYPES, NF_PROV_OUTPUT, NF_PROV_PUBLISH, NF_PROV_TASK, Task
from provwatch.graph.flow import Flow, Kind, Node, Pair
from provwatch.graph.nodes import BLANK, UNNAMED, data_node, run_node, shown_id, task_node

DATA_TYPES = ("File", "MediaObject", "Dataset", "RepositoryCollection", "RepositoryObject")
PARAMETER_TYPES = ("PropertyValue", "FormalParameter")


def read_flow(crate: Crate, view: RunView) -> Flow:
    """Return what a crate's actions read and wrote; where there are none, the crate's parts."""
    if view.runs or view.tasks:
        return _Reader(crate, view).read()
    return _read_parts(crate, view)


class _Uses(NamedTuple):
    """What an action read and wrote, publishes resolved; parameters apart."""

    inputs: Sequence[str]
    outputs: Sequence[str]
    parameters: Sequence[str]


class _Reader:
    """Collects the nodes and links of a crate's actions, files in the order in which actions name them."""

    def __init__(self, crate: Crate, view: RunView) -> None:
        """Look up what all actions need: where results were published, and what the runs gave out."""
        self._crate = crate
        self._view = view
        self._published = _publishes(crate)
        given = {target for run in view.runs for target in references(run.action.object)}
        self._copied = given if view.from_nf_prov else set[str]()
        self._delivered = {target for run in view.runs for target in references(run.action.result)}
        self._delivered.update(target for targets in self._published.values() for target in targets)
        self._nodes: list[Node] = []
        self._index: dict[str, int] = {}
        self._flows: dict[Pair, None] = {}
        self._parameters: dict[str, None] = {}
        self._parametrised: dict[int, None] = {}

    def read(self) -> Flow:
        """Return the flow of all runs and tasks."""
        tasks = sorted(self._view.tasks, key=self._rank)
        uses = {task.id: self._uses(task.action) for task in tasks}
        starters = _starters(self._crate, self._view)
        made = {target for task_id in starters if task_id in uses for target in uses[task_id].outputs}
        used = {target for task_id in starters if task_id in uses for target in uses[task_id].inputs}
        runs = {
            run.id: self._add_run(run.action, skip_inputs=made | used, skip_outputs=made) for run in self._view.runs
        }
        starts: dict[Pair, None] = {}
        for task in tasks:
            node = task_node(self._crate, task, from_nf_prov=self._view.from_nf_prov)
            step = self._add_step(node, uses[task.id])
            run = runs.get(starters.get(task.id, ""))
            if run is not None and made.isdisjoint(uses[task.id].inputs):
                starts[run, step] = None
        self._add_parameters()
        return Flow(self._nodes, tuple(self._flows), tuple(starts))

    def _rank(self, task: Task) -> tuple[str, str, str, bytes]:
        """Return a sort key made of a task's content."""
        name = task.action.name if isinstance(task.action.name, str) else ""
        return task.process, name, *_id_rank(self._crate, task.id)

    def _uses(self, action: Entity) -> _Uses:
        """Return what an action read and wrote; a file published twice is read where it came first."""
        inputs, parameters = [], []
        for target in references(action.object):
            entity = self._crate.get(target)
            if target.startswith(NF_PROV_OUTPUT):
                continue
            if entity is not None and entity.is_a(*PARAMETER_TYPES):
                parameters.append(target)
            elif entity is None:
                inputs.append(self._copy_of(target))
            else:
                inputs.append(self._published.get(target, (target,))[0])
        outputs = [item for target in references(action.result) for item in self._published.get(target, (target,))]
        return _Uses(tuple(inputs), tuple(outputs), tuple(parameters))  # tuples are free for the garbage collector

    def _copy_of(self, target: str) -> str:
        """Return the file that a dangling reference means: nf-prov copies parameter files into the crate."""
        published = self._published.get(target, (target,))[0]
        name = published.rpartition("/")[2]
        return name if published.startswith("file:") and name in self._copied else published

    def _add_run(self, action: Entity, *, skip_inputs: set[str], skip_outputs: set[str]) -> int:
        """Add a run; what its tasks read and wrote is linked to those."""
        uses = self._uses(action)
        inputs = [target for target in uses.inputs if target not in skip_inputs]
        outputs = [target for target in uses.outputs if target not in skip_outputs]
        node = run_node(self._crate, action, self._view.workflow_id, from_nf_prov=self._view.from_nf_prov)
        return self._add_step(node, _Uses(inputs, outputs, uses.parameters))

    def _add_step(self, node: Node, uses: _Uses) -> int:
        """Add a run or task with the files and parameters that it used."""
        step = len(self._nodes)
        self._nodes.append(node)
        for target in uses.inputs:
            self._flows[self._data(target), step] = None
        for target in uses.outputs:
            self._flows[step, self._data(target)] = None
        if uses.parameters:
            self._parameters.update(dict.fromkeys(uses.parameters))
            self._parametrised[step] = None
        return step

    def _data(self, target: str) -> int:
        """Return the position of a file's node, added when it is first named."""
        position = self._index.get(target)
        if position is None:
            position = self._index[target] = len(self._nodes)
            self._nodes.append(data_node(self._crate, target, published=target in self._delivered))
        return position

    def _add_parameters(self) -> None:
        """Add one node for all parameters: their values are nobody's business here."""
        if self._parameters:
            position = len(self._nodes)
            self._nodes.append(Node(Kind.PARAMETERS, "", members=len(self._parameters)))
            self._flows.update(dict.fromkeys((position, step) for step in self._parametrised))


def _id_rank(crate: Crate, entity_id: str) -> tuple[str, bytes]:
    """Return a sort key: the ``@id``; for a blank node, whose name depends on the file's order, its content."""
    if not entity_id.startswith(BLANK):
        return entity_id, b""
    head, *rest = bytes(crate.raw[entity_id]).split(b'"_:unnamed-')
    return "", head + b"".join(piece.lstrip(b"0123456789") for piece in rest)


def _publishes(crate: Crate) -> dict[str, list[str]]:
    """Return, for each result that nf-prov's publish actions name, the files it was published as."""
    found: dict[str, list[str]] = {}
    for action_id, action in crate.of_type(*ACTION_TYPES):
        if action_id[:9] == NF_PROV_PUBLISH:
            sources, targets = references(action.object), references(action.result)
            if len(sources) == 1 and targets:
                found.setdefault(sources[0], targets)
                if found[sources[0]] is not targets:
                    found[sources[0]] += targets
    for targets in found.values():
        if len(targets) > 1:
            targets[:] = sorted(set(targets))
    return found


def _starters(crate: Crate, view: RunView) -> dict[str, str]:
    """Return the run that each task belongs to, for those that belong to one.

    The engine's OrganizeAction says so (https://w3id.org/ro/wfrun/provenance); else the task is nf-prov's,
    or its tool is a part of the workflow.
    """
    if view.run is None:
        return {}
    workflow = crate.get(view.workflow_id) if view.workflow_id else None
    tools = set(references(workflow.has_part)) if workflow is not None else set()
    found = {
        task.id: view.run.id
        for task in view.tasks
        if task.id.startswith(NF_PROV_TASK) or not tools.isdisjoint(references(task.action.instrument))
    }
    for control_id, run_id in _controls(view).items():
        control = crate.get(control_id)
        if control is not None:
            found.update(dict.fromkeys(references(control.object), run_id))
    return found


def _controls(view: RunView) -> dict[str, str]:
    """Return the run that each control action of the engines belongs to."""
    runs = {run.id for run in view.runs}
    found: dict[str, str] = {}
    for engine in sorted(view.engines, key=lambda engine: str(engine.id)):
        run_id = next((target for target in references(engine.result) if target in runs), None)
        if run_id is not None:
            found.update(dict.fromkeys(references(engine.object), run_id))
    return found


def _read_parts(crate: Crate, view: RunView) -> Flow:
    """Return a crate without actions: its root, its main workflow, and its parts, else what data it has."""
    nodes = [Node(Kind.CRATE, text(crate.root.name) or UNNAMED, "crate")]
    if view.workflow_id:
        workflow = crate.get(view.workflow_id)
        name = text(workflow.name) if workflow is not None else None
        nodes.append(Node(Kind.WORKFLOW, name or shown_id(view.workflow_id) or UNNAMED, "main workflow"))
    skipped = {crate.root_id, view.workflow_id, crate.descriptor_id}
    parts = references(crate.root.has_part)
    if not parts:
        described = (entity_id for entity_id, _ in crate.of_type(*DATA_TYPES))
        parts = sorted(described, key=lambda entity_id: _id_rank(crate, entity_id))
    nodes += [data_node(crate, part, published=False) for part in dict.fromkeys(parts) if part not in skipped]
    return Flow(nodes, [(0, position) for position in range(1, len(nodes))])
