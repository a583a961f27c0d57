"""The texts that ``init`` writes."""

from __future__ import annotations

import json
from typing import Any

from provwatch.config import PROJECT_FILE, SETTINGS, Setting
from provwatch.metadata import json_schema

WORKFLOW_ID = "provwatch-run"
SCHEMA_FILE = "provwatch-metadata.schema.json"
NEXT_STEPS = {
    "config": "Every setting is there as a comment, with its default. Check with: provwatch doctor",
    "quilt": (
        f"Upload both files to the bucket's .quilt/workflows/ folder, then publish with --quilt-workflow {WORKFLOW_ID}"
    ),
}


def config_files() -> dict[str, str]:
    """Return ``provwatch.toml`` with every setting as a comment."""
    lines = ["# Settings of provwatch. A flag or a PROVWATCH_* variable comes first.", ""]
    for setting in SETTINGS:
        choices = f" ({', '.join(setting.choices)})" if setting.choices else ""
        lines += [f"# {setting.meaning}{choices}", f"# {setting.name} = {_toml(setting)}", ""]
    return {PROJECT_FILE: "\n".join(lines)}


def _toml(setting: Setting) -> str:
    """Return a setting's default in TOML."""
    default: Any = setting.default
    if isinstance(default, tuple):
        default = list(default)
    return json.dumps("" if default is None else default)


def quilt_files(registry: str) -> dict[str, str]:
    """Return a Quilt workflow configuration and the metadata schema that it refers to."""
    config = f"""\
version:
  base: "1"
  catalog: "1"
is_workflow_required: false
workflows:
  {WORKFLOW_ID}:
    name: Workflow run
    description: A workflow run with its provenance, packaged by provwatch
    metadata_schema: provwatch-metadata
schemas:
  provwatch-metadata:
    url: {registry.rstrip("/")}/.quilt/workflows/{SCHEMA_FILE}
"""
    return {"config.yml": config, SCHEMA_FILE: json.dumps(json_schema(), indent=2) + "\n"}
