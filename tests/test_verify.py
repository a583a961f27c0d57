"""``provwatch verify``: a package in a local registry against its manifest."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import quilt3
import quilt3.checksums
from quilt3.packages import PackageEntry
from quilt3.util import PhysicalKey

from conftest import Finished
from provwatch.cli import verify as command
from provwatch.publish.checkpoint import FILE
from publish.processes import run_provwatch, start_provwatch
from publish.trees import copy_tree, footprint, write_tree

Run = Callable[..., Finished]
NAME = "lab/run"
TREE = {"a": "1", "b": "22", "c d/é#": ""}
FIELDS = ["package", "registry", "top_hash", "entries", "bytes", "checked", "resumed", "wrong"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a folder of results."""
    return write_tree(tmp_path / NAME, TREE)


@pytest.fixture
def package(run: Path, registry: Path, provwatch: Run) -> Callable[..., str]:
    """Package the folder, and return the top hash."""

    def call(*arguments: object) -> str:
        finished = provwatch("package", run, "--registry", registry, "--no-summary", "--json", *arguments)
        assert finished.code == 0, finished
        return str(finished.json["top_hash"])

    return call


@pytest.fixture
def verify(registry: Path, provwatch: Run) -> Callable[..., dict[str, Any]]:
    """Verify, and return what came of it."""

    def call(*arguments: object, code: int = 0) -> dict[str, Any]:
        finished = provwatch("verify", *arguments, "--registry", registry, "--json")
        assert (finished.code, finished.err) == (code, ""), finished
        found: dict[str, Any] = finished.json
        assert list(found) == FIELDS
        return found

    return call


def codes(found: dict[str, Any]) -> dict[str, str]:
    """Return what is wrong, by name."""
    return {one["logical_key"]: one["code"] for one in found["wrong"]}


class TestRight:
    """Packages whose bytes are right."""

    @pytest.mark.parametrize("copy", [False, True], ids=["in place", "copied"])
    def test_what_provwatch_made(self, package: Run, registry: Path, verify: Run, *, copy: bool) -> None:
        """Nothing is wrong, and nothing is written to registry or folder."""
        top_hash = package(*(["--copy"] if copy else []))
        before = footprint(registry)
        assert verify(NAME) == {
            "package": NAME,
            "registry": registry.as_uri(),
            "top_hash": top_hash,
            "entries": 3,
            "bytes": 3,
            "checked": 3,
            "resumed": 0,
            "wrong": [],
        }
        assert footprint(registry) == before

    @pytest.mark.parametrize("kind", ["sha2-256-chunked", "SHA256", "CRC64NVME"])
    def test_what_quilt3_made(self, run: Path, registry: Path, verify: Run, kind: str) -> None:
        """With each type of hash, metadata of entries and folders, and odd names."""
        package = quilt3.Package().set_dir("/", str(run)).set_meta({"é": [1.5, None]})
        package["c d"].set_meta({"folder": True})
        for key, entry in package.walk():
            data = (run / key).read_bytes()
            old = kind == "SHA256"
            value = None if old else quilt3.checksums.calculate_multipart_checksum_bytes(data, checksum_type=kind)
            entry.hash = {"type": kind, "value": value or hashlib.sha256(data).hexdigest()}
            entry.set_meta({"key": key})
        top_hash = package.build(NAME, registry=str(registry), message="by quilt3")
        found = verify(f"{NAME}@{top_hash[:7]}")
        assert (found["top_hash"], found["entries"], found["wrong"]) == (top_hash, 3, [])

    def test_a_recorded_run(self, recorded: Path, tmp_path: Path, registry: Path, provwatch: Run, verify: Run) -> None:
        """With redacted files, and everything else that a run has."""
        run = copy_tree(recorded / "multi-module/results", tmp_path / "some/results")
        assert provwatch("package", run, "--registry", registry).code == 0
        assert verify("some/results")["wrong"] == []

    def test_the_default_registry(self, run: Path, provwatch: Run) -> None:
        """Where no other is named."""
        assert provwatch("package", run).code == 0
        assert provwatch("verify", NAME).code == 0

    def test_for_people(self, package: Run, registry: Path, provwatch: Run) -> None:
        """A few lines."""
        top_hash = package()
        said = provwatch("verify", NAME, "--registry", registry)
        assert (said.code, said.err) == (0, "")
        assert said.out.splitlines() == [
            f"right {NAME}",
            f"  top hash  {top_hash}",
            "  files     3, 3 B",
            f"  registry  {registry.as_uri()}",
        ]


