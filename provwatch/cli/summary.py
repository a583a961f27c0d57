"""A run in a few lines for people, from package metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from provwatch.console import human_bytes, human_seconds, plain, styled, table
from provwatch.metadata.warnings import explain

ITEMS_SHOWN = 6
STATUS_STYLES = {"succeeded": "green", "failed": "red", "cancelled": "yellow"}


def summarise(metadata: Mapping[str, Any], *, kind: str = "run") -> str:
    """Return the run's summary; nothing in it can forge a line or a colour."""
    rows = {
        "run": _run(metadata) if kind == "run" else "",
        "error": plain(metadata.get("run_error", "")),
        "started": _times(metadata),
        "by": _who(metadata),
        "engine": _joined(metadata.get("engine"), metadata.get("engine_version")),
        "tasks": _tasks(metadata),
        "samples": _list(metadata, "samples", "sample_count"),
        "inputs": _count(metadata, "input_count"),
        "outputs": _outputs(metadata),
        "parameters": _count(metadata, "param_count"),
        **warning_rows(metadata.get("warnings", [])),
    }
    shown = {label: value for label, value in rows.items() if value}
    return f"{_headline(metadata, kind)}\n{table(shown)}" if shown else _headline(metadata, kind)


def warning_rows(codes: Iterable[str]) -> dict[str, str]:
    """Return warnings as rows of a table, each with its meaning; blank labels of growing length keep them apart."""
    rows = [plain(explain(code)) for code in codes]
    if len(rows) > ITEMS_SHOWN:
        rows = [*rows[:ITEMS_SHOWN], f"and {len(rows) - ITEMS_SHOWN} more"]
    return {"warnings" if number == 0 else " " * number: row for number, row in enumerate(rows)}


def difference_rows(summary: Mapping[str, list[str]]) -> dict[str, str]:
    """Return what would differ from the package as it is, as rows of a table."""
    rows = {}
    for name, label in (("added", "would add"), ("removed", "would drop"), ("changed", "would change")):
        rows[label] = _some(summary.get(name, []))
    rows["same size"] = f"{len(summary['not_read'])}, content not read" if summary.get("not_read") else ""
    rows["metadata"] = _some(summary.get("metadata", []))
    return {label: row for label, row in rows.items() if row}


def _some(keys: list[str]) -> str:
    """Return how many keys there are, and the first of them."""
    shown = ", ".join(plain(key) for key in keys[:ITEMS_SHOWN])
    return f"{len(keys)}: {shown}{', ...' if len(keys) > ITEMS_SHOWN else ''}" if keys else ""


def _headline(metadata: Mapping[str, Any], kind: str) -> str:
    """Return what ran, or what it is where nothing did."""
    name = metadata.get("pipeline") or metadata.get("title") or "no crate: nothing says what made these files"
    headline = styled(_joined(name, metadata.get("pipeline_version")), "bold")
    return headline if kind == "run" else f"{headline} ({kind} crate, no run)"


def _run(metadata: Mapping[str, Any]) -> str:
    """Return run name and status."""
    status = str(metadata.get("run_status", ""))
    if not status:
        return ""
    shown = styled(status, STATUS_STYLES.get(status, "yellow"))
    note = " (inferred)" if metadata.get("run_status_source") == "inferred" else ""
    name = metadata.get("run_name") or metadata.get("run_id") or ""
    return f"{plain(name)} {shown}{note}".strip()


def _times(metadata: Mapping[str, Any]) -> str:
    """Return start and duration."""
    parts = [plain(metadata["run_started"])] if "run_started" in metadata else []
    if "duration_s" in metadata:
        parts.append(f"took {human_seconds(metadata['duration_s'])}")
    return ", ".join(parts)


def _who(metadata: Mapping[str, Any]) -> str:
    """Return agent, ORCID iD and organisation."""
    orcid = str(metadata.get("agent_orcid", "")).rpartition("/")[2]
    agent = plain(metadata.get("agent", ""))
    named = f"{agent} ({orcid})" if agent and orcid else agent
    return ", ".join(filter(None, (named, plain(metadata.get("organization", "")))))


def _tasks(metadata: Mapping[str, Any]) -> str:
    """Return the number of tasks, how they ended, and of which processes."""
    if "tasks_total" not in metadata:
        return ""
    parts = [str(metadata["tasks_total"])]
    for key, word in (("tasks_failed", "failed"), ("tasks_unknown", "of unknown status"), ("tasks_cached", "cached")):
        if metadata.get(key):
            parts.append(f"{metadata[key]} {word}")
    processes = [plain(item).replace("=", " x ") for item in metadata.get("process_tasks", [])]
    shown = ", ".join(processes[:ITEMS_SHOWN]) + (", ..." if len(processes) > ITEMS_SHOWN else "")
    return ", ".join(parts) + (f" ({shown})" if shown else "")


def _outputs(metadata: Mapping[str, Any]) -> str:
    """Return the number of outputs, their bytes and types."""
    count = _count(metadata, "output_count")
    if count and "output_bytes" in metadata:
        count += f", {human_bytes(metadata['output_bytes'])}"
    types = _list(metadata, "output_types", None)
    return f"{count} ({types})" if count and types else count


def _count(metadata: Mapping[str, Any], key: str) -> str:
    """Return a number, "" where it is not known."""
    return str(metadata[key]) if key in metadata else ""


def _list(metadata: Mapping[str, Any], key: str, count_key: str | None) -> str:
    """Return the first items of a list, with its length where that is a key of its own."""
    items = [plain(item) for item in metadata.get(key, [])]
    shown = ", ".join(items[:ITEMS_SHOWN])
    if len(items) > ITEMS_SHOWN:
        shown += f" and {len(items) - ITEMS_SHOWN} more" if count_key is None else ", ..."
    return f"{metadata[count_key]}: {shown}" if count_key and count_key in metadata else shown


def _joined(*parts: object) -> str:
    """Return the parts that are there, on one line."""
    return " ".join(plain(part) for part in parts if part)
