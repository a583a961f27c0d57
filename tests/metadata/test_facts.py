"""Each fact of a run, from each place that may hold it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from crate.documents import (
    COMPLETED,
    DESCRIPTOR,
    FAILED,
    RECORDED,
    ROOT,
    RUN_ID,
    Entity,
    document,
    nextflow_run,
    parameter,
    publish,
    ref,
    refs,
    run_with,
    task,
)
from metadata.deriving import derive, picked, values_of, warnings_of
from provwatch.crate import CrateKind, decode_crate, read_crate
from provwatch.metadata import is_derived, json_schema, stable_metadata
from provwatch.metadata.nextflow_config import parse_config, read_config
from provwatch.metadata.schema import KEYS, VOLATILE_KEYS

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WORKFLOW: Entity = {"@id": "main.cwl", "@type": ["File", "ComputationalWorkflow"], "name": "Main"}
TOOL: Entity = {"@id": "#sort", "@type": "SoftwareApplication", "name": "sort"}
WHOLE: Entity = {**WORKFLOW, "hasPart": refs("#sort")}  # the main workflow, with the tool as its part
PERSON: Entity = {"@id": "https://orcid.org/0000-0002-1825-0097", "@type": "Person", "name": "Ada"}
LAB: Entity = {"@id": "https://ror.org/05dxps055", "@type": "Organization", "name": "Acme"}


def plain_run(*entities: object, run: Entity | None = None, root: Entity | None = None) -> bytes:
    """Return a run of a workflow that nf-prov did not write."""
    action = {"@id": "#run", "@type": "CreateAction", "instrument": ref("main.cwl"), **(run or {})}
    return document(DESCRIPTOR, {**ROOT, "mainEntity": ref("main.cwl"), **(root or {})}, WORKFLOW, action, *entities)


class TestPipeline:
    """What ran."""

    @pytest.mark.parametrize(
        ("workflow", "pipeline", "version", "commit"),
        [
            pytest.param({"name": None}, "main.nf", None, None, id="only a file"),
            pytest.param({}, "demo/small", None, None, id="a name"),
            pytest.param({"name": 5, "version": 1.5}, "5", "1.5", None, id="numbers"),
            pytest.param({"name": ["a", "b"]}, "a", None, None, id="two names"),
            pytest.param({"version": "2.1.0"}, "demo/small", "2.1.0", None, id="a version"),
            pytest.param({"softwareVersion": "3", "version": "2"}, "demo/small", "3", None, id="a software version"),
            pytest.param({"version": COMMIT}, "demo/small", None, COMMIT, id="a commit as version"),
            pytest.param({"version": "20240501"}, "demo/small", "v20240501", None, id="a version like a date"),
            pytest.param({"name": "2024-05-01"}, "v2024-05-01", None, None, id="a name like a date"),
            pytest.param({"name": " ", "alternateName": "alt"}, "alt", None, None, id="another name"),
        ],
    )
    def test_name_version_and_commit(
        self, workflow: Entity, pipeline: str, version: str | None, commit: str | None
    ) -> None:
        """nf-prov writes the commit where the version belongs."""
        values = values_of(nextflow_run(workflow=workflow))
        assert picked(values, "pipeline", "pipeline_version", "pipeline_commit") == (pipeline, version, commit)

    @pytest.mark.parametrize(
        ("workflow", "repository"),
        [
            pytest.param({}, None, id="none"),
            pytest.param({"codeRepository": "main.nf"}, None, id="not a web address"),
            pytest.param({"codeRepository": "https://x.org/a"}, "https://x.org/a", id="text"),
            pytest.param({"codeRepository": ref("https://x.org/a")}, "https://x.org/a", id="reference"),
            pytest.param({"url": ["https://x.org/a"]}, "https://x.org/a", id="url"),
            pytest.param({"codeRepository": "git@x.org:a.git"}, "git@x.org:a.git", id="ssh"),
        ],
    )
    def test_repository(self, workflow: Entity, repository: str | None) -> None:
        """The source code's address, if it is one."""
        assert values_of(nextflow_run(workflow=workflow)).get("repository") == repository

    @pytest.mark.parametrize(
        ("root", "workflow", "license_name"),
        [
            pytest.param({}, {}, None, id="none"),
            pytest.param({"license": "MIT"}, {"license": "GPL"}, "MIT", id="text"),
            pytest.param(
                {"license": ref("https://spdx.org/licenses/MIT")}, {}, "https://spdx.org/licenses/MIT", id="link"
            ),
            pytest.param({"license": {"@value": "MIT"}}, {}, "MIT", id="typed"),
            pytest.param({}, {"license": "GPL"}, "GPL", id="the pipeline's"),
        ],
    )
    def test_license(self, root: Entity, workflow: Entity, license_name: str | None) -> None:
        """The crate's, else the pipeline's."""
        assert values_of(nextflow_run(root=root, workflow=workflow)).get("license") == license_name

    @pytest.mark.parametrize(
        ("config", "version", "name"),
        [
            pytest.param("", "1.0", None, id="empty"),
            pytest.param("manifest {\n}\n", "1.0", None, id="says nothing"),
            pytest.param("params {\n   version = '3'\n   runName = 'x'\n}\n", "1.0", None, id="another version"),
            pytest.param(
                "manifest {\n   version = '2.1.0'\n}\n\nrunName = 'sad_euler'\n", "2.1.0", "sad_euler", id="both"
            ),
            pytest.param('manifest {\r\n   version = "2.1.0"\r\n}\r\n', "2.1.0", None, id="other line ends and quotes"),
        ],
    )
    def test_the_configuration_beside_it_knows_more(
        self, tmp_path: Path, config: str, version: str, name: str | None
    ) -> None:
        """``manifest.version`` and ``runName`` are in the resolved nextflow.config only."""
        (tmp_path / "nextflow.config").write_text(config, newline="")
        values = values_of(nextflow_run(workflow={"version": "1.0"}), folder=tmp_path)
        assert picked(values, "pipeline_version", "run_name") == (version, name)


