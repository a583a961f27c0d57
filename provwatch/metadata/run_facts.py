"""Which pipeline ran, when, how it ended, on which engine, and who ran it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from provwatch.crate import CrateKind, Entity, Run
from provwatch.crate.model import Crate, instant, many, named, references, text
from provwatch.metadata.sources import Sources, Values

COMMIT = re.compile(r"^[0-9a-f]{40}$")
ORCID = re.compile(r"^https?://orcid\.org/\d{4}-\d{4}-\d{4}-\d{3}[\dX]$")
ROR = re.compile(r"^https?://ror\.org/")
ENGINE_WITH_VERSION = re.compile(r"^(?:Run of )?(?P<name>[A-Za-z][\w\- ]*?)\s+v?(?P<version>\d[\w.\-+]*)$")
FRACTION = re.compile(r"[.,]\d+")
VERSION = re.compile(r"[0-9]")  # ">=25.04" and "v1.2" are not what ran
ENGINE_LANGUAGES = frozenset({"nextflow", "galaxy", "snakemake"})  # whose language is their engine
STATUS_BY_ACTION_STATUS = {"CompletedActionStatus": "succeeded", "FailedActionStatus": "failed"}
PRODUCER_BY_TOOL = (
    ("github.com/inab/wfexs-backend", "WfExS"),
    ("sapporo", "sapporo-service"),
    ("streamflow", "StreamFlow"),
    ("compss", "COMPSs"),
    ("autosubmit", "Autosubmit"),
    ("galaxy", "Galaxy"),
    ("snakemake", "Snakemake"),
)


def pipeline_facts(sources: Sources) -> Values:
    """Return what ran: name, version, commit, source and license."""
    workflow, root = sources.workflow, sources.root
    stated = text(workflow.get("softwareVersion")) or text(workflow.get("version"))
    commit = stated if stated and COMMIT.match(stated) else None
    version = sources.config.get("manifest.version") or (None if commit else stated)
    return {
        "pipeline": text(workflow.get("name")) or text(workflow.get("alternateName")) or named(workflow.get("@id")),
        "pipeline_version": version,
        "pipeline_commit": commit,
        "repository": _web(workflow.get("codeRepository")) or _web(workflow.get("url")),
        "license": _id_or_text(root.get("license")) or _id_or_text(workflow.get("license")),
    }


def run_facts(sources: Sources) -> Values:
    """Return which run it was, when, and how it ended."""
    status, status_source = _run_status(sources)
    values: Values = {
        "run_status": status,
        "run_status_source": status_source,
        "stub_run": True if sources.is_stub else None,
    }
    run = sources.view.run
    if len(sources.view.runs) > 1:
        sources.warnings.add(f"runs:{len(sources.view.runs)}")
    if run is not None:
        properties = sources.run
        values["run_id"] = _short_id(run)
        named = None if sources.view.from_nf_prov else text(properties.get("name"))
        values["run_name"] = sources.config.get("runName") or named
        values["run_error"] = text(properties.get("error"))
    values.update(_times(sources))
    return values


def _short_id(run: Run) -> str | None:
    """Return a run's ``@id`` without the marks of a fragment or a URN; None where it has none of its own."""
    return run.id.removeprefix("#").removeprefix("urn:uuid:") if named(run.id) else None


def _run_status(sources: Sources) -> tuple[str, str]:
    """Return the status of the run and where it comes from."""
    run = sources.view.run
    if sources.view.kind is not CrateKind.RUN:
        return "unknown", "unknown"
    if run is None:
        return _status_of_all(sources)
    stated = action_status(run.action)
    if stated is not None:
        return stated, "stated"
    if run.action.error is not None:
        return "failed", "inferred"
    if sources.view.from_nf_prov:
        return "succeeded", "inferred"
    return "unknown", "unknown"


def _status_of_all(sources: Sources) -> tuple[str, str]:
    """Return the status of a crate without one run: that of its tasks, where all of them say so."""
    statuses = {action_status(task.action) for task in sources.view.tasks}
    if "failed" in statuses:
        return "failed", "inferred"
    if statuses == {"succeeded"}:
        return "succeeded", "inferred"
    return "unknown", "unknown"


