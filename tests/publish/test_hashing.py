"""Quilt's content hash: equal to quilt3's for every size, and never of a file that changed meanwhile."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

import pytest
import quilt3
import quilt3.checksums

from provwatch.errors import CredentialsError, PackagingError
from provwatch.publish import hashing
from provwatch.publish.entries import HASH_TYPE, scan_folder
from provwatch.publish.hashing import ChangedError, Digest, digest_bytes, hash_files, part_bytes
from publish.processes import run_script
from publish.trees import write_tree

MIB = 1024 * 1024
PART = 8 * MIB
SIZES = (0, 1, PART - 1, PART, PART + 1, 20 * MIB)
EMPTY = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


@pytest.fixture(scope="module")
def noise() -> bytes:
    """Return 20 MiB that no two parts of are the same."""
    return random.Random(1).randbytes(20 * MIB)


def quilt3_hash(data: bytes) -> str:
    """Return what quilt3 says."""
    return quilt3.checksums.calculate_multipart_checksum_bytes(data, checksum_type=HASH_TYPE)


def hashed(folder: Path, threads: int = 0) -> dict[str, Digest]:
    """Return the hashes of a folder's files."""
    return {file.logical_key: digest for file, digest in hash_files(scan_folder(folder).files, threads=threads)}


def test_nothing_to_hash() -> None:
    """No files give no hashes."""
    assert list(hash_files([])) == []


def test_an_empty_file_has_no_parts() -> None:
    """Its hash is that of nothing, hashed once; Quilt's special case."""
    assert digest_bytes(b"").quilt == EMPTY == quilt3_hash(b"")


@pytest.mark.parametrize("size", SIZES)
def test_hashes_are_quilt3s(tmp_path: Path, noise: bytes, size: int) -> None:
    """One thread or more, from a file or from memory: the hash is the one that quilt3 computes."""
    data = noise[:size]
    write_tree(tmp_path, {"x": data})
    expected = quilt3_hash(data)
    assert digest_bytes(data).quilt == expected
    assert {hashed(tmp_path, threads)["x"].quilt for threads in (0, 1, 5)} == {expected}


def test_hashes_are_those_that_a_build_writes(tmp_path: Path, noise: bytes) -> None:
    """Package.build of the same files writes the same hashes."""
    folder = write_tree(tmp_path / "run", {str(size): noise[:size] for size in SIZES})
    registry = tmp_path / "registry"
    quilt3.Package().set_dir("/", str(folder)).build("a/b", registry=str(registry))
    theirs = {key: entry.hash["value"] for key, entry in quilt3.Package.browse("a/b", registry=str(registry)).walk()}
    assert theirs == {key: digest.quilt for key, digest in hashed(folder).items()}


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(0, id="nothing"),
        pytest.param(PART, id="one part"),
        pytest.param(10_000 * PART, id="10,000 parts"),
        pytest.param(10_000 * PART + 1, id="one more"),
        pytest.param(20_000 * PART, id="10,000 of 16 MiB"),
        pytest.param(20_000 * PART + 1, id="one more again"),
        pytest.param(5 << 40, id="5 TiB, the largest object of S3"),
    ],
)
def test_parts_grow_with_the_file(size: int) -> None:
    """Parts double while there are more than 10,000, as in quilt3."""
    assert part_bytes(size) == quilt3.checksums.get_checksum_chunksize(size)


