"""What is remembered of uploads: by whom, for how long, and what others make of it."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from provwatch.publish.upload_records import FILE, Multipart, Uploaded, UploadRecords

PLACE = ("http://s3", "lab")


@pytest.mark.parametrize("turn", range(20))
def test_threads_that_begin_at_once(tmp_path: Path, turn: int) -> None:
    """A process whose threads all begin an upload at the same moment is not taken for a dead one."""
    del turn
    start = Barrier(8)
    with closing(UploadRecords(tmp_path, *PLACE)) as mine, closing(UploadRecords(tmp_path, *PLACE)) as theirs:

        def begin(number: int) -> None:
            start.wait()
            mine.begin(f"k{number}", "q", 1)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(begin, range(8)))
        assert theirs.abandoned() == []
    with closing(UploadRecords(tmp_path, *PLACE)) as later:
        assert len(later.abandoned()) == 8


def left_behind(home: Path) -> Multipart:
    """Return what a process left that ended in the middle of an upload."""
    with closing(UploadRecords(home, *PLACE)) as ended:
        ended.begin("k", "q", 1)
        ended.began("k", "u")
    with closing(UploadRecords(home, *PLACE)) as later:
        return later.abandoned()[0]


def test_one_process_goes_on_with_an_upload(tmp_path: Path) -> None:
    """Of two that find it abandoned, one takes it; then it is nobody's to abort."""
    left = left_behind(tmp_path)
    with closing(UploadRecords(tmp_path, *PLACE)) as mine, closing(UploadRecords(tmp_path, *PLACE)) as theirs:
        assert (mine.take(left), theirs.take(left)) == (True, False)
        assert theirs.abandoned() == []
        assert theirs.known("k") == {"u"}


def test_a_file_that_fails(tmp_path: Path) -> None:
    """A full disk costs what is remembered, and nothing else."""
    with closing(UploadRecords(tmp_path, *PLACE)) as records:
        with closing(sqlite3.connect(tmp_path / FILE)) as other:
            other.execute("CREATE TRIGGER full BEFORE INSERT ON objects BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        records.keep("k", "q", 1, Uploaded("v", "e"))
        assert records.uploaded("k", "q", 1) == Uploaded("v", "e")
        records.forget(["k"])
        assert records.uploaded("k", "q", 1) is None