def action_status(action: Entity) -> str | None:
    """Return ``succeeded`` or ``failed`` where an action says so; None where it does not."""
    for value in many(action.status):
        target = value.get("@id") if isinstance(value, dict) else value
        if isinstance(target, str):
            return STATUS_BY_ACTION_STATUS.get(re.split(r"[/:#]", target)[-1])
    return None


def _times(sources: Sources) -> Values:
    """Return start, end and duration of the run, or of all tasks where the crate has no one run."""
    if sources.view.run is not None:
        spans = [sources.run]
    else:
        spans = [sources.crate.facts(task.id) for task in sources.view.tasks]
    starts = sorted(filter(None, (text(span.get("startTime")) for span in spans)), key=_age)
    ends = sorted(filter(None, (text(span.get("endTime")) for span in spans)), key=_age)
    values: Values = {}
    start = _parse_time(starts[0]) if starts else None
    end = _parse_time(ends[-1]) if ends else None
    if starts:
        values["run_started"] = written_time(sources, "run_started", starts[0])
    if ends:
        values["run_ended"] = written_time(sources, "run_ended", ends[-1])
    if start is not None and end is not None and (start.tzinfo is None) == (end.tzinfo is None):
        seconds = (end - start).total_seconds()
        single = len(sources.view.tasks) <= 1 and not sources.view.workflow_id
        if seconds < 0:
            sources.warnings.add("end-before-start")
        elif seconds >= 1 or single:
            values["duration_s"] = round(seconds)
    return values


def _age(written: str) -> tuple[float, str]:
    """Return a sort key for times, whatever zone they are in."""
    return (instant(written), written)


def _parse_time(written: str) -> datetime | None:
    """Return an ISO 8601 time, or None where it is not one; fractions of any length are fine."""
    try:
        return datetime.fromisoformat(written)
    except ValueError:
        return None


def written_time(sources: Sources, key: str, written: str) -> str:
    """Return a time in UTC to the second; one without a zone is kept as it is, and warned about."""
    parsed = _parse_time(written)
    if parsed is not None and parsed.tzinfo is not None:
        try:
            return utc(parsed)
        except OverflowError:  # the first or last day of the calendar
            parsed = None
    sources.warnings.add(f"invalid-time:{key}" if parsed is None else f"naive-time:{key}")
    return written


def utc(moment: datetime) -> str:
    """Return a time as ``YYYY-MM-DDTHH:MM:SSZ``; fractions of a second are cut."""
    return f"{moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()}Z"


def who_facts(sources: Sources) -> Values:
    """Return who ran it, for which organisation."""
    agents = _agents(sources)
    persons = [agent for agent in agents if _is_a(agent, "Person")]
    agent = (persons or agents or [{}])[0]
    organization = _organization(sources.crate, agent, sources.root)
    return {
        "agent": text(agent.get("name")) or named(agent.get("@id")),
        "agent_orcid": _matching_id(agent, ORCID),
        "organization": text(organization.get("name")),
        "organization_ror": _matching_id(organization, ROR),
    }


def _agents(sources: Sources) -> list[Values]:
    """Return the agents of the run; without a run, those of the tasks."""
    if sources.view.run is not None:
        return sources.crate.resolve(sources.run.get("agent"))
    task_ids = sorted(task.id for task in sources.view.tasks)
    stated = [agent for task_id in task_ids for agent in many(sources.crate.facts(task_id).get("agent"))]
    return sorted(sources.crate.resolve(stated), key=lambda agent: named(agent.get("@id")) or "")


def _organization(crate: Crate, agent: Values, root: Values) -> Values:
    """Return the agent's organisation: itself, what it is affiliated with, else the publisher."""
    if _is_a(agent, "Organization"):
        return agent
    for candidate in (*crate.resolve(agent.get("affiliation")), *crate.resolve(root.get("publisher"))):
        if _is_a(candidate, "Organization") or "@type" not in candidate:
            return candidate
    return {}


