"""Quilt workflows: which one is in force in a registry, and whether a package passes it, before any other work.

The rules are quilt3's (https://docs.quilt.bio/workflows/workflows); what is found here, ``Package.build`` would find
too, but only after everything was hashed and uploaded, and one problem at a time.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from provwatch.errors import PackagingError

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
SUPPORTED_VERSION = (1, 1, 0)
PROBLEMS_SHOWN = 8
CODE = "quilt-workflow"

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


@dataclass(slots=True)
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
    _schemas: dict[str, tuple[Any, str]] = field(default_factory=dict)

    def resolve(self, wanted: str | None) -> str:
        """Return the id of the workflow in force, "" for none.

        Args:
            wanted: an id, "" for none, None for the default.

        Raises:
            PackagingError: there is no such workflow, or none where one is required.
        """
        workflow = self.config.get("default_workflow") if wanted is None else wanted
        if not workflow:
            if self.config.get("is_workflow_required", True):
                hint = f"Give --quilt-workflow, one of: {', '.join(self.config['workflows'])}"
                raise self._error("this registry requires a Quilt workflow", hint)
            return ""
        if workflow not in self.config["workflows"]:
            close = difflib.get_close_matches(workflow, self.config["workflows"], n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(self.config['workflows'])}"
            raise self._error(f"there is no Quilt workflow {workflow!r}", hint)
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
        if rules.get("is_message_required") and not package.message:
            raise self._error(f"the workflow {workflow!r} requires a commit message", "Give --message")
        pattern = rules.get("handle_pattern")
        if pattern and not re.search(pattern, package.name):
            message = f"the workflow {workflow!r} wants package names like {pattern!r}, not {package.name!r}"
            raise self._error(message, "Give --name")
        used = {}
        for rule, what in (("metadata_schema", "metadata"), ("entries_schema", "entries")):
            schema_id = rules.get(rule)
            if schema_id:
                validator, used[schema_id] = self._schema(schema_id)
                value = dict(package.metadata) if what == "metadata" else list(package.entries)
                self._check_against(validator, value, f"the {what} of {package.name}", workflow)
        record = {"id": workflow or None, "config": self.where}
        return {**record, "schemas": used} if used else record

    def _check_against(self, validator: Any, value: Any, what: str, workflow: str) -> None:
        """Check a value against a schema, and collect all its problems."""
        problems = sorted(validator.iter_errors(value), key=lambda problem: list(map(str, problem.absolute_path)))
        if not problems:
            return
        shown = [f"{problem.json_path.removeprefix('$.')}: {problem.message}" for problem in problems[:PROBLEMS_SHOWN]]
        more = f"; and {len(problems) - PROBLEMS_SHOWN} more" if len(problems) > PROBLEMS_SHOWN else ""
        message = f"{what} do not pass the workflow {workflow!r}: {'; '.join(shown)}{more}"
        raise self._error(message, "Give what is missing with --metadata, or choose another --quilt-workflow")

    def _schema(self, schema_id: str) -> tuple[Any, str]:
        """Return the validator of a schema, and the schema's URI with its version."""
        from jsonschema import Draft7Validator, SchemaError  # noqa: PLC0415 - only where a workflow has a schema

        if schema_id in self._schemas:
            return self._schemas[schema_id]
        url = (self.config.get("schemas") or {}).get(schema_id, {}).get("url")
        if not url:
            raise self._error(f"the configuration names the schema {schema_id!r}, and does not say where it lies")
        if not url.startswith(("s3://", "file://")) or (url.startswith("file:") and self.where.startswith("s3:")):
            raise self._error(f"the schema {schema_id!r} lies at {url!r}, which is no place for a bucket's schema")
        found = self.read(url)
        if found is None:
            raise self._error(f"the schema {schema_id!r} is not there: {url}")
        try:
            schema = json.loads(found[0], object_hook=_without_references)
            given = schema.get("$schema", DRAFT_7) if isinstance(schema, dict) else DRAFT_7
            if given != DRAFT_7:
                raise self._error(f"the schema {schema_id!r} is of {given!r}", f"Quilt takes {DRAFT_7} only")
            Draft7Validator.check_schema(schema)
        except (ValueError, RecursionError, SchemaError) as error:
            reason = getattr(error, "message", error)
            raise self._error(f"the schema {schema_id!r} at {url} cannot be used: {reason}") from error
        self._schemas[schema_id] = Draft7Validator(schema), found[1]
        return self._schemas[schema_id]

    def _error(self, message: str, hint: str = "") -> PackagingError:
        """Return an error that says where the configuration lies."""
        return PackagingError(message, where=self.where, hint=hint, code=CODE)


def load_workflows(uri: str, read: Read) -> WorkflowConfig | None:
    """Return the workflows configuration at a URI, or None where there is none.

    Raises:
        PackagingError: it is not one that Quilt takes.
    """
    found = read(uri)
    if found is None:
        return None
    import yaml  # noqa: PLC0415 - only where there is a configuration

    data, where = found
    try:
        config = yaml.safe_load(data.decode())
        problem = _problem_of(config) or _problem_of_version(config["version"])
    except (yaml.YAMLError, ValueError, RecursionError, re.error) as error:
        problem = str(error)
    if problem:
        message = f"the workflows configuration cannot be used: {problem}"
        hint = "See https://docs.quilt.bio/workflows/workflows"
        raise PackagingError(message, where=where, hint=hint, code=CODE)
    return WorkflowConfig(where, config, read)


def _problem_of(config: Any) -> str:
    """Return what keeps a configuration from being used, "" where nothing does."""
    if not isinstance(config, dict) or "version" not in config:
        return "it is no mapping with a version"
    workflows = config.get("workflows")
    if not isinstance(workflows, dict) or not workflows:
        return "workflows must be a mapping of ids"
    for name, rules in workflows.items():
        if not isinstance(name, str) or not isinstance(rules, dict) or not isinstance(rules.get("name"), str):
            return f"the workflow {name!r} needs a name"
        re.compile(str(rules.get("handle_pattern") or ""))
    schemas = config.get("schemas") or {}
    if not isinstance(schemas, dict) or not all(isinstance(schema, dict) for schema in schemas.values()):
        return "schemas must be a mapping of ids to their url"
    return ""


def _problem_of_version(version: Any) -> str:
    """Return what is wrong with a configuration's version, "" where nothing is."""
    base = version.get("base") if isinstance(version, dict) else version
    if not isinstance(base, str) or re.fullmatch(r"\d+(\.\d+){0,2}", base) is None:
        return f"version must be text such as '1', not {base!r}"
    if (*map(int, base.split(".")), 0, 0)[:3] > SUPPORTED_VERSION:
        return f"version {base} is newer than {'.'.join(map(str, SUPPORTED_VERSION))}"
    return ""


def _without_references(value: dict[str, Any]) -> dict[str, Any]:
    """Return an object of a schema, unless it refers to another."""
    if "$ref" in value:
        raise ValueError("Quilt does not take $ref in schemas")
    return value
