"""What only a real S3 server shows: multipart uploads with Quilt's hashes, and being killed in the middle of them."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import quilt3

from conftest import Finished
from provwatch.publish.hashing import PART_BYTES
from provwatch.publish.s3_storage import UPLOADS
from publish.processes import start_provwatch
from s3.conftest import Bucket
from s3.servers import Request

pytestmark = pytest.mark.slow
Run = Callable[..., Finished]
NAME = "lab/run"
SEED = int(time.time())


@pytest.fixture
def bucket(real_bucket: Bucket) -> Bucket:
    """Return a bucket on a real server."""
    return real_bucket


@pytest.fixture
def package(provwatch: Run, bucket: Bucket) -> Callable[..., dict[str, Any]]:
    """Package into the bucket and return the outcome."""

    def call(*arguments: object) -> dict[str, Any]:
        finished = provwatch("package", "--registry", bucket.registry, "--json", *arguments)
        assert finished.code == 0, finished
        outcome: dict[str, Any] = finished.json
        return outcome

    return call


Package = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(PART_BYTES - 1, id="one byte less than a part"),
        pytest.param(PART_BYTES, id="a part"),
        pytest.param(PART_BYTES + 1, id="one byte more"),
        pytest.param(9 * PART_BYTES + 5, id="parts beside each other"),
    ],
)
def test_sizes(run: Path, bucket: Bucket, package: Package, tmp_path: Path, size: int) -> None:
    """S3's composite checksum is Quilt's hash; quilt3 browses, installs and verifies; what it pushes is a duplicate."""
    (run / "large.bin").write_bytes(random.Random(size).randbytes(size))
    outcome = package(run, "--no-summary")
    found = quilt3.Package.browse(NAME, registry=bucket.registry)
    assert found.top_hash == outcome["top_hash"]
    key = {"Bucket": bucket.name, "Key": f"{NAME}/large.bin", "ChecksumMode": "ENABLED"}
    if size >= PART_BYTES:
        checksum = bucket.client.head_object(**key)["ChecksumSHA256"]
        assert checksum.partition("-")[0] == found["large.bin"].hash["value"]
    quilt3.Package.install(NAME, registry=bucket.registry, dest=str(tmp_path / "got"))
    assert found.verify(str(tmp_path / "got"))
    pushed = quilt3.Package().set_dir("/", str(run)).push("lab/theirs", registry=bucket.registry, force=True)
    again = package(run, "--name", "lab/theirs", "--no-summary")
    assert (again["outcome"], again["top_hash"]) == ("duplicate", pushed.top_hash)
    assert bucket.uploads() == []


def test_many_files(tmp_path: Path, bucket: Bucket, package: Package) -> None:
    """Unchanged: no write and at most ten requests; ten of a thousand changed: ten objects, and what goes with them."""
    run = tmp_path / "lab/run"
    run.mkdir(parents=True)
    for number in range(1_000):
        (run / f"f{number:04d}.txt").write_text(str(number))
    package(run)
    bucket.proxy.counts()
    assert package(run)["outcome"] == "duplicate"
    counts = bucket.proxy.counts()
    assert sum(counts.values()) <= 10
    assert "PutObject" not in counts
    for number in range(10):
        (run / f"f{number:04d}.txt").write_text(f"changed {number}")
    package(run)
    written = [key for key in bucket.proxy.put() if key.startswith(f"{NAME}/f")]
    assert len(written) == 10
    assert bucket.proxy.counts()["PutObject"] <= 10 + 4 + 3


class TestKilled:
    """SIGKILL while uploading, then the same command again."""

    @pytest.fixture
    def run(self, tmp_path: Path) -> Path:
        """Return a folder of small files and two that go up in parts."""
        folder = tmp_path / "lab/run"
        folder.mkdir(parents=True)
        source = random.Random(1)
        for number in range(40):
            (folder / f"small{number:02d}.bin").write_bytes(source.randbytes(50_000))
        (folder / "medium.bin").write_bytes(source.randbytes(3 * PART_BYTES))
        (folder / "large.bin").write_bytes(source.randbytes(10 * PART_BYTES))
        return folder

    @pytest.fixture
    def slow(self, bucket: Bucket) -> Iterator[Bucket]:
        """Slow every request down, so that there is something to kill."""

        def wait(_request: Request) -> None:
            time.sleep(0.03)

        bucket.proxy.fault = wait
        yield bucket
        bucket.proxy.fault = lambda _request: None

    def test_at_ten_moments(self, run: Path, slow: Bucket, package: Package, provwatch: Run) -> None:
        """After each: one revision, the right bytes, nothing half there; only what was in flight went up twice."""
        began = time.monotonic()
        start_provwatch("package", run, "--registry", slow.registry, "--name", "lab/whole").communicate()
        whole, moments, killed = time.monotonic() - began, random.Random(SEED), 0
        for turn in range(30):
            name = f"lab/run{turn}"
            process = start_provwatch("package", run, "--registry", slow.registry, "--name", name, "--take-over")
            time.sleep(moments.uniform(0.2, 0.95) * whole)
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                killed += 1
            process.communicate()
            outcome = package(run, "--name", name, "--take-over")
            assert list(slow.pointers(name).values()) == [outcome["top_hash"]], SEED
            assert provwatch("verify", name, "--registry", slow.registry).code == 0, SEED
            assert slow.uploads() == [], SEED
            versions = Counter(slow.versions(f"{name}/"))
            assert sum(versions.values()) - len(versions) <= UPLOADS, SEED
            assert versions[f"{name}/large.bin"] == versions[f"{name}/medium.bin"] == 1, SEED
            if killed == 10:
                break
        assert killed == 10

    def test_parts_are_taken_up(self, run: Path, slow: Bucket, package: Package) -> None:
        """The parts that were there are not sent again, and the upload is the same one."""
        process = start_provwatch("package", run, "--registry", slow.registry)
        parts: list[Request] = []
        while len(parts) < 6:
            parts = [r for r in list(slow.proxy.requests) if r == Request("UploadPart", f"{NAME}/large.bin")]
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert slow.uploads() == [f"{NAME}/large.bin"]
        slow.proxy.requests.clear()
        package(run)
        counts = slow.proxy.counts()
        assert counts.get("CreateUpload", 0) == 0
        assert counts.get("UploadPart", 0) <= 10 - (6 - 4)
        assert slow.uploads() == []

    def test_a_file_that_changed_since(self, run: Path, slow: Bucket, package: Package) -> None:
        """An upload that nobody can go on with is aborted, also where its file is gone."""
        process = start_provwatch("package", run, "--registry", slow.registry)
        while not any(request.operation == "UploadPart" for request in list(slow.proxy.requests)):
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        (run / "large.bin").unlink()
        (run / "medium.bin").write_text("small now")
        package(run)
        assert slow.uploads() == []

    def test_a_change_that_was_taken_back(self, run: Path, slow: Bucket, package: Package) -> None:
        """Where there is nothing left to upload, what was left behind is aborted too."""
        before = (run / "large.bin").read_bytes()
        package(run)
        slow.proxy.requests.clear()
        (run / "large.bin").write_bytes(os.urandom(len(before)))
        process = start_provwatch("package", run, "--registry", slow.registry)
        while not any(request.operation == "UploadPart" for request in list(slow.proxy.requests)):
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert slow.uploads() == [f"{NAME}/large.bin"]
        (run / "large.bin").write_bytes(before)
        assert package(run)["outcome"] == "duplicate"
        assert slow.uploads() == []

    def test_the_upload_of_a_living_process_is_left_alone(self, run: Path, slow: Bucket, package: Package) -> None:
        """Two at once do not abort each other's uploads; both get through, in an order."""
        process = start_provwatch("package", run, "--registry", slow.registry, "--json")
        while not any(request.operation == "UploadPart" for request in list(slow.proxy.requests)):
            time.sleep(0.005)
        mine = package(run, "--take-over")
        out, err = process.communicate(timeout=120)
        theirs = json.loads(out)
        assert process.returncode == 0, err
        assert sorted([mine["outcome"], theirs["outcome"]]) == ["duplicate", "pushed"]
        assert len(slow.pointers(NAME)) == 1
        assert slow.uploads() == []


