"""Settings, each with its origin: flag over environment over ./provwatch.toml over the user's file over default."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from provwatch.errors import ConfigurationError, UsageError

PREFIX = "PROVWATCH_"
PROJECT_FILE = "provwatch.toml"
NOT_SETTINGS = frozenset({"PROVWATCH_HOME", "PROVWATCH_FAILPOINT"})

Kind = Literal["text", "flag", "number", "size", "list", "choice"]
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(?:([kmgt])(i?))?b?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        name: its key in files; the environment variable is ``PROVWATCH_`` and the name in capitals.
        kind: what its value is; a list is separated by commas, or by the system's path separator for roots; a
            size is a number of bytes, or text such as 20MB.
        default: its value where nobody sets it.
        meaning: one sentence for people.
        choices: the values it may have, for a choice.
    """

    name: str
    kind: Kind
    default: Any
    meaning: str
    choices: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """Name of the environment variable."""
        return f"{PREFIX}{self.name.upper()}"


SETTINGS: tuple[Setting, ...] = (
    Setting("registry", "text", "", "Registry to publish to; a bucket, s3://bucket or a folder. Default: quilt3's own"),
    Setting("roots", "list", (), "Folders that package names start at; the longest that holds a source counts"),
    Setting(
        "quilt_workflow", "text", None, "Quilt workflow to validate against; empty for none, unset for the default"
    ),
    Setting("dedup", "choice", "content", "What makes a duplicate", ("content", "outputs", "off")),
    Setting("files", "choice", "all", "Package all files, or only those the crate lists", ("all", "listed")),
    Setting(
        "copy",
        "flag",
        default=False,
        meaning="Keep the bytes of all files in the registry",
    ),
    Setting("link", "flag", default=False, meaning="Refer in place to files that links lead to outside the folder too"),
    Setting(
        "keep_config",
        "flag",
        default=False,
        meaning="Package the resolved nextflow.config, redacted",
    ),
    Setting("allow_empty", "flag", default=False, meaning="Make packages of empty folders"),
    Setting("metadata_prefix", "text", "", "Put in front of the keys of user metadata"),
    Setting("promote_params", "list", (), "Parameters that get a metadata key of their own, param_NAME"),
    Setting("volatile", "list", (), "Shell patterns of further files that --dedup outputs passes over"),
    Setting("threads", "number", 0, "Threads that read files; 0 is one a core"),
    Setting("include", "list", (), "Shell patterns of the files to package; all where there are none"),
    Setting("exclude", "list", (), "Shell patterns of files to leave out"),
    Setting(
        "summary",
        "flag",
        default=True,
        meaning="Add a report, a README.md and a quilt_summarize.json where the folder has none",
    ),
    Setting("catalog", "text", "", "Address of the Quilt catalog, for links. Default: the one quilt3 knows"),
    Setting("max_size", "size", 5_000_000_000_000, "Refuse to store more than this at once, such as 500GB"),
    Setting("bwlimit", "size", 0, "Bytes a second to upload at most, such as 20MB; 0 for no limit"),
    Setting("sse", "choice", "", "Encryption to ask S3 for; empty leaves it to the bucket", ("", "AES256", "aws:kms")),
    Setting("sse_kms_key", "text", "", "KMS key to encrypt with, its id or ARN, where sse is aws:kms"),
    Setting(
        "requester_pays",
        "flag",
        default=False,
        meaning="Agree to pay for requests to buckets of others",
    ),
)
_BY_NAME = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting's value and where it comes from."""

    values: Mapping[str, Any]
    origins: Mapping[str, str]

    def __getitem__(self, name: str) -> Any:
        """Return a setting's value."""
        return self.values[name]

    def override(self, flags: Mapping[str, Any]) -> Settings:
        """Return the settings with the flags that were given on top; None means not given."""
        given = {name: value for name, value in flags.items() if value is not None}
        try:
            checked = {
                name: _checked(_BY_NAME[name], value, f"--{name.replace('_', '-')}") for name, value in given.items()
            }
        except ConfigurationError as error:
            raise UsageError(error.message, where=error.where, hint=error.hint) from error
        return Settings({**self.values, **checked}, {**self.origins, **dict.fromkeys(given, "flag")})


