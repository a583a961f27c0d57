"""What is remembered of uploads: by whom, for how long, and what others make of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from provwatch.publish.upload_records import UploadRecords

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