def test_asked_to_stop(tmp_path: Path, bucket: Bucket, package: Package) -> None:
    """The first Ctrl-C hands back what is in hand: exit 0, nothing published, and the next run goes on with it."""
    run = tmp_path / "lab/run"
    run.mkdir(parents=True)
    (run / "large.bin").write_bytes(os.urandom(10 * PART_BYTES))
    command = ("package", run, "--registry", bucket.registry, "--bwlimit", "10MB", "--json")
    process = start_provwatch(*command)
    while sum(request.operation == "UploadPart" for request in list(bucket.proxy.requests)) < 3:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["code"] == "interrupted"
    bucket.proxy.counts()
    assert package(run)["outcome"] == "pushed"
    assert bucket.proxy.counts()["UploadPart"] <= 8
    assert bucket.uploads() == []


def test_an_upload_that_somebody_aborted(run: Path, bucket: Bucket, provwatch: Run) -> None:
    """What lies at the key from before is not taken for the upload; the next run makes the package."""
    large = os.urandom(2 * PART_BYTES)
    (run / "large.bin").write_bytes(large)
    bucket.put(f"{NAME}/large.bin", b"older")

    def abort(request: Request) -> None:
        if request.operation == "CompleteUpload":
            for found in bucket.client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]:
                where = {"Bucket": bucket.name, "Key": found["Key"], "UploadId": found["UploadId"]}
                bucket.client.abort_multipart_upload(**where)

    bucket.proxy.fault = abort
    finished = provwatch("package", run, "--registry", bucket.registry, "--json")
    assert (finished.code, finished.json["code"]) == (5, "aborted")
    assert bucket.pointers(NAME) == {}
    bucket.proxy.fault = lambda _request: None
    assert provwatch("package", run, "--registry", bucket.registry, "--json").json["outcome"] == "pushed"
    assert quilt3.Package.browse(NAME, registry=bucket.registry)["large.bin"].get_bytes() == large
