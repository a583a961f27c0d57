"""Verification of local bytes: what is wrong is told by name, nothing else is read, and little is read twice."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import quilt3.checksums

from provwatch.errors import UnreachableError
from provwatch.publish import places as places_module
from provwatch.publish.checkpoint import Checkpoint
from provwatch.publish.entries import HASH_TYPE
from provwatch.publish.hashing import digest_bytes
from provwatch.publish.manifest import HeadEntry, _Hash
from provwatch.publish.places import Opened, Places
from provwatch.publish.verify import Verification, Verifier
from publish.processes import run_script
from publish.trees import write_tree

NO_ADDRESSES = (
    *(
        "",
        "x",
        "/etc/passwd",
        "http://host/x",
        "file://host/x",
        "file:///%00",
        "file:x",
        "s3://",
        "s3://bucket",
        "s3://b/x",
    ),
    *("s3://bucket/", "s3://[bucket/x", "s3://buck et/x", f"s3://bucket/{'x' * 1025}", "s3:///x"),
)
FILES = {"a": b"one", "b": b"", "c/d e#?é": b"x" * 3_000_000}


@pytest.fixture
def aged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files that were just written count as old, so that they may be remembered."""
    monkeypatch.setattr(places_module, "RACY_NS", 0)


def no_client() -> Any:
    """Say that nothing asks for S3."""
    message = "no S3 here"
    raise AssertionError(message)


class Counting(Places):
    """Places that know what was read, and can fail."""

    def __init__(self, registry: str = "file:///r", fail: dict[str, BaseException] | None = None) -> None:
        """Raise these errors when these files are read."""
        super().__init__(registry, no_client)
        self.read: list[str] = []
        self.fail = fail or {}

    @contextmanager
    def opened(self, uri: str) -> Iterator[Opened]:
        """Remember what is read."""
        name = uri.rpartition("/")[2]
        if name in self.fail:
            raise self.fail[name]
        self.read.append(name)
        with super().opened(uri) as opened:
            yield opened


def entry(path: Path, kind: str = HASH_TYPE, value: str = "", size: int | None = None) -> HeadEntry:
    """Return an entry as a manifest has it."""
    data = path.read_bytes() if path.is_file() else b""
    known = _Hash(kind, value or digest_bytes(data).quilt)
    return HeadEntry(path.name, [path.as_uri()], len(data) if size is None else size, known, {})


def check(entries: list[HeadEntry], places: Places | None = None, home: Path | None = None) -> Verification:
    """Check entries."""
    with Checkpoint(home, "revision") as checkpoint:
        return Verifier(places or Counting(), checkpoint, threads=2).check(entries, lambda _count: None)


def codes(found: Verification) -> dict[str, str]:
    """Return what is wrong, by name."""
    return {wrong.logical_key: wrong.code for wrong in found.wrong}


@pytest.fixture
def tree(tmp_path: Path) -> list[Path]:
    """Return some files."""
    write_tree(tmp_path / "tree", FILES)
    return sorted(path for path in (tmp_path / "tree").rglob("*") if path.is_file())


class TestHashes:
    """Every type of hash, right and wrong."""

    def test_nothing_to_check(self) -> None:
        """A package without entries is right."""
        assert (check([]), check([]).exit_code) == (Verification(0, 0), 0)

    def test_all_right(self, tree: list[Path]) -> None:
        """Odd names, empty files and files of many pieces."""
        told: list[int] = []
        with Checkpoint(None, "") as checkpoint:
            entries = list(map(entry, tree))
            found = Verifier(Counting(), checkpoint).check(entries, told.append)
        assert (found, found.exit_code) == (Verification(3, 3_000_003, checked=3), 0)
        assert sum(told) == 3_000_003

    @pytest.mark.parametrize("size", [0, 1, 8 * 1024 * 1024, 17 * 1024 * 1024])
    @pytest.mark.parametrize(
        ("kind", "compute"),
        [
            pytest.param(HASH_TYPE, lambda data: digest_bytes(data).quilt, id="parts"),
            pytest.param("SHA256", lambda data: hashlib.sha256(data).hexdigest(), id="old"),
            pytest.param(
                "CRC64NVME",
                lambda data: quilt3.checksums.calculate_multipart_checksum_bytes(data, checksum_type="CRC64NVME"),
                id="of S3",
            ),
        ],
    )
    def test_types(self, tmp_path: Path, kind: str, compute: Callable[[bytes], str], size: int) -> None:
        """One flipped bit is noticed by each."""
        data = bytes(size)
        path = tmp_path / "x"
        path.write_bytes(data)
        good = entry(path, kind, compute(data))
        assert codes(check([good])) == {}
        if size:
            with path.open("r+b") as file:
                file.seek(size - 1)
                file.write(b"\1")
            assert codes(check([good])) == {"x": "wrong-bytes"}

    @pytest.mark.parametrize(
        ("hashed", "said"),
        [
            pytest.param(_Hash("md5", "x"), "unknown type 'md5'", id="unknown type"),
            pytest.param(_Hash("", ""), "unknown type ''", id="no type"),
            pytest.param(None, "gives no hash", id="no hash"),
        ],
    )
    def test_what_cannot_be_checked(self, tmp_path: Path, hashed: _Hash | None, said: str) -> None:
        """It is told, and it is not right."""
        write_tree(tmp_path, {"x": "1"})
        found = check([HeadEntry("x", [(tmp_path / "x").as_uri()], 1, hashed, {})])
        assert (codes(found), found.exit_code) == ({"x": "not-checkable"}, 1)
        assert said in found.wrong[0].problem

    def test_no_size(self, tree: list[Path]) -> None:
        """A hash needs one."""
        unsized = HeadEntry("x", [tree[0].as_uri()], None, _Hash(HASH_TYPE, ""), {})
        assert codes(check([unsized])) == {"x": "not-checkable"}


