"""What ran in a crate: the run, its tasks and publishes told apart, and run crates from all others.

Profiles: Process, Workflow and Provenance Run Crate (https://w3id.org/ro/wfrun/). nf-prov's spelling, and
where it departs from them, is that of its WrrocRenderer 1.4 to 1.7.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

import msgspec

from provwatch.crate.model import Crate, Entity, instant, many, references, text

ACTION_TYPES = ("CreateAction", "ActivateAction", "UpdateAction")
TOOL_TYPES = ("SoftwareApplication", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo")
RUN_PROFILE = re.compile(r"https?://w3id\.org/ro/wfrun/")
NF_PROV_TASK = "#task/"
NF_PROV_PUBLISH = "#publish/"
NF_PROV_CONTROL = "#process-control/"
NF_PROV_OUTPUT = "#output/"
TAG_START = " ("
NF_PROV_ENGINE = "#software-application"


class CrateKind(StrEnum):
    """What a crate is of."""

    RUN = "run"
    PIPELINE = "pipeline"
    DATA = "data"


class Run(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One execution: of the main workflow, or of a tool where the crate has no workflow."""

    id: str
    action: Entity


class Task(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One task of a run; ``process`` is its full name, such as ``RNASEQ:ALIGN``."""

    id: str
    action: Entity
    process: str


class RunView(msgspec.Struct, frozen=True, eq=False):
    """A crate seen as runs.

    Attributes:
        kind: run, pipeline or data crate.
        workflow_id: ``@id`` of the main workflow, or "".
        runs: the executions of the main workflow, newest first.
        tasks: the executions of tools inside the run; neither publishes nor control actions, nor what a
            wrapper of the engine did before and after the run.
        publishes: how many of nf-prov's publish actions there are.
        engines: the actions that say which engine ran (OrganizeAction).
        from_nf_prov: whether nf-prov wrote the crate.
    """

    kind: CrateKind
    workflow_id: str
    runs: tuple[Run, ...]
    tasks: tuple[Task, ...]
    publishes: int
    engines: tuple[Entity, ...]
    from_nf_prov: bool

    @property
    def run(self) -> Run | None:
        """The newest run, or None."""
        return self.runs[0] if self.runs else None


def view_runs(crate: Crate) -> RunView:
    """Tell apart the runs, tasks and publishes of a crate, in one walk over its entities."""
    workflow_id = _main_workflow(crate)
    runs: list[tuple[str, Entity]] = []
    tasks: list[tuple[str, Entity]] = []
    others: set[str] = set()
    publishes = 0
    for entity_id, entity in crate.of_type(*ACTION_TYPES):
        if entity_id[:9] == NF_PROV_PUBLISH:  # a slice, as a run has a million of these
            publishes += 1
        elif entity_id[:6] == NF_PROV_TASK:
            tasks.append((entity_id, entity))
        elif workflow_id and workflow_id in references(entity.instrument):
            runs.append((entity_id, entity))
        elif _uses_a_tool(crate, entity):
            tasks.append((entity_id, entity))
            others.add(entity_id)
    if runs and others:
        others -= _inside(crate, workflow_id, others)
        tasks = [task for task in tasks if task[0] not in others]
    if (
        not runs
        and len(tasks) == 1
        and not tasks[0][0].startswith(NF_PROV_TASK)
        and not _has_workflow(crate, workflow_id)
    ):
        runs, tasks = tasks, []
    return RunView(
        kind=_kind(crate, workflow_id, runs, tasks),
        workflow_id=workflow_id,
        runs=tuple(Run(run_id, action) for run_id, action in sorted(runs, key=lambda run: _age(crate, run[0]))),
        tasks=tuple(_named_tasks(crate, tasks)),
        publishes=publishes,
        engines=tuple(crate.entities[engine_id] for engine_id in sorted(crate.types.get("OrganizeAction", ()))),
        from_nf_prov=_is_from_nf_prov(crate, workflow_id),
    )


def _main_workflow(crate: Crate) -> str:
    """Return the ``@id`` of the root's main entity where it can run, else of the only workflow, else ""."""
    for target in references(crate.root.main_entity):
        entity = crate.get(target)
        if entity is None or entity.is_a(*TOOL_TYPES):
            return target
    workflows = crate.types.get("ComputationalWorkflow", [])
    return workflows[0] if len(workflows) == 1 else ""


def _uses_a_tool(crate: Crate, action: Entity) -> bool:
    """Say whether an action ran software; an instrument that the crate does not describe may have."""
    for target in references(action.instrument):
        entity = crate.get(target)
        if entity is None or entity.is_a(*TOOL_TYPES):
            return True
    return False


def _inside(crate: Crate, workflow_id: str, action_ids: set[str]) -> set[str]:
    """Return the actions that belong to runs of a workflow: of one of its parts, or under its control."""
    controlled = {
        target
        for _, control in crate.of_type("OrganizeAction", "ControlAction")
        for target in references(control.object)
    }
    parts = _parts(crate, workflow_id)
    return {
        action_id
        for action_id in action_ids
        if action_id in controlled or not parts.isdisjoint(references(crate.entities[action_id].instrument))
    }


def _parts(crate: Crate, workflow_id: str) -> set[str]:
    """Return what the crate describes of a workflow's parts and of the tools of its steps, at any depth."""
    found: set[str] = set()
    pending = [workflow_id]
    while pending:
        entity_id = pending.pop()
        entity = crate.get(entity_id)
        if entity is None or entity_id in found:
            continue
        found.add(entity_id)
        pending += references(entity.has_part)
        if entity.is_a("ComputationalWorkflow", "HowTo", "HowToStep"):
            properties = crate.facts(entity_id)
            steps = [*many(properties.get("step")), *many(properties.get("workExample"))]
            targets = [step.get("@id") if isinstance(step, dict) else step for step in steps]
            pending += [target for target in targets if isinstance(target, str)]
    return found


def _age(crate: Crate, run_id: str) -> tuple[float, str]:
    """Return a sort key that puts the newest run first and does not depend on the order in the file."""
    properties = crate.facts(run_id)
    return (-instant(text(properties.get("endTime")) or text(properties.get("startTime"))), run_id)


def _kind(crate: Crate, workflow_id: str, runs: list[tuple[str, Entity]], tasks: list[tuple[str, Entity]]) -> CrateKind:
    """Say what the crate is of, whatever profile it claims: where it has a workflow, a run is a run of that."""
    if _has_workflow(crate, workflow_id):
        return CrateKind.RUN if runs else CrateKind.PIPELINE
    return CrateKind.RUN if runs or tasks else CrateKind.DATA


def _has_workflow(crate: Crate, workflow_id: str) -> bool:
    """Say whether the crate describes its main workflow."""
    workflow = crate.get(workflow_id) if workflow_id else None
    return workflow is not None and workflow.is_a("ComputationalWorkflow")


def _is_from_nf_prov(crate: Crate, workflow_id: str) -> bool:
    """Say whether nf-prov 1.4 or later wrote the crate: it alone names the engine after the script."""
    return bool(workflow_id) and crate.get(workflow_id + NF_PROV_ENGINE) is not None


def _named_tasks(crate: Crate, tasks: list[tuple[str, Entity]]) -> Iterator[Task]:
    """Give each task the full name of its process: from nf-prov's control actions, else from the task itself."""
    full_names: dict[str, str] = {}
    for control_id in sorted(crate.types.get("ControlAction", ())):
        if control_id.startswith(NF_PROV_CONTROL):
            name = control_id.removeprefix(NF_PROV_CONTROL)
            full_names.update(dict.fromkeys(references(crate.entities[control_id].object), name))
    for task_id, action in tasks:
        yield Task(task_id, action, full_names.get(task_id) or _process_name(crate, task_id, action))


def _process_name(crate: Crate, task_id: str, action: Entity) -> str:
    """Return a process name for a task: its tool's for most producers, its own without the tag for nf-prov."""
    if not task_id.startswith(NF_PROV_TASK):
        for tool in crate.linked(action.instrument):
            name = text(tool.name)
            if name:
                return name
    name = action.name if isinstance(action.name, str) else text(action.name) or ""
    return name.partition(TAG_START)[0] if name.endswith(")") else name


def task_tag(action: Entity) -> str:
    """Return the tag in a task's name, such as ``S1`` of ``ALIGN (S1)``, or ""."""
    name = action.name
    return name.partition(TAG_START)[2][:-1] if isinstance(name, str) and name.endswith(")") else ""