def load_settings(environment: Mapping[str, str] | None = None, folder: Path | None = None) -> Settings:
    """Read the settings that are in force.

    Args:
        environment: environment variables; the process's own by default.
        folder: folder that may hold ``provwatch.toml``; the current one by default.

    Raises:
        ConfigurationError: an unknown key or a value of the wrong kind; the sentence says where.
    """
    variables = os.environ if environment is None else environment
    values: dict[str, Any] = {setting.name: setting.default for setting in SETTINGS}
    origins = dict.fromkeys(values, "default")
    for path in (user_file(), (folder or Path()) / PROJECT_FILE):
        for name, value in _read_file(path).items():
            values[name], origins[name] = _checked(_known(name, str(path)), value, str(path)), str(path)
    for variable, written in sorted(variables.items()):
        if variable.startswith(PREFIX) and variable not in NOT_SETTINGS:
            setting = _known(variable.removeprefix(PREFIX).lower(), variable)
            values[setting.name] = _checked(setting, _parsed(setting, written, variable), variable)
            origins[setting.name] = variable
    return Settings(values, origins)


def home() -> Path:
    """Return the folder of ledger and caches: ``PROVWATCH_HOME``, else the platform's data folder."""
    given = os.environ.get("PROVWATCH_HOME")
    if given:
        return Path(given).expanduser().absolute()
    from platformdirs import user_data_path  # noqa: PLC0415 - only where no folder was given

    return user_data_path("provwatch", appauthor=False)


def user_file() -> Path:
    """Return where the user's own configuration lies."""
    from platformdirs import user_config_path  # noqa: PLC0415 - keeps --help fast

    return user_config_path("provwatch", appauthor=False) / "config.toml"


def _read_file(path: Path) -> dict[str, Any]:
    """Return a configuration file's keys; empty where there is none."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"not valid TOML: {error}", where=str(path)) from error
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", where=str(path)) from error


def _known(name: str, where: str) -> Setting:
    """Return the setting of this name, or say which one was probably meant."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    close = difflib.get_close_matches(name, _BY_NAME, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"Known settings: {', '.join(_BY_NAME)}"
    raise ConfigurationError(f"unknown setting {name!r}", where=where, hint=hint)


def _parsed(setting: Setting, written: str, where: str) -> Any:
    """Return an environment variable's value in the setting's kind."""
    if setting.kind == "flag":
        if written.lower() in {"1", "true", "yes", "on"}:
            return True
        if written.lower() in {"", "0", "false", "no", "off"}:
            return False
        raise ConfigurationError(f"{setting.name} must be true or false, not {written!r}", where=where)
    if setting.kind == "number":
        if not written.isdigit():
            raise ConfigurationError(f"{setting.name} must be a number, not {written!r}", where=where)
        return int(written)
    if setting.kind == "list":
        separator = os.pathsep if setting.name == "roots" else ","
        return [item.strip() for item in written.split(separator) if item.strip()]
    return written


def _checked(setting: Setting, value: Any, where: str) -> Any:
    """Return a value of the setting's kind, or say what is wrong with it."""
    if setting.kind == "flag" and not isinstance(value, bool):
        raise ConfigurationError(f"{setting.name} must be true or false, not {value!r}", where=where)
    if setting.kind == "number" and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ConfigurationError(f"{setting.name} must be a number, not {value!r}", where=where)
    if setting.kind == "list":
        items = list(value) if isinstance(value, list | tuple) else None
        if items is None or not all(isinstance(item, str) for item in items):
            raise ConfigurationError(f"{setting.name} must be a list of texts, not {value!r}", where=where)
        return tuple(items)
    if setting.kind == "size":
        return _bytes(setting, value, where)
    if setting.kind in {"text", "choice"} and not isinstance(value, str):
        raise ConfigurationError(f"{setting.name} must be text, not {value!r}", where=where)
    if setting.kind == "choice" and value not in setting.choices:
        raise ConfigurationError(
            f"{setting.name} must be one of {', '.join(setting.choices)}, not {value!r}", where=where
        )
    return value


def _bytes(setting: Setting, value: Any, where: str) -> int:
    """Return a size in bytes: a number, or text with a unit; kB is 1,000 and KiB 1,024."""
    match = _SIZE.fullmatch(str(value).strip())
    if match is None or isinstance(value, bool):
        hint = "Write a number of bytes, or one with a unit: 500kB, 20MB, 5TB, 8MiB"
        raise ConfigurationError(f"{setting.name} must be a size, not {value!r}", where=where, hint=hint)
    number, unit, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** " kmgt".index((unit or " ").lower()))