class TestConfiguration:
    """The resolved nextflow.config is read line by line, and nothing in it is run."""

    @pytest.mark.parametrize(
        ("written", "settings"),
        [
            pytest.param("", {}, id="nothing"),
            pytest.param("}\n}}\nx\n{", {}, id="nonsense"),
            pytest.param("println 'x'", {}, id="code"),
            pytest.param("a = 'x'", {"a": "x"}, id="single quotes"),
            pytest.param('a = "it\'s"', {"a": "it's"}, id="double quotes"),
            pytest.param("a = 'it\\'s \\n \\\\'", {"a": "it's \n \\"}, id="escapes"),
            pytest.param("a = '''x'''", {"a": "x"}, id="three quotes"),
            pytest.param("a = '", {"a": "'"}, id="one quote"),
            pytest.param("a = ''", {"a": ""}, id="empty"),
            pytest.param(
                "a = true\nb = 1.5\nc = ['x', 'y']", {"a": "true", "b": "1.5", "c": "['x', 'y']"}, id="others"
            ),
            pytest.param("a = 'x'\na = 'y'", {"a": "y"}, id="the last counts"),
            pytest.param(
                "p {\n  q {\n    a = 1\n  }\n  b = 2\n}\nc = 3", {"p.q.a": "1", "p.b": "2", "c": "3"}, id="blocks"
            ),
            pytest.param("'p-q' {\n  'a b' = 1\n}", {"p-q.a b": "1"}, id="quoted names"),
            pytest.param("withName:ALIGN {\n  cpus = 2\n}", {"withName:ALIGN.cpus": "2"}, id="selectors"),
        ],
    )
    def test_settings(self, written: str, settings: dict[str, str]) -> None:
        """Only what can be read for certain is."""
        assert parse_config(written) == settings

    def test_what_cannot_be_read_is_as_good_as_none(self, tmp_path: Path) -> None:
        """The file is an extra: a folder, a pipe or noise in its place is no error."""
        import os  # noqa: PLC0415 - for one pipe

        def config_in(folder: Path | None) -> dict[str, str]:
            return read_config(decode_crate(document(DESCRIPTOR, ROOT), folder=folder))

        assert config_in(None) == config_in(tmp_path) == config_in(tmp_path / "gone") == {}
        (tmp_path / "a/nextflow.config").mkdir(parents=True)
        (tmp_path / "b").mkdir()
        os.mkfifo(tmp_path / "b/nextflow.config")
        (tmp_path / "c").mkdir()
        (tmp_path / "c/nextflow.config").write_bytes(b"\xff\xfe\x00 = 1\nrunName = 'x'\n")
        assert [config_in(tmp_path / name) for name in "abc"] == [{}, {}, {"runName": "x"}]


class TestRun:
    """Which run it was, and how it ended."""

    @pytest.mark.parametrize(
        ("entity_id", "run_id"),
        [
            pytest.param(None, None, id="none"),
            pytest.param("_:b0", None, id="blank node"),
            pytest.param(RUN_ID, RUN_ID[1:], id="fragment"),
            pytest.param("urn:uuid:0b4bc0de", "0b4bc0de", id="URN"),
            pytest.param("https://x.org/r/1", "https://x.org/r/1", id="web address"),
            pytest.param("#20240501", "v20240501", id="like a date"),
        ],
    )
    def test_id(self, entity_id: str | None, run_id: str | None) -> None:
        """The run's ``@id`` without its marks; a name that provwatch made up is none."""
        assert values_of(plain_run(run={"@id": entity_id})).get("run_id") == run_id

    @pytest.mark.parametrize(
        ("run", "status", "source"),
        [
            pytest.param({}, "unknown", "unknown", id="not said"),
            pytest.param({"actionStatus": "PotentialActionStatus"}, "unknown", "unknown", id="planned"),
            pytest.param({"actionStatus": 7}, "unknown", "unknown", id="a number"),
            pytest.param({"actionStatus": COMPLETED}, "succeeded", "stated", id="completed"),
            pytest.param(
                {"actionStatus": ref("https://schema.org/CompletedActionStatus")}, "succeeded", "stated", id="link"
            ),
            pytest.param({"actionStatus": ["schema:FailedActionStatus"]}, "failed", "stated", id="failed"),
            pytest.param(
                {"actionStatus": COMPLETED, "error": "warned"}, "succeeded", "stated", id="completed with error"
            ),
            pytest.param({"error": "exit 1"}, "failed", "inferred", id="an error"),
        ],
    )
    def test_status(self, run: Entity, status: str, source: str) -> None:
        """What the run's action says, else what it lets one think."""
        values = values_of(plain_run(run=run))
        assert picked(values, "run_status", "run_status_source") == (status, source)
        assert values.get("run_error") == run.get("error")

    @pytest.mark.parametrize(
        ("run", "status", "source"),
        [
            pytest.param({}, "succeeded", "inferred", id="nf-prov writes no crate for a failed run"),
            pytest.param({"error": None}, "succeeded", "inferred", id="no error"),
            pytest.param({"actionStatus": FAILED}, "failed", "stated", id="unless it says so"),
        ],
    )
    def test_status_of_nextflow(self, run: Entity, status: str, source: str) -> None:
        """nf-prov never says how the run ended."""
        assert picked(values_of(nextflow_run(run=run)), "run_status", "run_status_source") == (status, source)

    @pytest.mark.parametrize(
        ("statuses", "status"),
        [
            pytest.param([None, None], "unknown", id="none says"),
            pytest.param([COMPLETED, None], "unknown", id="one says"),
            pytest.param([COMPLETED, COMPLETED], "succeeded", id="all did"),
            pytest.param([COMPLETED, FAILED], "failed", id="one did not"),
        ],
    )
    def test_status_of_many_tools(self, statuses: list[str | None], status: str) -> None:
        """Without a run of a workflow, its tools' runs say how it ended."""
        actions = [
            {"@id": f"#a{number}", "@type": "CreateAction", "instrument": ref("#sort"), "actionStatus": said}
            for number, said in enumerate(statuses)
        ]
        assert values_of(document(DESCRIPTOR, ROOT, TOOL, *actions))["run_status"] == status

    def test_status_of_a_tool_beside_a_workflow_that_did_not_run(self) -> None:
        """That something prepared the workflow, and did so well, is no run that succeeded."""
        prepared = {"@id": "#a", "@type": "CreateAction", "instrument": ref("#sort"), "actionStatus": COMPLETED}
        values = values_of(document(DESCRIPTOR, {**ROOT, "mainEntity": ref("main.cwl")}, WORKFLOW, TOOL, prepared))
        assert picked(values, "run_status", "run_status_source") == ("unknown", "unknown")

    def test_several_runs_are_counted(self) -> None:
        """The newest is described."""
        older = {
            "@id": "#older",
            "@type": "CreateAction",
            "instrument": ref("main.cwl"),
            "endTime": "2020-01-01T00:00:00Z",
        }
        values = values_of(plain_run(older, run={"endTime": "2026-01-01T00:00:00Z"}))
        assert picked(values, "run_id", "warnings") == ("run", ["runs:2"])

    def test_a_name_of_its_own(self) -> None:
        """Other producers name their runs; nf-prov only repeats the id."""
        assert values_of(plain_run(run={"name": "Run of main"}))["run_name"] == "Run of main"
        assert "run_name" not in values_of(nextflow_run())

    @pytest.mark.parametrize(
        ("config", "key", "value"),
        [
            pytest.param("stubRun = false", "stub_run", None, id="no stub run"),
            pytest.param("stubRun = true", "stub_run", True, id="stub run"),
            pytest.param("preview = false", "warnings", None, id="no preview"),
            pytest.param("preview = true", "warnings", ["preview"], id="preview"),
        ],
    )
    def test_dry_runs_are_marked(self, tmp_path: Path, config: str, key: str, value: object) -> None:
        """``-stub-run`` and ``-preview`` stand in the configuration only."""
        (tmp_path / "nextflow.config").write_text(config)
        metadata = derive(nextflow_run(), folder=tmp_path)
        assert metadata.values.get(key) == value
        assert metadata.is_run is (value != ["preview"])

    def test_a_preview_that_did_something_was_none(self, tmp_path: Path) -> None:
        """Where a task ran, the configuration beside the crate is of another start."""
        (tmp_path / "nextflow.config").write_text("preview = true")
        assert derive(nextflow_run(task(1, "A")), folder=tmp_path).is_run
        result = {"@id": "a.txt", "@type": "File"}
        assert derive(nextflow_run(result, run={"result": ref("a.txt")}), folder=tmp_path).is_run

    @pytest.mark.parametrize(
        ("entities", "kind"),
        [
            pytest.param([ROOT], CrateKind.DATA, id="data"),
            pytest.param([{**ROOT, "mainEntity": ref("main.cwl")}, WORKFLOW], CrateKind.PIPELINE, id="pipeline"),
        ],
    )
    def test_other_crates_are_no_runs(self, entities: list[Entity], kind: CrateKind) -> None:
        """They have metadata all the same, but none of a run."""
        metadata = derive(document(DESCRIPTOR, *entities))
        assert (metadata.kind, metadata.is_run) == (kind, False)
        assert picked(metadata.values, "schema", "title", "tasks_total", "run_id") == ("1", "Root", None, None)


