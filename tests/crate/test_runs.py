"""Runs, tasks and publishes told apart; crates of runs from crates of pipelines and of data."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from crate.documents import (
    DESCRIPTOR,
    FAILED,
    RECORDED,
    ROOT,
    RUN_ID,
    Entity,
    crate_of,
    document,
    nextflow_run,
    publish,
    ref,
    refs,
    task,
)
from provwatch.crate import CrateKind, RunView, decode_crate, read_crate_file, view_runs
from provwatch.crate.runs import task_tag

WORKFLOW: Entity = {"@id": "main.cwl", "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"]}
TOOL: Entity = {"@id": "#sort", "@type": "SoftwareApplication", "name": "sort"}
WHOLE: Entity = {**WORKFLOW, "hasPart": refs("#sort")}  # with the tool as its part
ROBOT: Entity = {"@id": "#robot", "@type": "Thing", "name": "Pipetting robot"}


def action(action_id: str, instrument: object = None, **more: object) -> Entity:
    """Return the execution of something."""
    return {"@id": action_id, "@type": "CreateAction", "instrument": instrument, **more}


def view_of(*entities: object, main: str | None = None) -> RunView:
    """Return what ran in a crate."""
    return view_runs(crate_of(*entities, root={"mainEntity": ref(main)} if main else None))


def view_nextflow(*entities: object, **parts: Any) -> RunView:
    """Return what ran in a Nextflow run."""
    return view_runs(decode_crate(nextflow_run(*entities, **parts)))


def ids(view: RunView) -> tuple[list[str], list[str]]:
    """Return the ``@id``s of runs and tasks."""
    return [run.id for run in view.runs], [task.id for task in view.tasks]


class TestKind:
    """A run crate is one in which something ran, whatever it claims."""

    @pytest.mark.parametrize(
        ("entities", "main", "kind"),
        [
            pytest.param([], None, CrateKind.DATA, id="nothing"),
            pytest.param([{"@id": "a.txt", "@type": "File"}], "a.txt", CrateKind.DATA, id="a main file"),
            pytest.param([action("#a")], None, CrateKind.DATA, id="an action of nobody knows what"),
            pytest.param([action("#a", ref("#robot")), ROBOT], None, CrateKind.DATA, id="an instrument's action"),
            pytest.param([{"@id": "#c", "@type": "ControlAction"}], None, CrateKind.DATA, id="only control actions"),
            pytest.param([TOOL], None, CrateKind.DATA, id="a tool that did not run"),
            pytest.param([WORKFLOW], "main.cwl", CrateKind.PIPELINE, id="a pipeline"),
            pytest.param([WORKFLOW], None, CrateKind.PIPELINE, id="a pipeline nobody points at"),
            pytest.param(
                [WORKFLOW, TOOL, action("#a", ref("#sort"))],
                "main.cwl",
                CrateKind.PIPELINE,
                id="a pipeline whose test ran",
            ),
            pytest.param([WORKFLOW, action("#r", ref("main.cwl"))], "main.cwl", CrateKind.RUN, id="a workflow's run"),
            pytest.param([WORKFLOW, action("#r", ["main.cwl"])], None, CrateKind.RUN, id="list of text as instrument"),
            pytest.param([action("#r", ref("gone.cwl"))], "gone.cwl", CrateKind.RUN, id="workflow not described"),
            pytest.param([TOOL, action("#a", ref("#sort"))], None, CrateKind.RUN, id="a tool's run"),
            pytest.param(
                [TOOL, action("#a", ref("#sort"), **{"@type": "schema:ActivateAction"})],
                None,
                CrateKind.RUN,
                id="prefix",
            ),
            pytest.param([action("#a", ref("https://x.org/tool"))], None, CrateKind.RUN, id="tool not described"),
        ],
    )
    def test_crates_are_told_apart(self, entities: list[object], main: str | None, kind: CrateKind) -> None:
        """The profiles a crate claims do not count: every nf-core repository claims one."""
        assert view_of(*entities, main=main).kind is kind

    def test_two_workflows_without_a_main_one_are_none(self) -> None:
        """Where nothing says which workflow is the main one, none is."""
        view = view_of(
            WORKFLOW, {**WORKFLOW, "@id": "b.cwl"}, action("#r", ref("main.cwl")), action("#s", ref("b.cwl"))
        )
        assert (view.workflow_id, ids(view)) == ("", ([], ["#r", "#s"]))


class TestRunsAndTasks:
    """The run executes the workflow, a task a tool."""

    @pytest.mark.parametrize(
        ("entities", "runs", "tasks"),
        [
            pytest.param([WORKFLOW, TOOL], [], [], id="nothing ran"),
            pytest.param([WORKFLOW, TOOL, action("#a", None)], [], [], id="no instrument"),
            pytest.param([WORKFLOW, ROBOT, action("#a", ref("#robot"))], [], [], id="a robot's action"),
            pytest.param([WORKFLOW, TOOL, action("#a", ref("#sort"))], [], ["#a"], id="only a tool"),
            pytest.param([WORKFLOW, action("#r", ref("main.cwl"))], ["#r"], [], id="run"),
            pytest.param(
                [WHOLE, TOOL, action("#r", ref("main.cwl")), action("#a", ref("#sort"))], ["#r"], ["#a"], id="both"
            ),
            pytest.param(
                [
                    {**WORKFLOW, "hasPart": ref("sub.cwl")},
                    {**WHOLE, "@id": "sub.cwl"},
                    TOOL,
                    action("#r", ref("main.cwl")),
                    action("#s", ref("sub.cwl")),
                    action("#t", ref("#sort")),
                ],
                ["#r"],
                ["#s", "#t"],
                id="a sub-workflow's run is a task, and its tools' are",
            ),
            pytest.param(
                [WORKFLOW, TOOL, action("#r", ref("main.cwl")), action("#a", ref("#sort")), action("#b", ref("#gone"))],
                ["#r"],
                [],
                id="a wrapper's action, and one of nobody knows what",
            ),
            pytest.param(
                [WORKFLOW, TOOL, action("#a", ref("#sort")), action("#b", ref("#gone"))],
                [],
                ["#a", "#b"],
                id="without a run nothing is left out",
            ),
            pytest.param(
                [
                    {**WORKFLOW, "step": ref("#step")},
                    {"@id": "#step", "@type": "HowToStep", "workExample": ref("#sort")},
                    TOOL,
                    action("#r", ref("main.cwl")),
                    action("#a", ref("#sort")),
                ],
                ["#r"],
                ["#a"],
                id="the tool of a step",
            ),
            pytest.param(
                [
                    {**WORKFLOW, "hasPart": ref("main.cwl")},
                    TOOL,
                    action("#r", ref("main.cwl")),
                    action("#a", ref("#sort")),
                    {"@id": "#c", "@type": "ControlAction", "object": ref("#a")},
                ],
                ["#r"],
                ["#a"],
                id="under a control action",
            ),
            pytest.param(
                [WORKFLOW, TOOL, action("#r", refs("main.cwl", "#sort"))], ["#r"], [], id="a list of instruments"
            ),
        ],
    )
    def test_actions_are_told_apart(self, entities: list[object], runs: list[str], tasks: list[str]) -> None:
        """By their instrument, which may be a list, or missing."""
        assert ids(view_of(*entities, main="main.cwl")) == (runs, tasks)

    @pytest.mark.parametrize(
        ("times", "newest"),
        [
            pytest.param([{}, {}], "#a", id="no times"),
            pytest.param([{"endTime": "2026-01-01T00:00:00Z"}, {}], "#a", id="only one has ended"),
            pytest.param([{}, {"endTime": "2026-01-01T00:00:00Z"}], "#b", id="only the other has"),
            pytest.param([{"endTime": "yesterday"}, {"endTime": "1999-01-01T00:00:00Z"}], "#b", id="not a time"),
            pytest.param(
                [{"startTime": "2026-01-03T00:00:00Z"}, {"endTime": "2026-01-02T00:00:00Z"}], "#a", id="still running"
            ),
            pytest.param(
                [{"endTime": "2026-01-01T10:00:00.1Z"}, {"endTime": "2026-01-01T10:00:00.123456789Z"}],
                "#b",
                id="nanoseconds",
            ),
            pytest.param(
                [{"endTime": "2026-01-01T12:00:00+05:00"}, {"endTime": "2026-01-01T08:00:00Z"}], "#b", id="two zones"
            ),
            pytest.param(
                [{"endTime": "2026-01-01T12:00:00"}, {"endTime": "2026-01-01T11:59:59Z"}], "#a", id="one without a zone"
            ),
            pytest.param([{"endTime": ["2026-01-01"]}, {"endTime": 5}], "#a", id="a day, and a number"),
        ],
    )
    def test_the_newest_run_counts(self, times: list[Entity], newest: str) -> None:
        """Several runs of one workflow may share a crate; where nothing tells, the first name does."""
        entities = [action(name, ref("main.cwl"), **time) for name, time in zip(("#a", "#b"), times, strict=True)]
        for order in (entities, entities[::-1]):
            view = view_of(WORKFLOW, *order, main="main.cwl")
            assert view.run is not None
            assert (view.run.id, len(view.runs)) == (newest, 2)

    def test_an_action_of_two_types_counts_once(self) -> None:
        """An entity is one action, however many types it has."""
        twice = action("#t", ref("#sort"), **{"@type": ["CreateAction", "schema:CreateAction", "ActivateAction"]})
        view = view_of(WHOLE, TOOL, action("#r", ref("main.cwl")), twice, main="main.cwl")
        assert ids(view) == (["#r"], ["#t"])


class TestNfProv:
    """nf-prov writes tasks, publishes and intermediates in a spelling of its own."""

    def test_publishes_are_no_tasks(self) -> None:
        """One run, one task and the two copies it made are three kinds of CreateAction."""
        view = view_nextflow(task(1, "A (x)"), publish(1, "a.txt"), publish(1, "b.txt"))
        assert ids(view) == ([RUN_ID], [f"#task/{1:032x}"])
        assert (view.publishes, view.from_nf_prov, view.kind) == (2, True, CrateKind.RUN)

    def test_a_task_without_instrument_is_one(self) -> None:
        """nf-prov gives null where a module file holds several processes."""
        view = view_nextflow(task(1, "A", instrument=None))
        assert [item.process for item in view.tasks] == ["A"]

    def test_a_single_task_is_not_the_run(self) -> None:
        """Where the run's own action is missing, its one task does not take its place."""
        view = view_nextflow(task(1, "A"), run={"instrument": None})
        assert ids(view) == ([], [f"#task/{1:032x}"])

    @pytest.mark.parametrize(
        ("entities", "process"),
        [
            pytest.param([task(1, "ALIGN")], "ALIGN", id="its name"),
            pytest.param([task(1, "ALIGN (S1)")], "ALIGN", id="without the tag"),
            pytest.param([task(1, "ALIGN (a (b) c)")], "ALIGN", id="parentheses in the tag"),
            pytest.param([task(1, "RNASEQ:ALIGN (S1)")], "RNASEQ:ALIGN", id="full name"),
            pytest.param([{**task(1, "x"), "name": None}], "", id="no name"),
            pytest.param([{**task(1, "x"), "name": ["ALIGN (1)", "B"]}], "ALIGN", id="several names"),
            pytest.param([{**task(1, "x"), "name": 12}], "12", id="a number as name"),
            pytest.param(
                [
                    task(1, "ALIGN (S1)"),
                    {"@id": "#process-control/WF:ALIGN", "@type": "ControlAction", "object": refs(f"#task/{1:032x}")},
                ],
                "WF:ALIGN",
                id="control action",
            ),
            pytest.param(
                [
                    task(1, "ALIGN (S1)"),
                    {"@id": "#process-control/B", "@type": "ControlAction", "object": refs(f"#task/{1:032x}")},
                    {"@id": "#process-control/A", "@type": "ControlAction", "object": refs(f"#task/{1:032x}")},
                ],
                "B",
                id="two control actions",
            ),
        ],
    )
    def test_a_task_has_its_process_full_name(self, entities: list[Entity], process: str) -> None:
        """The name is the same whichever order the crate is in."""
        for order in (entities, entities[::-1]):
            assert [item.process for item in view_nextflow(*order).tasks] == [process]

    @pytest.mark.parametrize(
        ("name", "tag"),
        [
            pytest.param("ALIGN", "", id="none"),
            pytest.param("ALIGN (", "", id="not closed"),
            pytest.param(None, "", id="no name"),
            pytest.param(["A (x)"], "", id="a list"),
            pytest.param("ALIGN ()", "", id="empty"),
            pytest.param("ALIGN (S1)", "S1", id="a sample"),
            pytest.param("WF:ALIGN (we é (2))", "we é (2)", id="parentheses"),
        ],
    )
    def test_the_tag_is_in_parentheses(self, name: object, tag: str) -> None:
        """A tag is what Nextflow puts after the process's name."""
        entity = crate_of({**task(1, "x"), "name": name}).get(f"#task/{1:032x}")
        assert entity is not None
        assert task_tag(entity) == tag