class TestWrong:
    """Packages whose bytes are not right."""

    def test_files_that_changed(self, run: Path, package: Run, verify: Run) -> None:
        """All are told, with their places."""
        package()
        write_tree(run, {"a": "2", "b": "333"})
        (run / "c d/é#").unlink()
        found = verify(NAME, code=1)
        assert codes(found) == {"a": "wrong-bytes", "b": "wrong-size", "c d/é#": "missing"}
        assert found["wrong"][1] == {
            "logical_key": "b",
            "physical_key": (run / "b").as_uri(),
            "problem": "3 bytes, and the manifest says 2",
            "code": "wrong-size",
        }

    def test_an_older_revision(self, run: Path, package: Run, verify: Run) -> None:
        """It is checked for what it was."""
        old = package()
        write_tree(run, {"a": "2"})
        package()
        assert codes(verify(NAME)) == {}
        assert codes(verify(f"{NAME}@{old}", code=1)) == {"a": "wrong-bytes"}

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda line: line.replace('"a"', '"z"'), id="a name"),
            pytest.param(lambda line: line.replace('"Files of run"', '"other"'), id="the message"),
            pytest.param(lambda line: "" if '"b"' in line else line, id="an entry less"),
        ],
    )
    def test_a_manifest_that_changed(
        self, package: Run, registry: Path, verify: Run, change: Callable[[str], str]
    ) -> None:
        """Its bytes do not give its name; the entries are checked all the same."""
        manifest = registry / ".quilt/packages" / package()
        manifest.write_text("\n".join(map(change, manifest.read_text("utf-8").splitlines())), "utf-8")
        found = verify(NAME, code=1)
        assert (codes(found), found["wrong"][0]["physical_key"]) == ({"": "wrong-manifest"}, manifest.as_uri())
        assert found["checked"] in {2, 3}

    def test_entries_that_hide(self, registry: Path, package: Run, verify: Run) -> None:
        """No entry is passed over because it has no hash, or one that nobody knows."""
        manifest = registry / ".quilt/packages" / package()
        header, *records = map(json.loads, manifest.read_text("utf-8").splitlines())
        records[0]["hash"] = None
        records[1]["hash"]["type"] = "rot13"
        manifest.write_text("\n".join(map(json.dumps, [header, *records])), "utf-8")
        assert codes(verify(NAME, code=1)) == {"": "wrong-manifest", "a": "not-checkable", "b": "not-checkable"}

    def test_for_people(
        self, run: Path, package: Run, registry: Path, provwatch: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first ones, without forged lines, then how many more."""
        write_tree(run, {"\x1b[31m\nright lab/run": "x"})
        package()
        for name in ("\x1b[31m\nright lab/run", "a", "b"):
            (run / name).unlink()
        monkeypatch.setattr(command, "LINES", 2)
        said = provwatch("verify", NAME, "--registry", registry)
        lines = said.out.splitlines()
        assert (said.code, lines[0], "\x1b" in said.out) == (1, f"wrong {NAME}", False)
        assert (lines[3], lines[6]) == ("  and 1 more; --json tells them all", "  differ    3")
        assert lines[2].startswith("  a: there is no such file")

    def test_files_in_s3_of_a_local_package(
        self, registry: Path, provwatch: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They need credentials, and without any the exit code says so."""
        package = quilt3.Package()
        place = PhysicalKey("some-bucket", "x", None)
        package.set("x", PackageEntry(place, 3, {"type": "SHA256", "value": "0"}, None))
        package.build(NAME, registry=str(registry))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        said = provwatch("verify", NAME, "--registry", registry, "--json")
        assert (said.code, said.out) == (4, "")
        assert "no AWS credentials" in said.err


class TestWhatIsNotThere:
    """Packages and registries that cannot be had."""

    @pytest.mark.parametrize(
        ("word", "code", "said"),
        [
            pytest.param("", 2, "no package name", id="nothing"),
            pytest.param("run", 2, "no package name", id="no name"),
            pytest.param("../lab/run", 2, "no package name", id="a path"),
            pytest.param("lab/other", 5, "no package lab/other", id="no package"),
            pytest.param("lab/run@123456", 5, "no revision 123456", id="no revision"),
            pytest.param("s3://bucket", 2, "no package name", id="a bucket"),
        ],
    )
    def test_words(self, package: Run, registry: Path, provwatch: Run, word: str, code: int, said: str) -> None:
        """One sentence each."""
        package()
        finished = provwatch("verify", word, "--registry", registry, "--json")
        assert (finished.code, finished.out, finished.err.count("\n")) == (code, "", 1)
        assert said in finished.err

    def test_a_registry_that_is_gone(self, package: Run, registry: Path, provwatch: Run) -> None:
        """It has no packages."""
        package()
        shutil.rmtree(registry)
        assert provwatch("verify", NAME, "--registry", registry).code == 5

    def test_a_manifest_that_is_gone(self, package: Run, registry: Path, provwatch: Run) -> None:
        """The revision is broken."""
        (registry / ".quilt/packages" / package()).unlink()
        said = provwatch("verify", NAME, "--registry", registry)
        assert (said.code, "no manifest" in said.err) == (1, True)

    @pytest.mark.parametrize("data", [b"", b"\xff", b"{}\n{", b"[]"], ids=["empty", "binary", "cut", "no header"])
    def test_a_manifest_that_is_none(self, package: Run, registry: Path, provwatch: Run, data: bytes) -> None:
        """One sentence."""
        (registry / ".quilt/packages" / package()).write_bytes(data)
        said = provwatch("verify", NAME, "--registry", registry)
        assert (said.code, "cannot be read" in said.err, "Traceback" in said.err) == (1, True, False)


@pytest.mark.slow
@pytest.mark.usefixtures("large")
class TestEnded:
    """A verification that was ended goes on."""

    COUNT = 40
    SIZE = 64 * 1024 * 1024

    @pytest.fixture(name="large")
    def _large(self, run: Path, package: Run) -> None:
        """Package files that take a while to read, and that are old enough to be remembered."""
        for number in range(self.COUNT):
            with (run / f"large-{number:02}").open("wb") as file:
                file.truncate(self.SIZE)
        package()
        time.sleep(2.5)  # what is fresher than two seconds is not remembered

    def ended_by(self, number: int, registry: Path) -> int:
        """End a verification when some files were remembered; return its exit code."""
        database = Path.home() / "provwatch" / FILE
        process = start_provwatch("verify", NAME, "--registry", registry)
        until = time.monotonic() + 30
        while time.monotonic() < until and not (database.with_name(f"{FILE}-wal").exists() and _rows(database)):
            time.sleep(0.02)
        process.send_signal(number)
        process.communicate()
        return process.returncode

    @pytest.mark.parametrize(
        ("number", "code"),
        [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)],
        ids=["killed", "Ctrl-C", "terminated"],
    )
    def test_it_goes_on(self, registry: Path, verify: Run, number: int, code: int) -> None:
        """What was right is not read again; a finished one begins anew the next time."""
        assert self.ended_by(number, registry) == code
        found = verify(NAME)
        assert (found["resumed"] > 0, found["checked"] + found["resumed"]) == (True, self.COUNT + 3)
        assert verify(NAME)["resumed"] == 0

    def test_it_begins_anew_where_asked_to(self, registry: Path, verify: Run) -> None:
        """``--again`` trusts nothing."""
        self.ended_by(signal.SIGKILL, registry)
        assert verify(NAME, "--again")["resumed"] == 0


def _rows(database: Path) -> int:
    """Return how many entries are remembered."""
    import sqlite3  # noqa: PLC0415 - only these tests

    connection = sqlite3.connect(database)
    try:
        return int(connection.execute("SELECT count(*) FROM verified").fetchone()[0])
    except sqlite3.Error:
        return 0
    finally:
        connection.close()


def test_nothing_heavy_is_loaded(package: Run, registry: Path) -> None:
    """A local package is verified without boto3 and quilt3."""
    package()
    done = run_provwatch("verify", NAME, "--registry", registry, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not loaded & {"boto3", "botocore", "quilt3", "awscrt", "rich"}
