"""Bytes kept in a registry: each once, whole, and what they were when they were looked at."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from provwatch.errors import CredentialsError, PackagingError, UnreachableError
from provwatch.publish import objects
from provwatch.publish.entries import SourceFile, scan_folder
from provwatch.publish.hashing import ChangedError, digest_bytes
from provwatch.publish.objects import ObjectStore, write_error
from publish.processes import run_script
from publish.trees import footprint, stored_bytes, write_tree

PART = 8 * 1024 * 1024
SIZES = (0, 1, PART - 1, PART, PART + 1, 20 * 1024 * 1024)


@pytest.fixture
def store(registry: Path) -> ObjectStore:
    """Return the objects of a registry that is not there yet."""
    return ObjectStore(registry)


def only_file(folder: Path) -> SourceFile:
    """Return the one file of a folder."""
    (file,) = scan_folder(folder).files
    return file


def test_nothing_is_made_before_it_is_needed(store: ObjectStore, registry: Path) -> None:
    """Asking for an object makes no folder."""
    assert not store.has(digest_bytes(b"abc").sha256, 3)
    assert not registry.exists()


@pytest.mark.parametrize("size", SIZES)
def test_a_file_is_kept_with_its_hashes(tmp_path: Path, store: ObjectStore, size: int) -> None:
    """The copy has the file's bytes, and both its hashes come from that one reading."""
    data = os.urandom(size)
    write_tree(tmp_path / "run", {"x": data})
    place, digest = store.put_file(only_file(tmp_path / "run"))
    assert digest == digest_bytes(data)
    assert place == store.path(digest.sha256)
    assert place.read_bytes() == data
    assert store.has(digest.sha256, size)


def test_the_same_bytes_are_kept_once(tmp_path: Path, store: ObjectStore, registry: Path) -> None:
    """Copying them again, or keeping them as bytes, changes nothing that is there."""
    write_tree(tmp_path / "run", {"x": "abc"})
    place, _ = store.put_file(only_file(tmp_path / "run"))
    before = place.stat()
    assert store.put_file(only_file(tmp_path / "run"))[0] == place
    assert store.put_bytes(b"abc")[0] == place
    assert place.stat() == before
    assert list(stored_bytes(registry).values()) == [b"abc"]


def test_a_copy_is_no_link(tmp_path: Path, store: ObjectStore) -> None:
    """What happens to the file later does not happen to the object."""
    write_tree(tmp_path / "run", {"x": "abc"})
    place, _ = store.put_file(only_file(tmp_path / "run"))
    with (tmp_path / "run/x").open("r+b") as file:
        file.write(b"ABC")
    assert place.read_bytes() == b"abc"


def test_half_an_object_is_replaced(tmp_path: Path, store: ObjectStore) -> None:
    """What a crash of the disk left of an object does not count as it."""
    place, digest = store.put_bytes(b"abc")
    place.write_bytes(b"a")
    assert not store.has(digest.sha256, 3)
    store.put_bytes(b"abc")
    assert place.read_bytes() == b"abc"
    place.write_bytes(b"a")
    write_tree(tmp_path / "run", {"x": "abc"})
    store.put_file(only_file(tmp_path / "run"))
    assert place.read_bytes() == b"abc"


def test_blocks_are_shared_where_they_can_be(
    tmp_path: Path, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file system is asked to share the blocks first; if it does, nothing is copied."""
    write_tree(tmp_path / "run", {"x": "abc"})
    asked: list[int] = []

    def share(target: int, request: int, source: int) -> None:
        asked.append(request)
        os.write(target, os.pread(source, 100, 0))

    def refuse(*_: Any) -> None:
        pytest.fail("nothing has to be copied")

    monkeypatch.setattr(fcntl, "ioctl", share)
    store.tell = refuse
    place, digest = store.put_file(only_file(tmp_path / "run"))
    assert (place.read_bytes(), digest) == (b"abc", digest_bytes(b"abc"))
    assert asked == [objects.FICLONE]


@pytest.mark.parametrize("data", [b"abcd", b"ab", b"ABC"], ids=["longer", "shorter", "other bytes"])
def test_a_file_that_changed_is_not_kept(tmp_path: Path, store: ObjectStore, registry: Path, data: bytes) -> None:
    """The copy is thrown away, since nobody looked at these bytes."""
    write_tree(tmp_path / "run", {"x": "abc"})
    file = only_file(tmp_path / "run")
    (tmp_path / "run/x").write_bytes(data)
    with pytest.raises(ChangedError, match="x: changed while it was being copied"):
        store.put_file(file)
    assert [path for path in registry.rglob("*/tmp/*") if path.is_file()] == []
    assert not store.has(digest_bytes(b"abc").sha256, 3)


def test_a_file_that_vanished(tmp_path: Path, store: ObjectStore, registry: Path) -> None:
    """It is named, and leaves nothing behind."""
    write_tree(tmp_path / "run", {"x": "abc"})
    file = only_file(tmp_path / "run")
    (tmp_path / "run/x").unlink()
    with pytest.raises(PackagingError, match="x: vanished"):
        store.put_file(file)
    assert stored_bytes(registry) == {}


def test_a_registry_that_may_not_be_written(tmp_path: Path) -> None:
    """It is an error of permissions that says what to do, and nothing changes."""
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry").chmod(0o500)
    before = footprint(tmp_path / "registry")
    script = (
        "import sys, pathlib\n"
        "from provwatch.publish.objects import ObjectStore\n"
        "try: ObjectStore(pathlib.Path(sys.argv[1])).put_bytes(b'abc')\n"
        "except Exception as error: print(type(error).__name__, error.code, error, sep='|')\n"
    )
    said = run_script(script, tmp_path / "registry", others=True).stdout
    assert said.startswith(f"{CredentialsError.__name__}|unwritable|")
    assert "--registry" in said
    assert footprint(tmp_path / "registry") == before


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        pytest.param(errno.EACCES, CredentialsError, "unwritable", id="permission"),
        pytest.param(errno.EROFS, CredentialsError, "unwritable", id="read-only disk"),
        pytest.param(errno.ENOSPC, PackagingError, "disk-full", id="full disk"),
        pytest.param(errno.EDQUOT, PackagingError, "disk-full", id="full quota"),
        pytest.param(errno.EIO, UnreachableError, "unwritable", id="broken disk"),
    ],
)
def test_what_is_wrong_with_writing(number: int, kind: type[Exception], code: str) -> None:
    """The error's kind gives the exit code."""
    error = write_error(OSError(number, os.strerror(number)), "/registry")
    assert type(error) is kind
    assert (error.code, error.where) == (code, "/registry")