class TestTimes:
    """Times are UTC, cut to the second."""

    @pytest.mark.parametrize(
        ("start", "end", "values", "warnings"),
        [
            pytest.param(None, None, (None, None, None), [], id="none"),
            pytest.param(
                "2026-01-01T10:00:00Z",
                "2026-01-01T10:00:00.9Z",
                ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00Z", None),
                [],
                id="under a second",
            ),
            pytest.param(
                "2026-01-01T10:00:00Z",
                "2026-01-01T09:00:00Z",
                ("2026-01-01T10:00:00Z", "2026-01-01T09:00:00Z", None),
                ["end-before-start"],
                id="end before start",
            ),
            pytest.param(
                "2026-01-01T10:00:00.999999999Z",
                "2026-01-01T10:00:04.500000001Z",
                ("2026-01-01T10:00:00Z", "2026-01-01T10:00:04Z", 4),
                [],
                id="nanoseconds",
            ),
            pytest.param(
                "2026-01-01T10:00:00+02:00",
                "2026-01-01T10:00:00-05:30",
                ("2026-01-01T08:00:00Z", "2026-01-01T15:30:00Z", 27000),
                [],
                id="two zones",
            ),
            pytest.param(
                "2026-01-01T10:00:00",
                "2026-01-01T10:01:00.5",
                ("2026-01-01T10:00:00", "2026-01-01T10:01:00.5", 60),
                ["naive-time:run_ended", "naive-time:run_started"],
                id="no zone",
            ),
            pytest.param(
                "2026-01-01T10:00:00Z",
                "2026-01-01T10:01:00",
                ("2026-01-01T10:00:00Z", "2026-01-01T10:01:00", None),
                ["naive-time:run_ended"],
                id="one zone",
            ),
            pytest.param(
                "May 17 2024",
                "2026-13-01T00:00:00Z",
                ("May 17 2024", "2026-13-01T00:00:00Z", None),
                ["invalid-time:run_ended", "invalid-time:run_started"],
                id="not times",
            ),
            pytest.param(
                "0001-01-01T00:00:00+14:00",
                "9999-12-31T23:59:59-14:00",
                ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", 315537998399),
                ["invalid-time:run_ended", "invalid-time:run_started"],
                id="the ends of the calendar",
            ),
            pytest.param(
                "0099-01-01T00:00:00Z",
                ["2026-01-01", "x"],
                ("0099-01-01T00:00:00Z", "2026-01-01", None),
                ["naive-time:run_ended"],
                id="an early year, and a day",
            ),
        ],
    )
    def test_of_a_run(self, start: Any, end: Any, values: tuple[Any, ...], warnings: list[str]) -> None:
        """What has no zone, or is no time, is kept as it is written and warned about."""
        found = values_of(plain_run(run={"startTime": start, "endTime": end}))
        assert picked(found, "run_started", "run_ended", "duration_s") == values
        assert found.get("warnings", []) == warnings

    def test_of_many_tools(self) -> None:
        """From the first start to the last end, whatever zones they are in."""
        times = [
            ("2026-01-01T12:00:00+05:00", "2026-01-01T09:00:00Z"),
            ("2026-01-01T08:00:00Z", "2026-01-01T13:00:00+05:00"),
        ]
        actions = [
            {
                "@id": f"#{start}",
                "@type": "CreateAction",
                "instrument": ref("#sort"),
                "startTime": start,
                "endTime": end,
            }
            for start, end in times
        ]
        values = values_of(document(DESCRIPTOR, ROOT, TOOL, *actions))
        assert picked(values, "run_started", "run_ended", "duration_s") == (
            "2026-01-01T07:00:00Z",
            "2026-01-01T09:00:00Z",
            7200,
        )

    @pytest.mark.parametrize(
        ("written", "published", "warnings"),
        [
            pytest.param(None, None, [], id="none"),
            pytest.param("2026-11-22", "2026-11-22", [], id="a day"),
            pytest.param("2026", "2026", [], id="a year"),
            pytest.param(["2026-11"], "2026-11", [], id="a month"),
            pytest.param("2026-11-22T10:00:00.5+02:00", "2026-11-22T08:00:00Z", [], id="a time"),
            pytest.param("2026-11-22 10:00:00", "2026-11-22 10:00:00", ["naive-time:published"], id="no zone"),
            pytest.param("10:00 o'clock", "10:00 o'clock", ["invalid-time:published"], id="not a time"),
        ],
    )
    def test_of_publication(self, written: Any, published: str | None, warnings: list[str]) -> None:
        """A day stays a day."""
        values = values_of(document(DESCRIPTOR, {**ROOT, "datePublished": written}))
        assert picked(values, "published", "warnings") == (published, warnings or None)


