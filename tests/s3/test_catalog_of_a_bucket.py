"""From ``init quilt`` to an answer: the files uploaded to a bucket, a run published, and its package asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import quilt3

from catalog.packages import Revision
from catalog.questions import statement
from catalog.tables import ask, tables_of
from conftest import Finished
from s3.conftest import Bucket


def stored(bucket: Bucket) -> list[Revision]:
    """Return the revisions that a bucket holds, as Quilt reads them into its tables."""
    found = []
    for key in bucket.keys(".quilt/named_packages/"):
        match = re.fullmatch(r"\.quilt/named_packages/([^/]+/[^/]+)/(\d+)", key)
        if match is not None:
            top_hash = bucket.get(key).decode()
            manifest = bucket.get(f".quilt/packages/{top_hash}").splitlines()
            found.append(Revision(match[1], int(match[2]), top_hash, json.loads(manifest[0])["user_meta"]))
    return found


@pytest.mark.filterwarnings("ignore:(read|open)_text is deprecated")  # quilt3 reads its own schema so
def test_a_published_run_is_found(
    bucket: Bucket, demo: Path, provwatch: Callable[..., Finished], tmp_path: Path
) -> None:
    """The written layout is the bucket's; the workflow passes and is recorded; the printed SQL finds the package."""
    assert provwatch("init", "quilt", "--registry", bucket.registry, "--to", tmp_path / "catalog").code == 0
    for path in (tmp_path / "catalog/.quilt").rglob("*.*"):
        bucket.put(path.relative_to(tmp_path / "catalog").as_posix(), path.read_bytes())
    done = provwatch(
        "package", demo, "--registry", bucket.registry, "--quilt-workflow", "provwatch-run", "--name", "lab/demo"
    )
    assert done.code == 0, done.err

    package = quilt3.Package.browse("lab/demo", registry=bucket.registry)
    workflow = package._workflow
    assert workflow["id"] == "provwatch-run"
    assert workflow["config"].startswith(f"{bucket.registry}/.quilt/workflows/config.yml")
    assert list(workflow["schemas"]) == ["provwatch-metadata"]

    sql = (tmp_path / "catalog/find-runs.sql").read_text()
    with tables_of(stored(bucket), bucket.name) as database:
        values = {"PIPELINE": "provwatch/demo-count", "SAMPLE": "beta"}
        (row,) = ask(database, statement(sql, 1, values))
        assert (row["pkg_name"], row["top_hash"]) == ("lab/demo", package.top_hash)
        (row,) = ask(database, statement(sql, 2, {"PACKAGE": "lab/demo"}))
        assert (row["agent"], row["pipeline_version"]) == ("Jane Doe", "0.1.0")
        (row,) = ask(database, statement(sql, 5, {"INPUT": "beta.txt"}))
        assert row["top_hash"] == package.top_hash