class TestPlaces:
    """Bytes that are not there, or not to be read."""

    def test_all_are_told(self, tree: list[Path]) -> None:
        """One wrong entry does not hide the next."""
        entries = [*map(entry, tree)]
        tree[0].write_bytes(b"four")
        tree[1].unlink()
        tree[2].write_bytes(b"y" * 3_000_000)
        found = check(entries)
        assert codes(found) == {"a": "wrong-size", "b": "missing", tree[2].name: "wrong-bytes"}
        assert (found.checked, found.exit_code) == (3, 1)

    @pytest.mark.parametrize(
        ("make", "code"),
        [
            pytest.param(lambda path: path.mkdir(), "missing", id="a folder"),
            pytest.param(os.mkfifo, "missing", id="a pipe, which nobody writes to"),
            pytest.param(lambda path: path.symlink_to("/dev/zero"), "missing", id="a device without an end"),
            pytest.param(lambda path: path.symlink_to(path), "unreadable", id="a link to itself"),
            pytest.param(lambda path: path.symlink_to("nowhere"), "missing", id="a dangling link"),
        ],
    )
    def test_what_is_no_file(self, tmp_path: Path, make: Callable[[Path], Any], code: str) -> None:
        """It is not waited for."""
        make(tmp_path / "x")
        assert codes(check([HeadEntry("x", [(tmp_path / "x").as_uri()], 0, _Hash(HASH_TYPE, ""), {})])) == {"x": code}

    @pytest.mark.parametrize("uri", NO_ADDRESSES)
    def test_addresses_that_are_none(self, uri: str) -> None:
        """Nothing is asked for."""
        places = Counting()
        keys = [uri] if uri else []
        assert codes(check([HeadEntry("x", keys, 0, _Hash(HASH_TYPE, "x"), {})], places)) == {"x": "not-allowed"}

    @pytest.mark.parametrize("remembered", [False, True])
    def test_a_manifest_in_a_bucket_names_no_files(
        self, tree: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, remembered: bool
    ) -> None:
        """They are not even looked at."""
        with Checkpoint(tmp_path / "home", "revision") as checkpoint:
            if remembered:
                checkpoint.keep("a", tree[0].as_uri(), "x")
        good = entry(tree[0])
        monkeypatch.setattr(os, "open", no_client)
        monkeypatch.setattr(os, "stat", no_client)
        with Checkpoint(None, "revision") as checkpoint:
            found = Verifier(Places("s3://bucket", no_client), checkpoint).check([good], lambda _count: None)
        monkeypatch.undo()
        assert codes(found) == {"a": "not-allowed"}

    def test_a_file_that_may_not_be_read(self, tree: list[Path]) -> None:
        """It asks for permission, by the exit code too."""
        tree[0].chmod(0)
        script = (
            "import sys\n"
            "from pathlib import Path\n"
            "from publish.test_verify import check, HeadEntry, _Hash\n"
            "found = check([HeadEntry('a', [Path(sys.argv[1]).as_uri()], 3, _Hash('sha2-256-chunked', 'x'), {})])\n"
            "print(found.wrong[0].code, found.exit_code)\n"
        )
        done = run_script(script, tree[0], others=True)
        assert done.stdout.split() == ["unreadable", "4"], done.stderr

    def test_a_file_that_changes_meanwhile(self, tmp_path: Path) -> None:
        """It is neither right nor wrong."""
        path = write_tree(tmp_path, {"x": b"x" * 3_000_000}) / "x"
        good = entry(path)
        with Checkpoint(None, "") as checkpoint:
            found = Verifier(Counting(), checkpoint).check([good], lambda _count: os.utime(path, (1, 1)))
        assert codes(found) == {"x": "changed-while-reading"}