def test_larger_parts_are_hashed_like_quilt3(tmp_path: Path, noise: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for two parts only, a file of three is hashed in two, here as there."""
    write_tree(tmp_path, {"x": noise})
    monkeypatch.setattr(hashing, "MAX_PARTS", 2)
    monkeypatch.setattr(quilt3.checksums, "CHECKSUM_MAX_PARTS", 2)
    assert hashed(tmp_path)["x"].quilt == quilt3_hash(noise) == digest_bytes(noise).quilt


def test_small_files_come_with_their_plain_hash(tmp_path: Path, noise: bytes) -> None:
    """Files of one part give their SHA-256 for free; larger ones do not have it."""
    write_tree(tmp_path, {"small": b"abc", "whole": noise[:PART], "large": noise[: PART + 1]})
    found = hashed(tmp_path)
    assert found["small"] == digest_bytes(b"abc")
    assert found["whole"] == digest_bytes(noise[:PART])
    assert found["large"].sha256 == ""


@pytest.mark.parametrize("threads", [1, 3])
def test_each_file_comes_once(tmp_path: Path, threads: int) -> None:
    """Batches of small files and large ones between them lose nothing and repeat nothing."""
    files = {f"{number:04}": str(number) for number in range(300)}
    write_tree(tmp_path, {**files, "0100-large": b"x" * (PART + 1)})
    found = [file.logical_key for file, _ in hash_files(scan_folder(tmp_path).files, threads=threads)]
    assert len(found) == 301
    assert set(found) == {*files, "0100-large"}


def test_progress_counts_every_byte(tmp_path: Path, noise: bytes) -> None:
    """What is told adds up to the sizes of the files."""
    write_tree(tmp_path, {"a": noise, "b": noise[:5], "c": b""})
    told: list[int] = []
    list(hash_files(scan_folder(tmp_path).files, progress=told.append))
    assert sum(told) == 20 * MIB + 5


def change(path: Path, how: str) -> None:
    """Change a file in some way."""
    if how == "longer":
        with path.open("ab") as file:
            file.write(b"x")
    elif how == "shorter":
        os.truncate(path, path.stat().st_size // 2)
    elif how == "overwritten":
        with path.open("r+b") as file:
            file.write(b"y")
    elif how == "replaced":
        data = path.read_bytes()
        path.with_suffix(".new").write_bytes(data)
        path.with_suffix(".new").rename(path)
    elif how == "touched":
        os.utime(path, (1, 1))


CHANGES = ("longer", "shorter", "overwritten", "replaced", "touched")


@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("size", [3, PART + 1], ids=["small", "large"])
def test_changed_since_the_scan(tmp_path: Path, size: int, how: str) -> None:
    """A file that is not what the scan saw is an error that names it."""
    write_tree(tmp_path, {"x": b"z" * size})
    files = scan_folder(tmp_path).files
    change(tmp_path / "x", how)
    with pytest.raises(ChangedError, match=r"x: (changed|became shorter) while it was being read") as caught:
        list(hash_files(files))
    assert caught.value.code == "changed-while-reading"


@pytest.mark.parametrize("how", CHANGES)
def test_changed_while_it_is_read(tmp_path: Path, noise: bytes, how: str) -> None:
    """A change after the first part was read is noticed too."""
    write_tree(tmp_path, {"x": noise})
    files = scan_folder(tmp_path).files
    once: list[int] = []

    def meddle(count: int) -> None:
        if not once:
            once.append(count)
            change(tmp_path / "x", how)

    with pytest.raises(ChangedError):
        list(hash_files(files, threads=1, progress=meddle))


def test_gone_since_the_scan(tmp_path: Path) -> None:
    """A file that is not there any more has vanished."""
    write_tree(tmp_path, {"x": "x"})
    files = scan_folder(tmp_path).files
    (tmp_path / "x").unlink()
    with pytest.raises(PackagingError, match="vanished") as caught:
        list(hash_files(files))
    assert caught.value.code == "vanished"


def test_a_file_that_became_a_folder(tmp_path: Path) -> None:
    """It changed, and nothing is read."""
    write_tree(tmp_path, {"x": "x"})
    files = scan_folder(tmp_path).files
    (tmp_path / "x").unlink()
    (tmp_path / "x").mkdir()
    with pytest.raises(ChangedError):
        list(hash_files(files))


@pytest.mark.parametrize("size", [3, PART + 1], ids=["small", "large"])
def test_stopping(tmp_path: Path, size: int) -> None:
    """What progress raises ends the hashing at once, and no thread is left."""
    write_tree(tmp_path, {f"{number:03}": b"z" * size for number in range(4)})
    files = scan_folder(tmp_path).files

    def stop(_count: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        list(hash_files(files, progress=stop))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("hash")]


def test_a_reader_that_leaves_early(tmp_path: Path) -> None:
    """Dropping the iterator waits for what is being read, and leaves no thread."""
    write_tree(tmp_path, {f"{number:03}": b"z" for number in range(400)})
    found = hash_files(scan_folder(tmp_path).files, threads=2)
    next(found)
    found.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("hash")]


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    """Permissions are the reason, not a change."""
    write_tree(tmp_path, {"x": "x"})
    (tmp_path / "x").chmod(0)
    script = (
        "import sys, pathlib\n"
        "from provwatch.publish.entries import scan_folder\n"
        "from provwatch.publish.hashing import hash_files\n"
        "try: list(hash_files(scan_folder(pathlib.Path(sys.argv[1])).files))\n"
        "except Exception as error: print(type(error).__name__, error.code)\n"
    )
    assert run_script(script, tmp_path, others=True).stdout.split() == [CredentialsError.__name__, "unreadable"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process's own peak")
def test_memory_stays_flat(tmp_path: Path) -> None:
    """Half a gigabyte is hashed in some megabytes."""
    with (tmp_path / "x").open("wb") as file:
        file.truncate(512 * MIB)
    script = (
        "import sys, pathlib, re\n"
        "from provwatch.publish.entries import scan_folder\n"
        "from provwatch.publish.hashing import hash_files\n"
        "def peak():\n"
        "    return int(re.search(r'VmHWM:\\s+(\\d+) kB', pathlib.Path('/proc/self/status').read_text())[1])\n"
        "files = scan_folder(pathlib.Path(sys.argv[1])).files\n"
        "before = peak()\n"
        "list(hash_files(files, threads=4))\n"
        "print(peak() - before)\n"
    )
    assert 0 <= int(run_script(script, tmp_path).stdout) * 1024 < 16 * MIB


def test_an_error_in_a_later_file_is_not_lost(tmp_path: Path) -> None:
    """However many files are in flight, the one that cannot be read is named."""
    write_tree(tmp_path, {f"{number:03}": b"z" for number in range(400)})
    files = scan_folder(tmp_path).files
    (tmp_path / "399").unlink()
    with pytest.raises(PackagingError, match="399: vanished"):
        list(hash_files(files, threads=2))