def _is_a(properties: Values, kind: str) -> bool:
    """Say whether something is of a type, with or without a prefix such as ``schema:``."""
    return any(isinstance(own, str) and own.rsplit(":", 1)[-1] == kind for own in many(properties.get("@type")))


def _matching_id(properties: Values, pattern: re.Pattern[str]) -> str | None:
    """Return the entity's ``@id`` or identifier that looks as wanted."""
    for candidate in (properties.get("@id"), *many(properties.get("identifier")), *many(properties.get("sameAs"))):
        target = candidate.get("@id") if isinstance(candidate, dict) else candidate
        if isinstance(target, str) and pattern.match(target):
            return target
    return None


def engine_facts(sources: Sources) -> Values:
    """Return which engine ran the workflow, and its version: its action, what executed the run, language, platform."""
    crate, workflow = sources.crate, sources.workflow
    name, version = _stated_engine(sources)
    languages = crate.resolve(workflow.get("programmingLanguage"))
    for language in languages:
        own = text(language.get("name"))
        if own and own.lower() in ENGINE_LANGUAGES:
            name = name or own
            version = version or (_version(language) if name == own else None)
    if name is None:
        name, version = _named_engine(text(workflow.get("runtimePlatform")), None)
    if name is None:  # a language says what could run it, not what did
        name = next(filter(None, (text(language.get("name")) for language in languages)), None)
    return {"engine": name, "engine_version": version if version and VERSION.match(version) else None}


def _stated_engine(sources: Sources) -> tuple[str | None, str | None]:
    """Return name and version of the engine that an action of the crate says it was."""
    crate = sources.crate
    tools = dict.fromkeys(target for engine in sources.view.engines for target in references(engine.instrument))
    for properties in map(crate.facts, tools):
        name, version = _named_engine(text(properties.get("name")), _version(properties))
        if name is not None:
            return name, version
    for engine in sources.view.engines:
        name, version = _named_engine(text(engine.name), None)
        if name is not None:
            return name, version
    executors = [tool for tool in crate.resolve(sources.run.get("executedBy")) if _is_a(tool, "SoftwareApplication")]
    named_tools = [tool for tool in executors if text(tool.get("name"))]
    for tool in sorted(named_tools, key=lambda tool: _version(tool) is None):
        return _named_engine(text(tool.get("name")), _version(tool))
    return None, None


def _named_engine(written: str | None, version: str | None) -> tuple[str | None, str | None]:
    """Split ``Nextflow 24.10.5`` into name and version."""
    found = ENGINE_WITH_VERSION.match(written or "")
    if found is None:
        return written, version
    return found["name"], version or found["version"]


def _version(properties: Values) -> str | None:
    """Return the version of a piece of software."""
    return text(properties.get("softwareVersion")) or text(properties.get("version"))


def producer(sources: Sources) -> str | None:
    """Return the tool that wrote the crate, where the crate gives it away."""
    if sources.view.from_nf_prov:
        return "nf-prov"
    names: list[Any] = [
        language.get("name") for language in sources.crate.resolve(sources.workflow.get("programmingLanguage"))
    ]
    for entity_id, entity in sources.crate.of_type("SoftwareApplication", "Organization"):
        names += [entity_id, entity.name]
    known = " ".join(name.lower() for name in names if isinstance(name, str))
    for mark, tool in PRODUCER_BY_TOOL:
        if mark in known:
            return tool
    return None


def _web(value: Any) -> str | None:
    """Return a web address, given as a string or as a reference."""
    address = _id_or_text(value)
    return address if address and address.startswith(("http://", "https://", "git@", "ssh://")) else None


def _id_or_text(value: Any) -> str | None:
    """Return the ``@id`` a property refers to, else its text."""
    for item in many(value):
        target = named(item.get("@id")) or text(item) if isinstance(item, dict) else text(item)
        if target:
            return target
    return None
