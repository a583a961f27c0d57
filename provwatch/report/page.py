"""The report of a run as a page of Markdown: what people want to know first comes first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from provwatch.console import human_bytes, human_seconds
from provwatch.metadata import is_derived
from provwatch.metadata.schema import KEY_BY_NAME
from provwatch.metadata.warnings import explain
from provwatch.report.files import PackagedFile, grouped, is_image, is_multiqc, is_report, is_table, nearest
from provwatch.report.markdown import code, fence, folded, link, table, text, web_link

ROWS = 40
NAMES = 60
WORTH_A_LOOK = 12
TYPES: dict[str, Any] = {"string": str, "integer": int, "number": int | float, "boolean": bool, "strings": list}
STATUS = {"succeeded": "succeeded", "failed": "**failed**", "cancelled": "**was cancelled**"}
HOW_KNOWN = {"inferred": " (inferred)", "stated": "", "unknown": ""}


class Page:
    """A report that can be written for any place in the package."""

    def __init__(
        self, values: Mapping[str, Any], files: Sequence[PackagedFile], picture: str, title: str, registry: str
    ) -> None:
        """Report on a package.

        Args:
            values: its metadata.
            files: its own files.
            picture: the run as Mermaid text, or "".
            title: name of the package.
            registry: ``s3://bucket`` that it is read from, "" for a local one.
        """
        self._values = _fitting(values)
        self._files = files
        self._picture = picture
        self._title = title
        self._registry = registry

    def written(self, *, above: str) -> bytes:
        """Return the page; *above* is what links from it to the package's top begin with."""
        sections: list[tuple[str, Callable[[], list[str]]]] = [
            ("Run", self._run),
            ("Worth a look", lambda: self._worth_a_look(above)),
            ("Files", self._by_kind),
            ("Samples", lambda: self._names("samples", "sample_count")),
            ("Tasks", self._tasks),
            ("Parameters", self._parameters),
            ("Software", self._software),
            ("Inputs", lambda: self._names("inputs", "input_count")),
            ("Added by hand", self._by_hand),
            ("Notes", self._notes),
            ("Provenance", lambda: fence("mermaid", self._picture) if self._picture else []),
            ("Reading this package", lambda: self._reading(above)),
        ]
        lines = [f"# {self._headline()}", "", self._sentence(), ""]
        for heading, section in sections:
            body = section()
            if body:
                lines += [f"## {heading}", "", *body]
        return ("\n".join(lines).rstrip("\n") + "\n").encode(errors="replace")

    def _get(self, key: str) -> Any:
        """Return a value, or None."""
        return self._values.get(key)

    def _headline(self) -> str:
        """Return what ran."""
        name = self._get("pipeline") or self._get("title") or self._title
        version = self._get("pipeline_version")
        return text(f"{name} {version}" if version else name)

    def _sentence(self) -> str:
        """Return in one sentence how the run ended, when, and who ran it."""
        if self._get("run_status") is None:
            return "No crate of a run lies in this package, so nothing says what made these files."
        status = STATUS.get(self._get("run_status"), "ended, and nothing says how")
        words = [f"The run {text(self._get('run_name') or self._get('run_id') or '')}".rstrip(), status]
        words[-1] += HOW_KNOWN.get(self._get("run_status_source"), "")
        if self._get("run_started"):
            words.append(f"on {text(str(self._get('run_started'))[:10])}")
        if self._get("duration_s") is not None:
            words.append(f"after {human_seconds(self._get('duration_s'))}")
        if self._get("agent"):
            words.append(f"by {text(self._get('agent'))}")
        error = self._get("run_error")
        return " ".join(words) + ("." if not error else f": {code(error)}")

    def _run(self) -> list[str]:
        """Return who ran what, when, with which engine."""
        orcid = self._get("agent_orcid")
        rows = {
            "Pipeline": web_link(self._get("pipeline") or "", self._get("repository")),
            "Version": self._joined("pipeline_version", "pipeline_revision", "pipeline_commit"),
            "License": web_link(_last(self._get("license")), self._get("license")),
            "Run": self._joined("run_name", "run_id"),
            "Started": text(self._get("run_started") or ""),
            "Ended": text(self._get("run_ended") or ""),
            "By": text(self._get("agent") or "")
            + (f" ({web_link(str(orcid).rpartition('/')[2], orcid)})" if orcid else ""),
            "User": text(self._get("user") or ""),
            "Organization": web_link(self._get("organization") or "", self._get("organization_ror")),
            "Engine": self._joined("engine", "engine_version", separator=" "),
            "Profiles": text(", ".join(self._get("profiles") or ())),
            "Command": code(self._get("command_line")) if self._get("command_line") else "",
            "CPU hours": text(self._get("cpu_hours") or ""),
            "Peak memory": f"{self._get('peak_memory_gb')} GB" if self._get("peak_memory_gb") else "",
            "Description": text(self._get("description") or ""),
        }
        return table(("Package", code(self._title)), [(label, value) for label, value in rows.items() if value])

    def _joined(self, *keys: str, separator: str = ", ") -> str:
        """Return the values that are there, each once."""
        return separator.join(dict.fromkeys(text(self._get(key)) for key in keys if self._get(key)))

    def _worth_a_look(self, above: str) -> list[str]:
        """Return links to what people open first."""
        chosen: list[PackagedFile] = []
        for wanted in (is_multiqc, is_table, is_report, is_image):
            chosen += nearest(filter(wanted, self._files), WORTH_A_LOOK // 3)
        lines = [
            f"- {link(file.logical_key, file.logical_key, above=above)}, {human_bytes(file.size)}"
            for file in chosen[:WORTH_A_LOOK]
        ]
        return [*lines, ""] if lines else []

    def _by_kind(self) -> list[str]:
        """Return the files counted by folder and kind."""
        groups = grouped(self._files)
        rows = [
            (
                code(f"{group.folder}/" if group.folder else "./"),
                text(group.kind),
                f"{group.count:,}",
                human_bytes(group.size),
            )
            for group in groups[:ROWS]
        ]
        left = groups[ROWS:]
        if left:
            size = human_bytes(sum(group.size for group in left))
            rows.append((f"{len(left):,} more kinds", "", f"{sum(group.count for group in left):,}", size))
        total = human_bytes(sum(file.size for file in self._files))
        rows.append(("**all**", "", f"**{len(self._files):,}**", f"**{total}**"))
        return table(("folder", "kind", "files", "size"), rows)

    def _names(self, key: str, count_key: str) -> list[str]:
        """Return a list of names, with their number."""
        names = list(self._get(key) or ())
        count = self._get(count_key) or len(names)
        if not count:
            return []
        shown = ", ".join(folded([code(name) for name in names], NAMES))
        return [f"{count:,}: {shown}" if shown else f"{count:,}", ""]

    def _tasks(self) -> list[str]:
        """Return how many tasks there were of each process, failures first."""
        if self._get("tasks_total") is None:
            return []
        words = {"tasks_failed": "**failed**", "tasks_succeeded": "succeeded", "tasks_cached": "cached"}
        words["tasks_unknown"] = "of unknown status"
        parts = [f"{self._get(key):,} {word}" for key, word in words.items() if self._get(key)]
        summary = (
            f"{self._get('tasks_total'):,} tasks: {', '.join(parts)}"
            if parts
            else f"{self._get('tasks_total'):,} tasks"
        )
        pairs = [str(item).rpartition("=") for item in self._get("process_tasks") or ()]
        return [summary, "", *self._rows(("process", "tasks"), [(code(name), text(count)) for name, _, count in pairs])]

    def _parameters(self) -> list[str]:
        """Return the parameters as a table."""
        pairs = [str(item).partition("=") for item in self._get("params") or ()]
        return self._rows(("parameter", "value"), [(code(name), code(value)) for name, _, value in pairs])

    def _software(self) -> list[str]:
        """Return software versions, and containers."""
        pairs = [str(item).partition("=") for item in self._get("software") or ()]
        lines = self._rows(("software", "version"), [(code(name), code(version)) for name, _, version in pairs])
        containers = folded([f"- {code(name)}" for name in self._get("containers") or ()], ROWS)
        return lines + (["Containers:", "", *containers, ""] if containers else [])

    def _rows(self, head: tuple[str, str], rows: list[tuple[str, str]]) -> list[str]:
        """Return a table of two columns, cut where it is long."""
        more = len(rows) - ROWS
        shown = [*rows[:ROWS], (f"{more:,} more in provwatch/metadata.json", "")] if more > 0 else rows
        return table(head, shown)

    def _by_hand(self) -> list[str]:
        """Return the metadata that a person gave."""
        given = {key: value for key, value in sorted(self._values.items()) if not is_derived(key)}
        return self._rows(("key", "value"), [(code(key), code(value)) for key, value in given.items()])

    def _notes(self) -> list[str]:
        """Return what was odd."""
        notes = folded([f"- {text(explain(str(warning)))}" for warning in self._get("warnings") or ()], ROWS)
        return [*notes, ""] if notes else []

    def _reading(self, above: str) -> list[str]:
        """Return how to get at the files from Python, and where all of the metadata is."""
        whole = link("provwatch/metadata.json", "provwatch/metadata.json", above=above)
        place = f', registry="{self._registry}"' if self._registry else ""
        browse = f'package = quilt3.Package.browse("{self._title}"{place})'
        program = f'import quilt3\n\n{browse}\npackage.fetch("results/")'
        kept = f"All that is known of the run is in {whole}. Cite the package by its name and its top hash."
        return [*fence("python", program), kept, ""]


def _fitting(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values without those of another type than the schema's, which a description may have put there."""
    fitting = {}
    for name, value in values.items():
        key = KEY_BY_NAME.get(name)
        if key is None or (isinstance(value, TYPES[key.kind]) and (key.kind == "boolean") is isinstance(value, bool)):
            fitting[name] = list(map(str, value)) if key is not None and key.kind == "strings" else value
    return fitting


def _last(address: object) -> str:
    """Return the last part of an address, which names what it identifies."""
    return str(address or "").rstrip("/").rpartition("/")[2]