class TestOthers:
    """Other producers name their tasks' tools."""

    def test_a_task_is_named_after_its_tool(self) -> None:
        """The tool's name says more than the action's."""
        tool = {"@id": "packed.cwl#sort", "@type": "SoftwareApplication", "name": "sorttool.cwl"}
        whole = {**WORKFLOW, "hasPart": ref(tool["@id"])}
        entities = [whole, tool, action("#r", ref("main.cwl")), action("#t", ref(tool["@id"]), name="Run of step")]
        assert [item.process for item in view_of(*entities, main="main.cwl").tasks] == ["sorttool.cwl"]

    def test_the_one_execution_of_a_tool_is_the_run(self) -> None:
        """A Process Run Crate has no workflow."""
        assert ids(view_of(TOOL, action("#a", ref("#sort")))) == (["#a"], [])
        assert ids(view_of(TOOL, action("#a", ref("#sort")), action("#b", ref("#sort")))) == ([], ["#a", "#b"])

    def test_engines_come_in_one_order(self) -> None:
        """Of two engines the order does not depend on the file."""
        engines = [{"@id": name, "@type": "OrganizeAction", "name": name} for name in ("#b", "#a")]
        assert [engine.name for engine in view_of(*engines).engines] == ["#a", "#b"]
        assert [engine.name for engine in view_of(*reversed(engines)).engines] == ["#a", "#b"]


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_runs_are_read_as_they_were(name: str) -> None:
    """A look at the plain JSON finds the same run, tasks, publishes and processes."""
    graph = json.loads(RECORDED[name].read_bytes())["@graph"]
    actions = {item["@id"]: item for item in graph if item["@type"] == "CreateAction"}
    tasks = {item_id for item_id in actions if item_id.startswith("#task/")}
    publishes = {item_id for item_id in actions if item_id.startswith("#publish/")}
    (run_id,) = actions.keys() - tasks - publishes
    processes: Counter[str] = Counter()
    for item in graph:
        if item["@type"] == "ControlAction":
            processes[item["@id"].removeprefix("#process-control/")] += len(item["object"])
    view = view_runs(read_crate_file(RECORDED[name]))
    assert ids(view)[0] == [run_id]
    assert set(ids(view)[1]) == tasks
    assert (view.publishes, view.kind, view.from_nf_prov) == (len(publishes), CrateKind.RUN, True)
    assert Counter(item.process for item in view.tasks) == processes


