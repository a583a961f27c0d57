"""The cache of hashes: trusted only where nothing can have changed, and never needed."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from provwatch.publish.entries import SourceFile, scan_folder
from provwatch.publish.hash_cache import CHECKPOINT_BYTES, RACY_NS, HashCache
from provwatch.publish.hashing import digest_bytes
from publish.processes import run_script
from publish.trees import LONG_AGO_NS, footprint, source_file, write_tree

DIGEST = digest_bytes(b"abc")
LATER_NS = LONG_AGO_NS + 10 * RACY_NS


@contextmanager
def cache_at(path: Path | None, *, read_only: bool = False) -> Iterator[HashCache]:
    """Open a cache and close it again."""
    with closing(HashCache(path, read_only=read_only)) as cache:
        yield cache


def is_known(cache: HashCache, file: SourceFile) -> bool:
    """Say whether the cache has the file's hashes, and that they are the ones it was given."""
    ((_, digest),) = cache.known([file])
    assert digest in (None, DIGEST)
    return digest is not None


def remember(path: Path, file: SourceFile, read_ns: int = LATER_NS) -> None:
    """Keep a file's hashes in the cache at a path."""
    with cache_at(path) as cache:
        cache.keep(file, DIGEST, read_ns=read_ns)


def test_nothing_is_known_at_first(tmp_path: Path) -> None:
    """An empty cache knows no file, and no files are no question."""
    with cache_at(tmp_path / "cache") as cache:
        assert not is_known(cache, source_file())
        assert list(cache.known([])) == []


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"size": 4}, id="size"),
        pytest.param({"mtime_ns": LONG_AGO_NS - 1}, id="modification time"),
        pytest.param({"ctime_ns": LONG_AGO_NS - 1}, id="change time"),
        pytest.param({"inode": 8}, id="inode"),
        pytest.param({"device": 2}, id="device"),
        pytest.param({"target": "/data/b.txt"}, id="place"),
    ],
)
def test_a_file_that_changed_is_not_known(tmp_path: Path, changed: dict[str, Any]) -> None:
    """Whatever of its signature differs, it has to be read."""
    remember(tmp_path / "cache", source_file())
    with cache_at(tmp_path / "cache") as cache:
        assert not is_known(cache, source_file(**changed))
        assert is_known(cache, source_file())


@pytest.mark.parametrize(
    ("age_ns", "known"),
    [
        pytest.param(-RACY_NS, False, id="from the future"),
        pytest.param(0, False, id="as old as the reading"),
        pytest.param(RACY_NS - 1, False, id="not quite two seconds old"),
        pytest.param(RACY_NS, True, id="two seconds old"),
    ],
)
@pytest.mark.parametrize("stamp", ["mtime_ns", "ctime_ns"])
def test_fresh_files_are_not_trusted(tmp_path: Path, stamp: str, age_ns: int, *, known: bool) -> None:
    """A file could change within one tick of the clock without looking different, so fresh ones are read again."""
    file = source_file(**{stamp: LATER_NS})
    remember(tmp_path / "cache", file, read_ns=LATER_NS + age_ns)
    with cache_at(tmp_path / "cache") as cache:
        assert is_known(cache, file) is known


def test_the_key_is_the_file_and_not_its_name_in_the_package(tmp_path: Path) -> None:
    """Two folders that link to one file, or one that is packaged from a parent, share its hash."""
    remember(tmp_path / "cache", source_file())
    with cache_at(tmp_path / "cache") as cache:
        assert is_known(cache, source_file(logical_key="other/a.txt", path="/link/a.txt"))


def test_more_files_than_one_question_takes(tmp_path: Path) -> None:
    """The answers come in the order of the files."""
    files = [source_file(target=f"/data/{number}") for number in range(1_203)]
    with cache_at(tmp_path / "cache") as cache:
        for file in files[::2]:
            cache.keep(file, DIGEST, read_ns=LATER_NS)
        cache.save()
        answers = list(cache.known(files))
    assert [file for file, _ in answers] == files
    assert [digest is not None for _, digest in answers] == [number % 2 == 0 for number in range(1_203)]


