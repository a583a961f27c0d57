"""The Quilt workflow that a look's package has to pass."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from provwatch.errors import PackagingError
from provwatch.look import Look
from provwatch.publish.entries import Entry
from provwatch.publish.registry import WORKFLOW_CONFIG, Registry
from provwatch.publish.workflow_config import CODE
from provwatch.publish.workflows import Package, WorkflowConfig, load_workflows


class Workflows:
    """The workflows of a registry; its configuration is read once."""

    def __init__(self, registry: Registry) -> None:
        """Read the configuration.

        Raises:
            ProvwatchError: it cannot be read, or used.
        """
        self._where = f"{registry.uri.removesuffix('/')}/{WORKFLOW_CONFIG}"
        self._config: WorkflowConfig | None = load_workflows(self._where, registry.read)

    def resolved(self, look: Look) -> Look:
        """Return a look whose description names the workflow in force: "" for none, None where there are no workflows.

        Raises:
            PackagingError: there is no such workflow, or none where one is required.
        """
        wanted = look.description.quilt_workflow
        if self._config is None and wanted:
            message = f"there is no Quilt workflow {wanted!r}: the registry has no workflows configuration"
            hint = "'provwatch init quilt' writes one"
            raise PackagingError(message, where=self._where, hint=hint, code=CODE)
        workflow = None if self._config is None else self._config.resolve(wanted)
        return dataclasses.replace(look, description=dataclasses.replace(look.description, quilt_workflow=workflow))

    def check(self, look: Look, entries: Callable[[], Iterable[Entry]]) -> dict[str, Any] | None:
        """Check the package that a look would become; return what its manifest says of the workflow.

        Args:
            look: the folder.
            entries: makes the package's entries in manifest order, as far as they are known.

        Raises:
            PackagingError: it does not pass.
        """
        if self._config is None:
            return None
        description = look.description
        seen = (
            {"logical_key": entry.logical_key, "size": entry.size, "meta": entry.meta.get("user_meta", {})}
            for entry in entries()
        )
        package = Package(description.package_name, description.commit_message, look.metadata, seen)
        return self._config.check(description.quilt_workflow or "", package)