@pytest.mark.parametrize(
    ("name", "tasks", "publishes", "failed"),
    [
        pytest.param("preview-overwrote", 0, 0, 0, id="a preview ran nothing"),
        pytest.param("demo-count", 4, 4, 0, id="four tasks, four copies"),
        pytest.param("exec-process", 2, 2, 0, id="native tasks are absent when fresh"),
        pytest.param("exec-process-resumed", 4, 4, 2, id="and falsely failed when resumed"),
        pytest.param("retry-and-ignore", 3, 3, 0, id="failed attempts are not in the crate"),
        pytest.param("real140-resume-40samples-noorcid", 81, 122, 0, id="forty samples"),
        pytest.param("three-hundred-tasks", 301, 301, 0, id="three hundred"),
    ],
)
def test_recorded_runs_have_so_many_tasks(name: str, tasks: int, publishes: int, failed: int) -> None:
    """The numbers that Nextflow's own trace gave."""
    view = view_runs(read_crate_file(RECORDED[name]))
    assert (len(view.tasks), view.publishes) == (tasks, publishes)
    assert sum(item.action.status == FAILED for item in view.tasks) == failed


def test_an_empty_crate_is_of_data() -> None:
    """Descriptor and root alone are a crate of nothing."""
    view = view_runs(decode_crate(document(DESCRIPTOR, ROOT)))
    assert (view.kind, view.run, view.workflow_id, view.publishes) == (CrateKind.DATA, None, "", 0)
