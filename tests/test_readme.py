"""The README says what is true: its commands run, and what it names exists, and the reverse."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from conftest import REPOSITORY, Finished
from provwatch.cli import app
from provwatch.config import SETTINGS
from provwatch.errors import EXIT_CODES
from provwatch.metadata.schema import KEY_BY_NAME
from provwatch.metadata.warnings import MEANINGS
from provwatch.outcome import Result

README = (REPOSITORY / "README.md").read_text("utf-8")
CONSOLE = [line[2:] for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
TYPERS_OWN = {"--help", "-h", "--install-completion", "--show-completion"}
OTHER_TOOLS = {"--outdir"}


def section(title: str) -> str:
    """Return the text below one heading."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def first_cells(title: str) -> list[str]:
    """Return the first column of a section's tables."""
    rows = [line for line in section(title).splitlines() if line.startswith("| ")]
    cells = [row.split("|")[1].strip() for row in rows]
    return [cell.strip("`") for cell in cells if cell]


def commands(parent: Any = None, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every command with its name as typed."""
    group = parent if parent is not None else typer.main.get_command(app)
    yield path, group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, f"{path} {name}".strip())


@pytest.mark.parametrize("line", CONSOLE)
def test_console_commands_run(line: str, provwatch: Callable[..., Finished], tmp_path: Path) -> None:
    """Every command of the README's console blocks ends with 0, from a copy of the repository's demo."""
    shutil.copytree(REPOSITORY / "nextflow", tmp_path / "tree/nextflow")
    os.chdir(tmp_path / "tree")
    words = shlex.split(line)
    assert words[0] == "provwatch"
    done = provwatch(*words[1:])
    assert (done.code, "Traceback" in done.err) == (0, False), done.err


def test_options_named_exist() -> None:
    """Every option that the README names is an option of some command."""
    own = section("Use") + section("JSON") + section("Configuration") + section("Troubleshooting")
    named = set(re.findall(r"(?<![\w-])--[a-z][\w-]+", own))
    known = {
        name
        for _, command in commands()
        for option in command.params
        for name in (*option.opts, *option.secondary_opts)
    }
    assert named - known - TYPERS_OWN - OTHER_TOOLS == set()


def test_options_are_all_named() -> None:
    """Every option of every command is named in the README."""
    known = {
        name
        for _, command in commands()
        for option in command.params
        for name in (*option.opts, *option.secondary_opts)
        if name.startswith("--") and not getattr(option, "hidden", False)
    }
    assert {name for name in known if f"`{name}" not in README} == set()


def test_commands_match_the_table() -> None:
    """The table of commands names every command, and only those."""
    named = re.findall(r"^\| `provwatch (\w+)", section("Use"), re.MULTILINE)
    top = typer.main.get_command(app)
    assert named == sorted(named, key=named.index)
    assert set(named) == set(top.commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", [path for path, _ in commands() if path])
def test_every_help_ends_with_examples(path: str, provwatch: Callable[..., Finished]) -> None:
    """As the README says; each example is a command line of that command."""
    shown = provwatch(*path.split(), "--help").out
    examples = [line.strip() for line in shown.partition("Examples:\n")[2].splitlines() if line.strip()]
    assert examples
    assert any(f"provwatch {path}" in line for line in examples)


def test_exit_codes_match() -> None:
    """The table of exit codes is the one in the code."""
    rows = re.findall(r"^\| (\d+) \| (.*?) \|$", section("Exit codes"), re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == EXIT_CODES


def test_settings_match() -> None:
    """The table of settings names every setting in its order."""
    assert first_cells("Configuration")[1:] == [setting.name for setting in SETTINGS]


def test_warnings_match() -> None:
    """The table of warnings is the one in the code."""
    rows = re.findall(r"^\| `([\w-]+)` \| (.*?) \|$", section("Metadata"), re.MULTILINE)
    assert dict(rows) == MEANINGS


def test_metadata_keys_exist() -> None:
    """Every metadata key that the README names is in the schema."""
    listing = section("Metadata").split("The main keys:")[1].split("Entries carry")[0]
    assert set(re.findall(r"`(\w+)`", listing)) <= set(KEY_BY_NAME)


def test_outcomes_match() -> None:
    """The README names every outcome."""
    listing = section("JSON").split("`outcome` is one of")[1].split(";")[0]
    assert re.findall(r"`(\w+)`", listing) == [str(result) for result in Result]


def test_json_example_has_the_fields(demo: Path, registry: Path, provwatch: Callable[..., Finished]) -> None:
    """The example outcome has the fields of a real one, in their order."""
    example = json.loads(re.findall(r"```json\n(.*?)```", README, re.DOTALL)[0])
    assert list(provwatch("package", demo, "--registry", registry, "--json").json) == list(example)


def test_first_screen_is_real_output(provwatch: Callable[..., Finished], tmp_path: Path) -> None:
    """The first screen shows what the first command prints, but for places and sizes of the console."""
    shutil.copytree(REPOSITORY / "nextflow", tmp_path / "tree/nextflow")
    os.chdir(tmp_path / "tree")
    shown = re.findall(r"```text\n(.*?)```", README, re.DOTALL)[0]
    printed = provwatch("package", "nextflow/demo/results").out

    def comparable(text: str) -> str:
        return re.sub(r"file:///\S+", "file:///...", text).strip()

    assert comparable(printed) == comparable(shown)
    again = provwatch("package", "nextflow/demo/results").out
    assert again.splitlines()[0] in README


@pytest.mark.slow
def test_first_command_works_on_a_new_machine(tmp_path: Path) -> None:
    """The README's first command sets everything up in an empty home, and quilt3 sees the package."""
    tree = tmp_path / "tree"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, tree / name)
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    environment = {**os.environ, "HOME": str(tmp_path / "home")}
    environment.pop("PROVWATCH_HOME", None)
    for block, expected in ((blocks[0], "pushed demo/results"), (blocks[0], "duplicate demo/results"), (blocks[1], "")):
        done = subprocess.run(
            ["bash", "-euc", block], cwd=tree, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout
    assert "demo/results" in done.stdout
    assert "summary.tsv" in done.stdout
