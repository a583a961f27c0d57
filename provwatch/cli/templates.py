"""The configuration file that ``init`` writes."""

from __future__ import annotations

import json
from typing import Any

from provwatch.config import PROJECT_FILE, SETTINGS, Setting


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
