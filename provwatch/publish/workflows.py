"""Quilt workflows: which one is in force in a registry, and whether a package passes it, before any other work.

The rules are quilt3's (https://docs.quilt.bio/workflows/workflows); what is found here, ``Package.build`` would find
too, but only after everything was hashed and uploaded, and one problem at a time.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from provwatch.publish.workflow_config import load_schema, one_line, parse_config, problems, refused

PROBLEMS_SHOWN = 8

Read = Callable[[str], tuple[bytes, str] | None]
"""Returns the bytes at a URI and the URI with its version, or None where there is nothing."""


@dataclass(frozen=True, slots=True)
class Package:
    """What a workflow looks at.

    Attributes:
        name: the package's name.
        message: its commit message.
        metadata: its metadata.
        entries: ``logical_key``, ``size`` and ``meta`` of each entry, in manifest order.
    """

    name: str
    message: str | None
    metadata: Mapping[str, Any]
    entries: Iterable[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class WorkflowConfig:
    """A registry's workflows configuration.

    Attributes:
        where: its URI, with its version where it has one.
        config: what it says.
        read: reads schemas.
    """

    where: str
    config: Mapping[str, Any]
    read: Read

    def resolve(self, wanted: str | None) -> str:
        """Return the id of the workflow in force, "" for none.

        Args:
            wanted: an id, "" for none, None for the default.

        Raises:
            PackagingError: there is no such workflow, or none where one is required.
        """
        workflows = self.config["workflows"]
        workflow = self.config.get("default_workflow") if wanted is None else wanted or None
        if workflow is None:
            if self.config.get("is_workflow_required", True):
                hint = f"Give --quilt-workflow, one of: {', '.join(workflows)}"
                raise refused("this registry requires a Quilt workflow", self.where, hint)
            return ""
        if workflow not in workflows:
            close = difflib.get_close_matches(workflow, workflows, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(workflows)}"
            raise refused(f"there is no Quilt workflow {workflow!r}", self.where, hint)
        return str(workflow)

    def check(self, workflow: str, package: Package) -> dict[str, Any]:
        """Check a package; return what its manifest says of the workflow.

        Args:
            workflow: an id, "" for none.
            package: what to check.

        Raises:
            PackagingError: the package does not pass; all problems of its metadata are in the sentence.
        """
        rules = self.config["workflows"][workflow] if workflow else {}
        self._check_name(rules.get("handle_pattern"), workflow, package.name)
        if rules.get("is_message_required") and not package.message:
            raise refused(f"the workflow {workflow!r} requires a commit message", self.where, "Give --message")
        used: dict[str, str] = {}
        if rules.get("metadata_schema"):
            schema = self._schema(rules["metadata_schema"], used)
            self._refuse(problems(schema, dict(package.metadata)), "metadata", workflow, package)
        if rules.get("entries_schema"):
            schema, entries = self._schema(rules["entries_schema"], used), list(package.entries)
            self._refuse(problems(schema, entries, _name_of(entries)), "entries", workflow, package)
        record = {"id": workflow or None, "config": self.where}
        return {**record, "schemas": used} if used else record

    def _check_name(self, pattern: str | None, workflow: str, name: str) -> None:
        """Refuse a package whose name is not like the workflow wants it."""
        try:
            fits = not pattern or re.search(pattern, name)
        except re.error as error:
            raise refused(f"the pattern of the workflow {workflow!r} is none: {error}", self.where) from error
        if not fits:
            message = f"the workflow {workflow!r} wants package names like {pattern!r}, not {name!r}"
            raise refused(message, self.where, "Give --name")

    def _schema(self, schema_id: str, used: dict[str, str]) -> Any:
        """Return a schema, and note its URI with its version."""
        uris: list[str] = []

        def read(url: str) -> bytes | None:
            found = self.read(url)
            if found is None:
                return None
            uris.append(found[1])
            return found[0]

        schema = load_schema(self.config, schema_id, read, where=self.where)
        used[schema_id] = uris[0]
        return schema

    def _refuse(self, found: list[str], what: str, workflow: str, package: Package) -> None:
        """Refuse a package that has problems, with all of them, as far as one can read them."""
        if not found:
            return
        shown = "; ".join(found[:PROBLEMS_SHOWN])
        more = f"; and {len(found) - PROBLEMS_SHOWN} more" if len(found) > PROBLEMS_SHOWN else ""
        message = f"the {what} of {package.name} do not pass the workflow {workflow!r}: {shown}{more}"
        hint = "Give what is missing with --metadata, or choose another --quilt-workflow"
        raise refused(message, self.where, hint if what == "metadata" else "Choose another --quilt-workflow")


def _name_of(entries: list[Mapping[str, Any]]) -> Callable[[Any], str]:
    """Return what names the place of a problem by the entry's logical key."""

    def name(path: Any) -> str:
        place = list(path)
        if not place or not isinstance(place[0], int):
            return ".".join(map(str, place))
        return one_line(" ".join([str(entries[place[0]]["logical_key"]), *map(str, place[1:])]))

    return name


def load_workflows(uri: str, read: Read) -> WorkflowConfig | None:
    """Return the workflows configuration at a URI, or None where there is none.

    Raises:
        PackagingError: it is not one that Quilt takes.
    """
    found = read(uri)
    if found is None:
        return None
    data, where = found
    return WorkflowConfig(where, parse_config(data, where=where), read)