class TestWho:
    """Who ran it, for which organisation."""

    @pytest.mark.parametrize(
        ("agent", "entities", "values"),
        [
            pytest.param(None, [], (None, None, None, None), id="nobody"),
            pytest.param([], [], (None, None, None, None), id="an empty list"),
            pytest.param("Ada", [], ("Ada", None, None, None), id="a name"),
            pytest.param(ref("#ada"), [], ("#ada", None, None, None), id="not described"),
            pytest.param(ref(PERSON["@id"]), [PERSON], ("Ada", PERSON["@id"], None, None), id="a person"),
            pytest.param(PERSON, [], ("Ada", PERSON["@id"], None, None), id="a person on the spot"),
            pytest.param({"@type": "Person", "name": "Ada"}, [], ("Ada", None, None, None), id="a nameless entity"),
            pytest.param(
                ref("#a"),
                [{"@id": "#a", "@type": "schema:Person", "identifier": ref(PERSON["@id"])}],
                ("#a", PERSON["@id"], None, None),
                id="identifier",
            ),
            pytest.param(
                refs("#bot", PERSON["@id"]),
                [{"@id": "#bot", "@type": "SoftwareApplication", "name": "bot"}, PERSON],
                ("Ada", PERSON["@id"], None, None),
                id="a person before others",
            ),
            pytest.param(
                ref("#a"),
                [{"@id": "#a", "@type": "Person", "name": "Ada", "affiliation": ref(LAB["@id"])}, LAB],
                ("Ada", None, "Acme", LAB["@id"]),
                id="affiliation",
            ),
            pytest.param(ref(LAB["@id"]), [LAB], ("Acme", None, "Acme", LAB["@id"]), id="an organisation"),
            pytest.param(7, [], (None, None, None, None), id="a number"),
        ],
    )
    def test_agent(self, agent: object, entities: list[Entity], values: tuple[Any, ...]) -> None:
        """The first person among the run's agents."""
        found = values_of(plain_run(*entities, run={"agent": agent}))
        assert picked(found, "agent", "agent_orcid", "organization", "organization_ror") == values

    def test_the_publisher_is_the_organisation_of_last_resort(self) -> None:
        """nf-prov gives the organisation as publisher."""
        values = values_of(plain_run(LAB, root={"publisher": ref(LAB["@id"])}))
        assert picked(values, "organization", "publisher") == ("Acme", "Acme")


class TestEngine:
    """Which engine ran it."""

    @pytest.mark.parametrize(
        ("workflow", "entities", "values"),
        [
            pytest.param({}, [], (None, None), id="not said"),
            pytest.param({"runtimePlatform": "Nextflow 25.10.7"}, [], ("Nextflow", "25.10.7"), id="platform"),
            pytest.param({"programmingLanguage": "CWL"}, [], ("CWL", None), id="language by name"),
            pytest.param(
                {"programmingLanguage": ref("#cwl")},
                [{"@id": "#cwl", "@type": "ComputerLanguage", "name": "CWL", "version": "v1.2"}],
                ("CWL", None),
                id="a language's version is not an engine's",
            ),
            pytest.param(
                {"programmingLanguage": "CWL", "runtimePlatform": "cwltool 3.1"},
                [],
                ("cwltool", "3.1"),
                id="platform before language",
            ),
            pytest.param(
                {"programmingLanguage": ref("#nf")},
                [{"@id": "#nf", "@type": "ComputerLanguage", "name": "Nextflow", "version": "24.10.5"}],
                ("Nextflow", "24.10.5"),
                id="a language that is its engine",
            ),
            pytest.param(
                {"programmingLanguage": ref("#nf")},
                [{"@id": "#nf", "@type": "ComputerLanguage", "name": "Nextflow", "version": "!>=25.04.8"}],
                ("Nextflow", None),
                id="what a pipeline asks for is not what ran",
            ),
            pytest.param(
                {"programmingLanguage": ref("#galaxy")},
                [{"@id": "#galaxy", "@type": "ComputerLanguage", "name": "Galaxy", "version": "v19_09"}],
                ("Galaxy", None),
                id="no digit first",
            ),
            pytest.param(
                {"programmingLanguage": "CWL"},
                [
                    {
                        "@id": "#r",
                        "@type": "CreateAction",
                        "instrument": ref("main.cwl"),
                        "executedBy": refs("#a", "#b"),
                    },
                    {"@id": "#a", "@type": "SoftwareApplication", "name": "cwltool", "softwareVersion": ""},
                    {"@id": "#b", "@type": "SoftwareApplication", "name": "sapporo", "softwareVersion": "2.1.0"},
                ],
                ("sapporo", "2.1.0"),
                id="Sapporo: the first with a version that executed the run",
            ),
            pytest.param(
                {"programmingLanguage": "CWL"},
                [
                    {
                        "@id": "#r",
                        "@type": "CreateAction",
                        "instrument": ref("main.cwl"),
                        "executedBy": refs("#p", "#a"),
                    },
                    {"@id": "#p", "@type": "Person", "name": "Ada"},
                    {"@id": "#a", "@type": "SoftwareApplication", "name": "toil"},
                ],
                ("toil", None),
                id="none that executed it has a version",
            ),
            pytest.param(
                {"programmingLanguage": "CWL"},
                [
                    {"@id": "#o", "@type": "OrganizeAction", "instrument": ref("#cwltool")},
                    {"@id": "#cwltool", "@type": "SoftwareApplication", "name": "cwltool 3.1.2"},
                ],
                ("cwltool", "3.1.2"),
                id="engine before language",
            ),
            pytest.param(
                {},
                [{"@id": "#o", "@type": "OrganizeAction", "name": "Run of cwltool 1.0", "instrument": ref("#gone")}],
                ("cwltool", "1.0"),
                id="the engine's run",
            ),
        ],
    )
    def test_name_and_version(self, workflow: Entity, entities: list[Entity], values: tuple[Any, ...]) -> None:
        """The engine's own action first, then the language, then the platform."""
        root = {**ROOT, "mainEntity": ref("main.cwl")}
        found = values_of(document(DESCRIPTOR, root, {**WORKFLOW, **workflow}, *entities))
        assert picked(found, "engine", "engine_version") == values

    @pytest.mark.parametrize(
        ("entity", "producer"),
        [
            pytest.param({"name": "sort"}, None, id="unknown"),
            pytest.param({"name": "COMPSs Runtime"}, "COMPSs", id="COMPSs"),
            pytest.param({"@id": "https://github.com/inab/WfExS-backend"}, "WfExS", id="WfExS"),
            pytest.param({"name": ["Sapporo"]}, None, id="a list says nothing"),
        ],
    )
    def test_producer(self, entity: Entity, producer: str | None) -> None:
        """The tool that wrote the crate, where it gives itself away."""
        assert values_of(plain_run({**TOOL, **entity})).get("crate_producer") == producer
        assert values_of(nextflow_run({**TOOL, **entity}))["crate_producer"] == "nf-prov"