def test_a_new_hash_replaces_the_old(tmp_path: Path) -> None:
    """There is one line a file."""
    remember(tmp_path / "cache", source_file(size=1))
    remember(tmp_path / "cache", source_file())
    with closing(sqlite3.connect(tmp_path / "cache")) as database:
        assert database.execute("SELECT path, size FROM hashes").fetchall() == [("/data/a.txt", 3)]


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + b"\xff" * 4096, None])
def test_a_cache_that_cannot_be_used_is_done_without(tmp_path: Path, content: bytes | None) -> None:
    """Rubbish, or a folder in its place, costs time and nothing else."""
    path = tmp_path / "cache"
    path.mkdir() if content is None else path.write_bytes(content)
    with cache_at(path) as cache:
        cache.keep(source_file(), DIGEST, read_ns=LATER_NS)
        cache.save()
        assert is_known(cache, source_file())
    assert path.is_dir() or path.read_bytes() == content


def test_a_cache_of_another_version_is_made_anew(tmp_path: Path) -> None:
    """A table with other columns is dropped: it costs one more reading."""
    with closing(sqlite3.connect(tmp_path / "cache")) as database:
        database.execute("CREATE TABLE hashes (path TEXT PRIMARY KEY, colour TEXT)")
        database.execute("INSERT INTO hashes VALUES ('/data/a.txt', 'blue')")
        database.commit()
    with cache_at(tmp_path / "cache") as cache:
        cache.keep(source_file(), DIGEST, read_ns=LATER_NS)
        cache.save()
        assert is_known(cache, source_file())


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({"inode": 2**64 - 1}, id="an inode of 64 bits"),
        pytest.param({"device": 2**63}, id="a device of 64 bits"),
        pytest.param({"mtime_ns": 2**70}, id="a time in the year 39000"),
        pytest.param({"target": os.fsdecode(b"/data/\xff")}, id="a path that is no text"),
    ],
)
def test_files_that_a_database_cannot_hold(tmp_path: Path, odd: dict[str, Any]) -> None:
    """They are read each time, and nothing breaks."""
    file = source_file(**odd)
    remember(tmp_path / "cache", file)
    with cache_at(tmp_path / "cache") as cache:
        assert not is_known(cache, file)


