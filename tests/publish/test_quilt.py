"""The one call of quilt3's: what it is given, what it gives back, and where quilt3 keeps its own packages."""

from __future__ import annotations

from pathlib import Path

import pytest
import quilt3

from provwatch.publish.entries import Entry
from provwatch.publish.hashing import digest_bytes
from provwatch.publish.quilt import build_in_folder, default_local_registry
from provwatch.publish.registry import Revision
from publish.processes import run_script
from publish.registries import browse
from publish.trees import write_tree

ASK_QUILT3 = (
    "import sys, quilt3\n"
    "from quilt3.util import get_from_config\n"
    "if len(sys.argv) > 1: quilt3.config(default_local_registry=sys.argv[1])\n"
    "print(get_from_config('default_local_registry'))\n"
)


def test_files_are_not_read(tmp_path: Path) -> None:
    """Hashes are given, so nothing is opened: the files need not even be there."""
    entry = Entry("x", "file:///nowhere/x%20%23y", 3, digest_bytes(b"abc").quilt, {"user_meta": {"a": 1}})
    top_hash = build_in_folder(Revision("a/b", [entry], {"b": 2}, "hello"), tmp_path)
    package = browse(tmp_path, "a/b")
    assert (package.top_hash, package.meta) == (top_hash, {"b": 2})
    assert (package["x"].size, package["x"].meta) == (3, {"a": 1})
    assert str(package["x"].physical_key) == "file:///nowhere/x%20%23y"


def test_what_is_kept_is_only_in_the_folder(tmp_path: Path) -> None:
    """A build leaves a manifest and two pointers, and nothing anywhere else."""
    top_hash = build_in_folder(Revision("a/b", [], {}, None), tmp_path / "aside")
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert files[-1] == f"aside/.quilt/packages/{top_hash}"
    assert len(files) == 3
    assert list(Path.cwd().iterdir()) == []


def test_the_default_registry_is_quilt3s() -> None:
    """Found without loading quilt3, it is where quilt3 looks."""
    assert run_script(ASK_QUILT3).stdout.strip() == default_local_registry()


@pytest.mark.parametrize("name", ["packages", "with space #1 é"])
def test_a_default_registry_of_ones_own(tmp_path: Path, name: str) -> None:
    """Who has told quilt3 to use another one gets that."""
    wanted = (tmp_path / name).as_uri()
    assert run_script(ASK_QUILT3, wanted).stdout.strip() == default_local_registry() == wanted


def test_a_configuration_that_cannot_be_read() -> None:
    """Rubbish in quilt3's configuration is passed over."""
    default = Path(default_local_registry().removeprefix("file://"))
    write_tree(default.parent, {"config.yml": b"\xff\xfe"})
    assert default_local_registry() == default.as_uri()


def test_quilt3_is_new_enough() -> None:
    """The public build() that manifests are compared with came with quilt3 8."""
    assert int(quilt3.__version__.split(".")[0]) >= 8