class TestData:
    """What went in and came out."""

    @pytest.mark.parametrize(
        ("objects", "entities", "inputs"),
        [
            pytest.param([], [], None, id="nothing"),
            pytest.param(["#x", "gone.txt"], [], None, id="not described"),
            pytest.param(
                ["#output/a/value"], [{"@id": "#output/a/value", "@type": "File"}], None, id="nf-prov's outputs"
            ),
            pytest.param(["work/ab/x.txt"], [{"@id": "work/ab/x.txt", "@type": "File"}], None, id="intermediates"),
            pytest.param(["#task/0/x"], [{"@id": "#task/0/x", "@type": "File"}], None, id="a task's files"),
            pytest.param(["#t"], [{"@id": "#t", "@type": "CreativeWork"}], None, id="no file"),
            pytest.param(["a.txt", "a.txt"], [{"@id": "a.txt", "@type": "File"}], ["a.txt"], id="twice"),
            pytest.param(["d"], [{"@id": "d", "@type": "Dataset"}], ["d"], id="a folder"),
            pytest.param(["m"], [{"@id": "m", "@type": ["schema:MediaObject"]}], ["m"], id="the older type"),
            pytest.param(
                ["file:///x/a.txt", "s3://b/c"], [], ["file:///x/a.txt", "s3://b/c"], id="addresses not described"
            ),
            pytest.param(
                ["#c"],
                [{"@id": "#c", "@type": "Collection", "hasPart": refs("b", "a", "#c")}],
                ["a", "b"],
                id="a collection's members",
            ),
            pytest.param(
                ["abc123"],
                [{"@id": "abc123", "@type": "File", "alternateName": "reads.fq"}],
                ["reads.fq"],
                id="by checksum",
            ),
        ],
    )
    def test_inputs(self, objects: list[str], entities: list[Entity], inputs: list[str] | None) -> None:
        """Files and folders among the run's objects."""
        values = values_of(nextflow_run(*entities, run={"object": refs(*objects)}))
        assert picked(values, "inputs", "input_count") == (inputs, len(inputs or []))

    def test_a_nameless_input_goes_by_what_it_is_called(self) -> None:
        """The name that provwatch makes up for an entity without ``@id`` means nothing to people."""
        values = values_of(nextflow_run(run={"object": [{"@type": "File", "name": "reads.fq"}]}))
        assert values["inputs"] == ["reads.fq"]

    def test_what_is_not_said_is_not_counted(self) -> None:
        """A run without objects and results may have had some."""
        values = values_of(plain_run())
        assert not {"input_count", "output_count", "output_bytes", "param_count", "tasks_total"} & values.keys()

    @pytest.mark.parametrize(
        ("entity", "digests"),
        [
            pytest.param({}, None, id="none"),
            pytest.param({"sha1": "ab"}, None, id="another"),
            pytest.param({"sha256": "ab"}, ["in.txt=sha256:ab"], id="SHA-256"),
        ],
    )
    def test_digests(self, entity: Entity, digests: list[str] | None) -> None:
        """Checksums of inputs, by their names."""
        values = values_of(nextflow_run({"@id": "in.txt", "@type": "File", **entity}, run={"object": refs("in.txt")}))
        assert values.get("input_digests") == digests

    @pytest.mark.parametrize(
        ("names", "types"),
        [
            pytest.param(["README", "a."], None, id="none"),
            pytest.param([".hidden"], ["hidden"], id="only a dot in front"),
            pytest.param(["a.txt", "x/b.TXT", "c.tar.gz"], ["tar.gz", "txt"], id="compressed and capitals"),
            pytest.param(["a.gz", "a.v1.2.gz"], ["2.gz", "gz"], id="only compressed"),
            pytest.param(["a.this-is-no-type", "b.averyveryverylong"], None, id="no extension"),
            pytest.param(["https://x.org/a.csv?sig=1.2"], ["csv"], id="query"),
        ],
    )
    def test_output_types(self, names: list[str], types: list[str] | None) -> None:
        """Extensions as people say them."""
        entities = [{"@id": name, "@type": "File"} for name in names]
        values = values_of(nextflow_run(*entities, run={"result": refs(*names)}))
        assert picked(values, "output_types", "output_count") == (types, len(names))

    @pytest.mark.parametrize(
        ("sizes", "total"),
        [
            pytest.param([], 0, id="no outputs"),
            pytest.param([None], None, id="not said"),
            pytest.param([5, None], None, id="one not said"),
            pytest.param(["12 MB"], None, id="with a unit"),
            pytest.param(["²"], None, id="no number for a computer"),
            pytest.param(["1" * 5000], None, id="more than there is"),
            pytest.param([-1, True], None, id="no size"),
            pytest.param([5, "7", 0, ["8"]], 20, id="numbers and texts"),
        ],
    )
    def test_output_bytes_as_stated(self, sizes: list[object], total: int | None) -> None:
        """Where one size is unknown, so is the sum."""
        entities = [{"@id": f"{n}.txt", "@type": "File", "contentSize": size} for n, size in enumerate(sizes)]
        values = values_of(nextflow_run(*entities, run={"result": refs(*(item["@id"] for item in entities))}))
        assert values["output_bytes"] == total if total is not None else "output_bytes" not in values

    @pytest.mark.parametrize(
        ("name", "total"),
        [
            pytest.param("gone.txt", None, id="missing"),
            pytest.param("../secret.txt", None, id="outside"),
            pytest.param("/etc/hostname", None, id="absolute"),
            pytest.param("a%2F..%2F..%2Fsecret.txt", None, id="outside, encoded"),
            pytest.param("\0", None, id="null byte"),
            pytest.param("a.txt", 3, id="beside it"),
            pytest.param("we%20%C3%A9.txt", 4, id="encoded"),
            pytest.param("we é.txt", 4, id="nf-prov does not encode"),
            pytest.param("folder", 7, id="a folder"),
            pytest.param("folder/", 7, id="a folder with its slash"),
        ],
    )
    def test_output_bytes_on_disk(self, tmp_path: Path, name: str, total: int | None) -> None:
        """nf-prov states no sizes; nothing outside the crate's folder is looked at."""
        run = tmp_path / "run"
        (run / "folder/deep").mkdir(parents=True)
        for path, size in (("a.txt", 3), ("we é.txt", 4), ("folder/x", 5), ("folder/deep/y", 2), ("../secret.txt", 9)):
            (run / path).write_bytes(b"x" * size)
        document_bytes = nextflow_run({"@id": name, "@type": "File"}, run={"result": refs(name)})
        assert values_of(document_bytes, folder=run).get("output_bytes") == total

    @pytest.mark.parametrize(
        ("name", "links", "total"),
        [
            pytest.param("ext", {"ext": "../outside"}, None, id="a folder outside"),
            pytest.param("ext/x", {"ext": "../outside"}, 3, id="a file below a folder outside"),
            pytest.param("x", {"x": "../outside/x"}, 3, id="a file outside, as Nextflow publishes"),
            pytest.param("beside", {"beside": "../run2"}, None, id="a folder whose name begins like the crate's"),
            pytest.param("d", {"d/x": "../../outside/x"}, 6, id="a file outside, in a folder"),
            pytest.param("d", {"d/ext": "../../outside"}, 3, id="a folder outside, in a folder, is not followed"),
            pytest.param("d", {"d/up": ".."}, 3, id="round in circles"),
            pytest.param("x", {"x": "d/a"}, 3, id="a file inside"),
            pytest.param("e", {"e": "d"}, 3, id="a folder inside"),
            pytest.param("d", {"d/again": "a"}, 6, id="a file inside, in a folder"),
            pytest.param("x", {"x": "x"}, None, id="itself"),
            pytest.param("d", {"d/0": "gone", "d/1": "a"}, 6, id="nothing, in a folder"),
            pytest.param("d", {f"d/{n}": "a" for n in range(4)}, None, id="too many to count"),
        ],
    )
    def test_links_do_not_lead_out(
        self, tmp_path: Path, name: str, links: dict[str, str], total: int | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A result that links to ``/usr`` is not walked; one that links to a file has its size."""
        monkeypatch.setattr("provwatch.metadata.sizes.MAX_FOLDER_FILES", 4)
        for path in ("run/d/a", "outside/x", "run2/x"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(b"xxx")
        for link, target in links.items():
            (tmp_path / "run" / link).symlink_to(target)
        (tmp_path / "alias").symlink_to("run")
        document_bytes = nextflow_run({"@id": name, "@type": "File"}, run={"result": refs(name)})
        for folder in (tmp_path / "run", tmp_path / "alias"):
            assert values_of(document_bytes, folder=folder).get("output_bytes") == total


class TestTasks:
    """How many tasks, how they ended, of which processes."""

    @pytest.mark.parametrize(
        ("tasks", "counts"),
        [
            pytest.param([], (0, 0, 0, None), id="none"),
            pytest.param([publish(1, "a")], (0, 0, 0, None), id="only publishes"),
            pytest.param([task(1, "A"), task(2, "A"), publish(1, "a")], (2, 2, 0, None), id="completed"),
            pytest.param([task(1, "A", FAILED)], (1, 0, 0, 1), id="failed without an error is not believed"),
            pytest.param([task(1, "A", FAILED, error=None)], (1, 0, 0, 1), id="nor with null"),
            pytest.param([task(1, "A", FAILED, error="exit 1")], (1, 0, 1, None), id="failed with an error"),
            pytest.param([task(1, "A", "")], (1, 0, 0, 1), id="says nothing"),
            pytest.param([task(1, "A"), {**task(1, "A"), "name": "B"}], (1, 1, 0, None), id="one twice"),
        ],
    )
    def test_counts(self, tasks: list[Entity], counts: tuple[int, int, int, int | None]) -> None:
        """nf-prov writes crates of successful runs only, and calls native tasks failed."""
        values = values_of(nextflow_run(*tasks))
        assert picked(values, "tasks_total", "tasks_succeeded", "tasks_failed", "tasks_unknown") == counts

    def test_what_a_wrapper_did_is_no_task(self) -> None:
        """WfExS consolidates the workflow before the run and draws a diagram after it."""
        drawn = {"@id": "#d", "@type": "CreateAction", "instrument": ref("#sort"), "actionStatus": COMPLETED}
        assert "tasks_total" not in values_of(plain_run(TOOL, drawn))

    def test_processes(self) -> None:
        """Short names for searching, full names for counting."""
        values = values_of(nextflow_run(task(1, "WF:A (1)"), task(2, "WF:A (2)"), task(3, "B:A"), task(4, "C")))
        assert values["processes"] == ["A", "C"]
        assert values["process_tasks"] == ["B:A=1", "C=1", "WF:A=2"]

    def test_others_fail_when_they_say_so(self) -> None:
        """Only nf-prov is not believed."""
        failed = {"@id": "#t", "@type": "CreateAction", "instrument": ref("#sort"), "actionStatus": FAILED}
        assert picked(values_of(plain_run(TOOL, failed, WHOLE)), "tasks_total", "tasks_failed") == (1, 1)

    @pytest.mark.parametrize(
        ("names", "samples"),
        [
            pytest.param(["A", "B"], None, id="no tags"),
            pytest.param(["A (1)", "A (2)"], None, id="numbers"),
            pytest.param(["A (ref.fa)", "A (x/y)", "A (reads_1.fastq.gz)"], None, id="files"),
            pytest.param(["A (S1)", "B (S1)", "A (S2)"], ["S1", "S2"], id="samples"),
            pytest.param(["A (1.2)", "A (we é)"], ["1.2", "we é"], id="dots and letters"),
        ],
    )
    def test_samples(self, names: list[str], samples: list[str] | None) -> None:
        """Samples are inferred from tags, and it says so."""
        values = values_of(nextflow_run(*(task(number, name) for number, name in enumerate(names))))
        expected = (samples, len(samples), "inferred") if samples else (None, None, None)
        assert picked(values, "samples", "sample_count", "samples_source") == expected


class TestMeans:
    """Parameters, software, containers."""

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            pytest.param(None, "x=", id="null"),
            pytest.param("", "x=", id="empty"),
            pytest.param("a b", "x=a b", id="text"),
            pytest.param(False, "x=false", id="boolean"),
            pytest.param(5, "x=5", id="whole number"),
            pytest.param(0.05, "x=0.05", id="number"),
            pytest.param(10**30, f"x={10**30}", id="large number"),
            pytest.param([1, "a"], 'x=[1, "a"]', id="list"),
            pytest.param({"b": 1, "a": None}, 'x={"a": null, "b": 1}', id="map"),
            pytest.param('{"a":[1]}', 'x={"a":[1]}', id="map as nf-prov writes it"),
            pytest.param("{broken", "x={broken", id="no JSON"),
            pytest.param({"@value": "v"}, "x=v", id="typed"),
            pytest.param("a=b", "x=a=b", id="equals sign"),
            pytest.param("a\nb\0", "x=a\nb\ufffd", id="line break and null byte"),
        ],
    )
    def test_parameters(self, value: object, shown: str) -> None:
        """A value is shown the way a person would type it."""
        values = values_of(run_with(parameter("x", value)))
        assert picked(values, "params", "param_count") == ([shown], 1)

    def test_parameters_of_one_name(self) -> None:
        """A workflow of many steps has many parameters of one name: all values are kept, all are counted."""
        many = [{**parameter("level", value), "@id": f"#{n}"} for n, value in enumerate((1, 2, 2))]
        assert picked(values_of(run_with(*many)), "params", "param_count") == (["level=1", "level=2"], 3)

    def test_outputs_are_no_parameters(self) -> None:
        """nf-prov 1.5 and later list the outputs among the run's objects."""
        output = {**parameter("report", "report.html"), "@id": "#output/report/value"}
        assert picked(values_of(run_with(output)), "params", "param_count") == (None, 0)

    @pytest.mark.parametrize(
        ("value", "name"),
        [
            pytest.param({"name": None}, "value", id="end of the @id"),
            pytest.param({"name": None, "exampleOfWork": ref("#param/y")}, "y", id="not described"),
            pytest.param({"name": None, "exampleOfWork": ref("#formal")}, "genome", id="its formal parameter's"),
            pytest.param({"exampleOfWork": ref("#formal")}, "x", id="its own"),
        ],
    )
    def test_parameter_names(self, value: Entity, name: str) -> None:
        """A value without a name has that of what it is an example of."""
        formal = {"@id": "#formal", "@type": "FormalParameter", "name": "genome"}
        assert values_of(run_with({**parameter("x", 1), **value}, entities=[formal]))["params"] == [f"{name}=1"]

    @pytest.mark.parametrize(
        ("value", "promoted"),
        [
            pytest.param("GRCh38", "GRCh38", id="text"),
            pytest.param("20240501", "v20240501", id="like a date"),
            pytest.param(True, True, id="boolean"),
            pytest.param(5, 5, id="whole number"),
            pytest.param(0.5, 0.5, id="number"),
            pytest.param(10**30, str(10**30), id="too large for the indexer"),
            pytest.param(None, None, id="null"),
        ],
    )
    def test_promoted_parameters(self, value: object, promoted: object) -> None:
        """``promote_params`` gives a parameter a key of its own, with its own type."""
        values = values_of(run_with(parameter("genome", value), parameter("other", 1)), promote=("genome", "gone"))
        assert values.get("param_genome") == promoted
        assert not {"param_other", "param_gone"} & values.keys()

    @pytest.mark.parametrize(
        ("tool", "software"),
        [
            pytest.param({"name": "star"}, None, id="no version"),
            pytest.param({"version": "1"}, ["sort=1"], id="name and version"),
            pytest.param(
                {"name": "star", "softwareVersion": "2.7", "version": "1"}, ["star=2.7"], id="software version"
            ),
            pytest.param({"name": "star 2.7", "version": "2.7"}, ["star 2.7"], id="version in the name"),
            pytest.param({"name": None, "version": "1"}, None, id="no name"),
            pytest.param({"@type": ["ContainerImage", "SoftwareApplication"], "version": "1"}, None, id="image"),
            pytest.param(
                {"@type": ["ComputationalWorkflow", "SoftwareApplication"], "version": "1"}, None, id="pipeline"
            ),
            pytest.param({"additionalType": ref("https://x.org/run#DockerImage"), "version": "1"}, None, id="Docker"),
            pytest.param({"additionalType": "SIFImage", "version": "1"}, None, id="Singularity"),
            pytest.param({"name": "b/x", "version": "b/x@sha256:0f"}, None, id="digest as version"),
            pytest.param({"name": "quay.io/b/x:3.6-1", "version": "3.6-1"}, None, id="name of an image"),
            pytest.param({"name": "https://d.org/x:1", "version": "https://d.org/x:1"}, None, id="address as both"),
            pytest.param({"name": "https://d.org/x", "version": "1"}, ["https://d.org/x=1"], id="address of a tool"),
            pytest.param({"name": "bin/sort", "version": "1"}, ["bin/sort=1"], id="path of a tool"),
        ],
    )
    def test_software(self, tool: Entity, software: list[str] | None) -> None:
        """Tools with versions; a name alone is a process's."""
        assert values_of(plain_run({**TOOL, **tool})).get("software") == software

    @pytest.mark.parametrize(
        ("image", "containers"),
        [
            pytest.param({"@id": "docker://x"}, ["docker://x"], id="only an address"),
            pytest.param({"name": "star"}, ["star"], id="name"),
            pytest.param({"name": "b/star", "registry": "quay.io", "tag": "2.7"}, ["quay.io/b/star:2.7"], id="all"),
            pytest.param(
                {"name": "quay.io/b/star", "registry": "quay.io"}, ["quay.io/b/star"], id="registry in the name"
            ),
            pytest.param(
                {"name": "quay.io/b/star:2.7", "registry": "https://quay.io", "tag": "2.7"},
                ["quay.io/b/star:2.7"],
                id="Sapporo says everything twice",
            ),
            pytest.param(
                {"name": "b/star", "registry": "https://quay.io/"}, ["quay.io/b/star"], id="registry as address"
            ),
            pytest.param(
                {"name": "b/star:2.7@sha256:0f", "tag": "2.7"}, ["b/star:2.7@sha256:0f"], id="tag before a digest"
            ),
            pytest.param(
                {"name": "https://d.org/star", "registry": "d.org", "tag": "2"}, ["https://d.org/star:2"], id="address"
            ),
            pytest.param({"@id": None}, None, id="nothing"),
        ],
    )
    def test_containers(self, image: Entity, containers: list[str] | None) -> None:
        """Images as people write them."""
        assert values_of(plain_run({"@id": "#i", "@type": "ContainerImage", **image})).get("containers") == containers


class TestWords:
    """What the crate says of itself, and of people and instruments."""

    def test_title_description_keywords(self) -> None:
        """Keywords may be a list or one text with commas."""
        root = {"name": " Root ", "description": ["One", "Two"], "keywords": ["b, a", "a", None, 5, ","]}
        values = values_of(plain_run(root=root))
        assert picked(values, "title", "description", "keywords") == ("Root", "One", ["5", "a", "b"])

    def test_the_pipeline_describes_where_the_crate_does_not(self) -> None:
        """A description is better than none."""
        assert values_of(nextflow_run(workflow={"description": "Counts"}))["description"] == "Counts"

    def test_profiles_are_those_of_crate_and_root(self) -> None:
        """RO-Crate itself is no profile."""
        descriptor = {**DESCRIPTOR, "conformsTo": refs("https://w3id.org/ro/crate/1.1", "https://x.org/b")}
        root = {**ROOT, "conformsTo": ["https://x.org/a", ref("https://x.org/b"), 5]}
        assert values_of(document(descriptor, root))["crate_profiles"] == ["https://x.org/a", "https://x.org/b"]

    def test_roles(self) -> None:
        """Creators, producers, instruments and notebook entries, as Quilt's profile keeps them."""
        robot = {"@id": "#robot", "@type": "Thing", "name": "Robot", "identifier": "R2"}
        entry = {
            "@id": "https://eln/1",
            "additionalType": ref("https://w3id.org/quilt/ro-crate#ELNEntry"),
            "name": "EXP-1",
        }
        root = {
            "creator": [ref(PERSON["@id"]), "Bob", ref(PERSON["@id"])],
            "producer": ref(LAB["@id"]),
            "isBasedOn": refs("https://eln/1", "https://eln/1", "#x"),
        }
        used = {"@id": "#a", "@type": "CreateAction", "instrument": refs("#robot", "#sort")}
        values = values_of(plain_run(PERSON, LAB, TOOL, robot, entry, used, root=root))
        assert picked(values, "creator", "producer") == (["Ada", "Bob"], ["Acme"])
        assert picked(values, "instrument", "instrument_id", "eln_entry") == (["Robot"], ["R2"], ["EXP-1"])

    def test_twenty_thousand_links_to_one_large_entity(self) -> None:
        """An entity is looked at once, however often it is named: a small crate cannot fill the memory."""
        giant = {"@id": "#g", "@type": "Person", "name": "G", "x": ["y"] * 20_000}
        values = values_of(plain_run(giant, root={"creator": refs("#g") * 20_000, "author": refs("#g") * 20_000}))
        assert values["creator"] == ["G"]
        parts = {"@id": "#c", "@type": "Collection", "hasPart": refs(*map(str, range(20_000)))}
        assert values_of(nextflow_run(parts, run={"object": refs("#c") * 20_000}))["input_count"] == 20_000

    def test_dangling_references_are_counted(self) -> None:
        """What the run and its tasks refer to and the crate does not describe."""
        assert warnings_of(nextflow_run(task(1, "A", instrument=None, object=refs("gone", "lost", "gone")))) == [
            "dangling-reference:2",
            "null-instrument",
        ]


class TestSchema:
    """The schema is one table, and every output keeps it."""

    def test_it_is_draft_7_without_references(self) -> None:
        """Quilt takes a draft-07 schema without ``$ref`` as a workflow's."""
        schema = json_schema()
        assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
        assert "$ref" not in str(schema)
        assert schema["type"] == "object"
        assert list(schema["properties"]) == [key.name for key in KEYS]

    def test_every_key_says_what_it_means(self) -> None:
        """Words for people, without a full stop; no name is there twice."""
        assert all(key.meaning and not key.meaning.endswith(".") for key in KEYS)
        assert len({key.name for key in KEYS}) == len(KEYS)

    def test_it_is_what_was_decided(self, shared: Path) -> None:
        """Keys, groups and volatile keys are those of METADATA.md."""
        text = (shared / "METADATA.md").read_text("utf-8")
        rows = re.findall(r"^\| ([\w' ]+) \| (`.*) \|$", text, re.MULTILINE)
        decided = [name for _, row in rows for name in re.findall(r"`([a-z0-9_]+)`", row.partition("(string")[0])]
        assert [key.name for key in KEYS] == decided
        volatile = re.search(r"Volatile keys, ignored by `--dedup outputs`: (.*?); and the files", text, re.DOTALL)
        assert volatile is not None
        patterns = [name.replace("*", ".*") for name in re.findall(r"`([a-z0-9_*]+)`", volatile[1])]
        assert {key.name for key in KEYS if re.fullmatch("|".join(patterns), key.name)} == VOLATILE_KEYS

    @pytest.mark.parametrize(
        ("name", "derived"), [("project", False), ("parameter", False), ("samples", True), ("param_genome", True)]
    )
    def test_what_belongs_to_it(self, name: str, *, derived: bool) -> None:
        """Keys of the table and promoted parameters; all others are the user's."""
        assert is_derived(name) is derived

    def test_what_is_stable_is_that_of_the_results(self) -> None:
        """The same run into another folder, at another time, has the same stable metadata."""
        first, second = (
            values_of(read_crate(str(RECORDED[name]))) for name in ("multi-module", "multi-module-resumed")
        )
        assert first != second
        assert stable_metadata(first) == stable_metadata(second)
        assert not stable_metadata({**first, "project": "x"}).keys() & {"project", *VOLATILE_KEYS}
