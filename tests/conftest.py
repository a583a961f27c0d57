"""What all tests share: a home of their own, the command line, and the example data."""

from __future__ import annotations

import gc
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("SHARED_DIR", REPOSITORY.parent / "shared"))
DEMO = REPOSITORY / "nextflow/demo/results"


def pytest_xdist_auto_num_workers() -> int:
    """Run more tests at once than there are cores: many wait for a server, or for the next second."""
    return 2 * (os.cpu_count() or 1)


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test its own home, ledger, default registry and current folder, and no settings from outside."""
    for name in list(os.environ):
        if name.startswith(("PROVWATCH_", "AWS_", "XDG_")):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PROVWATCH_HOME", str(home / "provwatch"))
    monkeypatch.setenv("QUILT_DISABLE_USAGE_METRICS", "1")
    monkeypatch.chdir(home)


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON value on stdout."""
        return json.loads(self.out)


@pytest.fixture
def provwatch(capsys: pytest.CaptureFixture[str]) -> Callable[..., Finished]:
    """Run the command line in this process."""
    from provwatch.cli import main  # noqa: PLC0415 - only tests of commands need it

    def run(*arguments: object) -> Finished:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        gc.enable()
        said = capsys.readouterr()
        return Finished(int(ended.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """Return a copy of the recorded demo run's outdir that a test may change."""
    return Path(shutil.copytree(DEMO, tmp_path / "demo/results"))


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """Return where a local registry may be made."""
    return tmp_path / "registry"


@pytest.fixture(scope="session")
def recorded() -> Path:
    """Return the folder of whole outdirs, recorded from Nextflow 25.10.7 with nf-prov 1.7.0."""
    return REPOSITORY / "tests/data/runs"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of shared example data, or skip."""
    if not (SHARED / "corpus").is_dir():
        pytest.skip("the shared example data is not here; set SHARED_DIR to its folder")
    return SHARED
