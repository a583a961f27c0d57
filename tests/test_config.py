"""Settings come from flags, environment, files and defaults, in this order, each with its origin."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Finished
from provwatch.config import SETTINGS, load_settings, user_file
from provwatch.errors import ConfigurationError


def test_nothing_set_gives_the_defaults(tmp_path: Path) -> None:
    """Without files, variables and flags every setting has its default."""
    settings = load_settings({}, tmp_path)
    assert {setting.name: settings[setting.name] for setting in SETTINGS} == {
        setting.name: setting.default for setting in SETTINGS
    }
    assert set(settings.origins.values()) == {"default"}


def test_the_nearer_source_wins(tmp_path: Path) -> None:
    """A flag comes before a variable, a variable before the project's file, that before the user's."""
    user_file().parent.mkdir(parents=True)
    user_file().write_text('dedup = "off"\nthreads = 1\ncopy = true\nlink = true\n')
    (tmp_path / "provwatch.toml").write_text('dedup = "outputs"\nthreads = 2\ncopy = false\n')
    settings = load_settings({"PROVWATCH_DEDUP": "content", "PROVWATCH_THREADS": "3"}, tmp_path).override(
        {"threads": 4, "dedup": None}
    )
    assert (settings["threads"], settings.origins["threads"]) == (4, "flag")
    assert (settings["dedup"], settings.origins["dedup"]) == ("content", "PROVWATCH_DEDUP")
    assert (settings["copy"], settings.origins["copy"]) == (False, str(tmp_path / "provwatch.toml"))
    assert (settings["link"], settings.origins["link"]) == (True, str(user_file()))


def test_lists_in_variables(tmp_path: Path) -> None:
    """Roots are separated like PATH, other lists by commas."""
    settings = load_settings({"PROVWATCH_ROOTS": "/data:/lab", "PROVWATCH_PROMOTE_PARAMS": "genome, aligner"}, tmp_path)
    assert settings["roots"] == ("/data", "/lab")
    assert settings["promote_params"] == ("genome", "aligner")


@pytest.mark.parametrize(
    ("variables", "file", "said"),
    [
        pytest.param({"PROVWATCH_DEDUPE": "off"}, "", "Did you mean 'dedup'?", id="unknown variable"),
        pytest.param({"PROVWATCH_DEDUP": "some"}, "", "must be one of content, outputs, off", id="choice"),
        pytest.param({"PROVWATCH_COPY": "perhaps"}, "", "must be true or false", id="flag"),
        pytest.param({"PROVWATCH_THREADS": "many"}, "", "must be a number", id="number"),
        pytest.param({}, "thread = 1", "Did you mean 'threads'?", id="unknown key"),
        pytest.param({}, "copy = 1", "must be true or false", id="flag in a file"),
        pytest.param({}, "threads = -1", "must be a number", id="negative"),
        pytest.param({}, 'roots = "/data"', "must be a list", id="list in a file"),
        pytest.param({}, "registry = 1", "must be text", id="text in a file"),
        pytest.param({}, "copy = ", "not valid TOML", id="no TOML"),
    ],
)
def test_what_is_wrong_is_said(variables: dict[str, str], file: str, said: str, tmp_path: Path) -> None:
    """A wrong setting is an error that names the place and what would be right."""
    (tmp_path / "provwatch.toml").write_text(file)
    with pytest.raises(ConfigurationError, match=r"provwatch\.toml|PROVWATCH_") as caught:
        load_settings(variables, tmp_path)
    assert said in str(caught.value)
    assert caught.value.exit_code == 3


def test_init_config_writes_every_setting(provwatch: Callable[..., Finished], tmp_path: Path) -> None:
    """The file that init writes is valid as it is, and with every comment taken off."""
    assert provwatch("init", "config", "--to", tmp_path).code == 0
    path = tmp_path / "provwatch.toml"
    assert tomllib.loads(path.read_text()) == {}
    lines = path.read_text().splitlines()
    settings = "\n".join(line[2:] for line in lines if " = " in line and line.startswith("# "))
    assert list(tomllib.loads(settings)) == [setting.name for setting in SETTINGS]
    path.write_text(settings)
    load_settings({}, tmp_path)


def test_init_never_overwrites(provwatch: Callable[..., Finished], tmp_path: Path) -> None:
    """A file that is there stays as it is."""
    (tmp_path / "provwatch.toml").write_text("threads = 2\n")
    done = provwatch("init", "config", "--to", tmp_path)
    assert done.code == 2
    assert "there already" in done.err
    assert (tmp_path / "provwatch.toml").read_text() == "threads = 2\n"


def test_a_project_file_is_in_force(demo: Path, provwatch: Callable[..., Finished], tmp_path: Path) -> None:
    """Commands read ./provwatch.toml, and doctor shows where a value comes from."""
    Path("provwatch.toml").write_text(f'registry = "{tmp_path}/from-file"\npromote_params = ["min_len"]\n')
    outcome = provwatch("package", demo, "--json").json
    assert outcome["registry"] == (tmp_path / "from-file").as_uri()
    assert provwatch("convert", demo).json["param_min_len"] == 3
    assert "provwatch.toml" in provwatch("doctor").out


@pytest.mark.parametrize("command", [("convert",), ("package",), ("describe",)], ids=lambda command: command[0])
def test_a_wrong_project_file_stops_commands(
    command: tuple[str, ...], demo: Path, provwatch: Callable[..., Finished]
) -> None:
    """A wrong configuration is exit code 3 for every command that uses it, and one sentence."""
    Path("provwatch.toml").write_text("dedupe = 1\n")
    done = provwatch(*command, demo)
    assert (done.code, done.out) == (3, "")
    assert "Did you mean 'dedup'?" in done.err
    assert "Traceback" not in done.err