def test_a_cache_that_may_not_be_written(tmp_path: Path) -> None:
    """The folder of caches may be another's."""
    (tmp_path / "home").mkdir(mode=0o500)
    script = (
        "import sys, pathlib\n"
        "from provwatch.publish.hash_cache import HashCache\n"
        "from provwatch.publish.hashing import digest_bytes\n"
        "from publish.trees import source_file\n"
        "cache = HashCache(pathlib.Path(sys.argv[1]))\n"
        "cache.keep(source_file(), digest_bytes(b'abc'), read_ns=2**62)\n"
        "cache.close()\n"
    )
    ended = run_script(script, tmp_path / "home/caches/cache", others=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.parametrize("there", [False, True])
def test_reading_only_leaves_no_trace(tmp_path: Path, *, there: bool) -> None:
    """A dry run uses what is known and changes no file, no time stamp, and makes no file beside it."""
    path = tmp_path / "cache"
    if there:
        remember(path, source_file())
    before = footprint(tmp_path)
    with cache_at(path, read_only=True) as cache:
        assert is_known(cache, source_file()) is there
        cache.keep(source_file(target="/new"), DIGEST, read_ns=LATER_NS)
        cache.save()
        assert footprint(tmp_path) == before
    assert footprint(tmp_path) == before


def test_two_processes_share_a_cache(tmp_path: Path) -> None:
    """What one saves the other finds."""
    with cache_at(tmp_path / "cache") as one, cache_at(tmp_path / "cache") as two:
        one.keep(source_file(), DIGEST, read_ns=LATER_NS)
        one.save()
        two.keep(source_file(target="/b"), DIGEST, read_ns=LATER_NS)
        two.save()
        assert is_known(one, source_file(target="/b"))
        assert is_known(two, source_file())


def test_a_locked_cache_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for it would take longer than reading."""
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **more: connect(*args, **{**more, "timeout": 0.05}))
    remember(tmp_path / "cache", source_file())
    with closing(connect(tmp_path / "cache")) as other, cache_at(tmp_path / "cache") as cache:
        other.execute("BEGIN EXCLUSIVE")
        cache.keep(source_file(target="/b"), DIGEST, read_ns=LATER_NS)
        cache.save()
        assert is_known(cache, source_file())
        assert not is_known(cache, source_file(target="/b"))


class TestCheckpoints:
    """What was read is not read again after a crash."""

    SCRIPT = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from provwatch.publish import hash_cache\n"
        "from provwatch.publish.hashing import digest_bytes\n"
        "from publish.trees import source_file\n"
        "hash_cache.CHECKPOINT_SECONDS = float(sys.argv[2])\n"
        "cache = hash_cache.HashCache(Path(sys.argv[1]))\n"
        "for number, size in enumerate(map(int, sys.argv[3:])):\n"
        "    file = source_file(target=f'/data/{number}', size=size)\n"
        "    cache.keep(file, digest_bytes(b'abc'), read_ns=2**62)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    def known_after_kill(self, path: Path, seconds: float, sizes: list[int]) -> list[bool]:
        """Remember files of these sizes in a process that is then killed, and say which are still known."""
        assert run_script(self.SCRIPT, path, seconds, *sizes).returncode == -signal.SIGKILL
        with cache_at(path) as cache:
            files = [source_file(target=f"/data/{number}", size=size) for number, size in enumerate(sizes)]
            return [digest is not None for _, digest in cache.known(files)]

    @pytest.mark.parametrize(
        ("seconds", "sizes", "known"),
        [
            pytest.param(60, [1, 1], [False, False], id="small files wait for each other"),
            pytest.param(0, [1, 1], [True, True], id="at most a second"),
            pytest.param(60, [1, CHECKPOINT_BYTES, 1], [True, True, False], id="a large file is written out at once"),
        ],
    )
    def test_after_a_kill(self, tmp_path: Path, seconds: float, sizes: list[int], known: list[bool]) -> None:
        """Large files are on disk as soon as they are hashed, small ones after a second."""
        assert self.known_after_kill(tmp_path / "cache", seconds, sizes) == known


def test_real_files(tmp_path: Path) -> None:
    """A file just written is not trusted; once it has aged, a second look reads nothing; a change is seen."""
    write_tree(tmp_path / "run", {"x": "abc"})
    (file,) = scan_folder(tmp_path / "run").files
    written_ns = max(file.mtime_ns, file.ctime_ns)
    with cache_at(tmp_path / "cache") as cache:
        cache.keep(file, DIGEST, read_ns=written_ns + RACY_NS // 2)
        cache.save()
        assert not is_known(cache, file)
        cache.keep(file, DIGEST, read_ns=written_ns + RACY_NS * 2)
        cache.save()
        assert is_known(cache, file)
        touched = changed_until_seen(tmp_path / "run", file)
        assert touched.mtime_ns == file.mtime_ns
        assert not is_known(cache, touched)


def changed_until_seen(folder: Path, file: SourceFile) -> SourceFile:
    """Set a file's mtime to what it was until the coarse clock of the file system gives it another ctime."""
    while True:
        os.utime(folder / file.logical_key, ns=(file.mtime_ns, file.mtime_ns))
        (touched,) = scan_folder(folder).files
        if touched.ctime_ns != file.ctime_ns:
            return touched