@pytest.mark.usefixtures("aged")
class TestGoingOn:
    """What was right is not read again, until the verification is over."""

    @pytest.fixture
    def home(self, tmp_path: Path) -> Path:
        """Return where a checkpoint may be kept."""
        return tmp_path / "home"

    @pytest.fixture
    def ended(self, tree: list[Path], home: Path) -> list[HeadEntry]:
        """End a verification before the last entry; return the entries."""
        entries = [*map(entry, tree)]
        places = Counting(fail={tree[2].as_uri().rpartition("/")[2]: UnreachableError("no network")})
        with pytest.raises(UnreachableError):
            check(entries, places, home)
        return entries

    def test_it_goes_on(self, ended: list[HeadEntry], home: Path) -> None:
        """Only the rest is read."""
        places = Counting()
        found = check(ended, places, home)
        assert (found.checked, found.resumed, len(places.read), found.wrong) == (1, 2, 1, [])

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda path: path.write_bytes(b"two"), id="content"),
            pytest.param(lambda path: os.utime(path, (1, 1)), id="time"),
            pytest.param(lambda path: path.write_bytes(b"longer"), id="size"),
            pytest.param(lambda path: path.unlink(), id="gone"),
            pytest.param(lambda path: (path.rename(f"{path}2"), path.write_bytes(b"two")), id="another file"),
        ],
    )
    def test_what_changed_is_read_again(
        self, tree: list[Path], ended: list[HeadEntry], home: Path, change: Callable[[Path], Any]
    ) -> None:
        """A file that is not the same file any more."""
        change(tree[0])
        found = check(ended, Counting(), home)
        assert (found.checked, found.resumed) == (2, 1)

    def test_what_lies_elsewhere_is_read_again(self, tree: list[Path], ended: list[HeadEntry], home: Path) -> None:
        """The same top hash may refer to other places."""
        moved = tree[0].rename(tree[0].with_name("moved"))
        entries = [HeadEntry("a", [moved.as_uri()], 3, ended[0].hash, {}), *ended[1:]]
        assert check(entries, Counting(), home).resumed == 1

    def test_what_was_wrong_is_read_again(self, tree: list[Path], home: Path) -> None:
        """It may have been mended."""
        entries = [*map(entry, tree)]
        tree[0].write_bytes(b"two")
        assert codes(check(entries, home=home)) == {"a": "wrong-bytes"}
        tree[0].write_bytes(b"one")
        found = check(entries, home=home)
        assert (codes(found), found.checked, found.resumed) == ({}, 1, 2)

    def test_other_revisions_are_not_touched(self, ended: list[HeadEntry], home: Path) -> None:
        """Each has its own checkpoint, and forgets only that."""
        with Checkpoint(home, "other") as other:
            assert other.identities() == {}
            other.forget()
        with Checkpoint(home, "revision") as mine:
            assert len(mine.identities()) == 2
            mine.forget()
            assert mine.identities() == {}
        assert check(ended, home=home).resumed == 0

    def test_ctrl_c(self, tree: list[Path], home: Path) -> None:
        """What was right until then is remembered."""
        entries = [*map(entry, tree)]
        places = Counting(fail={tree[2].as_uri().rpartition("/")[2]: KeyboardInterrupt()})
        with pytest.raises(KeyboardInterrupt):
            check(entries, places, home)
        assert check(entries, home=home).resumed == 2


def test_fresh_files_are_not_remembered(tree: list[Path], tmp_path: Path) -> None:
    """A later change to them may not show."""
    entries = [*map(entry, tree)]
    check(entries, home=tmp_path / "home")
    assert check(entries, home=tmp_path / "home").resumed == 0


def test_a_home_that_cannot_be_used(tree: list[Path], tmp_path: Path) -> None:
    """Nothing is remembered, and everything is checked."""
    write_tree(tmp_path, {"home": "a file", "broken/verified.sqlite": "no database"})
    for home in (tmp_path / "home", tmp_path / "broken"):
        assert check([*map(entry, tree)], home=home).checked == 3


def test_memory_stays_flat(tmp_path: Path) -> None:
    """A large file is not held."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(600 * 1024 * 1024)
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from publish.test_verify import check, HeadEntry, _Hash\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "size = Path(sys.argv[1]).stat().st_size\n"
        "found = check([HeadEntry('a', [Path(sys.argv[1]).as_uri()], size, _Hash('SHA256', 'x'), {})])\n"
        "print(found.wrong[0].code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = run_script(script, path)
    code, grown = done.stdout.split()
    assert (code, int(grown) < 50_000) == ("wrong-bytes", True), done.stderr


def test_base64_is_not_decoded_leniently(tree: list[Path]) -> None:
    """Two spellings of one hash are two texts, for quilt3 too."""
    value = base64.b64encode(base64.b64decode(entry(tree[0]).hash.value)).decode()  # type: ignore[union-attr]
    assert codes(check([entry(tree[0], value=value.rstrip("="))])) == {"a": "wrong-bytes"}
