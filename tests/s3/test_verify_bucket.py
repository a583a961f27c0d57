"""``verify`` and ``diff`` of packages in a bucket: versions, connections that break, and what may not be read."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import quilt3

from conftest import Finished
from provwatch.publish.hashing import digest_bytes
from publish.processes import start_provwatch
from publish.trees import write_tree
from s3.conftest import Bucket
from s3.servers import Request

Run = Callable[..., Finished]
NAME = "lab/run"


@pytest.fixture
def package(run: Path, bucket: Bucket, provwatch: Run) -> Callable[..., str]:
    """Package the folder into the bucket, and return the top hash."""

    def call(*arguments: object) -> str:
        finished = provwatch("package", run, "--registry", bucket.registry, "--no-summary", "--json", *arguments)
        assert finished.code == 0, finished
        bucket.proxy.requests.clear()
        return str(finished.json["top_hash"])

    return call


@pytest.fixture
def verify(bucket: Bucket, provwatch: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Verify with few retries, and return what came of it."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")

    def call(*arguments: object, code: int = 0) -> dict[str, Any]:
        finished = provwatch("verify", *(arguments or [NAME]), "--registry", bucket.registry, "--json")
        assert (finished.code, "Traceback" in finished.err) == (code, False), finished
        found: dict[str, Any] = finished.json
        return found

    return call


def codes(found: dict[str, Any]) -> dict[str, str]:
    """Return what is wrong, by name."""
    return {one["logical_key"]: one["code"] for one in found["wrong"]}


def only(operation: str, answer: Any, times: int = 1_000, name: str = "") -> Callable[[Request], Any]:
    """Return the fault that the first requests for objects of this name have."""
    left = Counter({name: times})

    def fault(request: Request) -> Any:
        if request.operation != operation or ".quilt/" in request.key or not request.key.endswith(name):
            return None
        left[name] -= 1
        return answer if left[name] >= 0 else None

    return fault


def rewritten(bucket: Bucket, top_hash: str, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the entries of a manifest in place."""
    key = f".quilt/packages/{top_hash}"
    header, *records = map(json.loads, bucket.get(key).decode().splitlines())
    for record in records:
        change(record)
    bucket.put(key, "\n".join(map(json.dumps, [header, *records])).encode())


class TestRight:
    """Packages whose bytes are right."""

    @pytest.mark.parametrize("whose", ["provwatch", "quilt3"])
    def test_each_object_is_read_once(self, run: Path, bucket: Bucket, package: Run, verify: Run, whose: str) -> None:
        """Whoever pushed it."""
        if whose == "provwatch":
            package()
        else:
            quilt3.Package().set_dir("/", str(run)).push(NAME, registry=bucket.registry, force=True)
        bucket.proxy.requests.clear()
        found = verify()
        assert (found["entries"], found["checked"], found["wrong"]) == (3, 3, [])
        read = Counter(request.key for request in bucket.proxy.requests if not request.key.startswith(".quilt/"))
        assert (len(read), set(read.values())) == (3, {1})
        assert {request.operation for request in bucket.proxy.requests} == {"GetObject"}

    def test_versions_are_what_counts(self, run: Path, bucket: Bucket, package: Run, verify: Run) -> None:
        """What lies under the key now is not what the revision holds."""
        old = package()
        bucket.put(f"{NAME}/a.txt", b"other")
        write_tree(run, {"b.txt": "new"})
        package()
        for word in (NAME, f"{NAME}@{old[:6]}", f"quilt+{bucket.registry}#package={NAME}@{old}"):
            assert verify(word)["wrong"] == []

    def test_an_unversioned_bucket(self, bucket: Bucket, package: Run, verify: Run) -> None:
        """What lies under the key is what there is."""
        bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Suspended"})
        package()
        assert verify()["wrong"] == []
        bucket.put(f"{NAME}/a.txt", b"other")
        bucket.put(f"{NAME}/b.txt", b"B.TXT")
        assert codes(verify(code=1)) == {"a.txt": "wrong-bytes", "b.txt": "wrong-bytes"}


class TestWrong:
    """Packages whose bytes are not right."""

    def test_versions_that_are_gone(self, bucket: Bucket, package: Run, verify: Run) -> None:
        """Told by name."""
        package()
        (found,) = bucket.client.list_object_versions(Bucket=bucket.name, Prefix=f"{NAME}/a.txt")["Versions"]
        bucket.client.delete_object(Bucket=bucket.name, Key=found["Key"], VersionId=found["VersionId"])
        assert codes(verify(code=1)) == {"a.txt": "missing"}

    def test_a_manifest_that_names_files(self, run: Path, bucket: Bucket, package: Run, verify: Run) -> None:
        """They are told, and never read."""
        top_hash = package()
        secret = write_tree(run.parent, {"secret": "x"}) / "secret"
        known = {"type": "sha2-256-chunked", "value": digest_bytes(b"x").quilt}
        rewritten(
            bucket,
            top_hash,
            lambda record: record.update(physical_keys=[secret.as_uri()], size=1, hash=known),
        )
        found = verify(code=1)
        assert set(codes(found).values()) == {"wrong-manifest", "not-allowed"}
        assert len(found["wrong"]) == 4

    @pytest.mark.parametrize(
        ("answer", "wrong", "code"),
        [
            pytest.param((403, "AccessDenied"), "access-denied", 4, id="denied"),
            pytest.param((404, "NoSuchBucket"), "no-such-bucket", 5, id="no such bucket"),
            pytest.param((403, "InvalidObjectState"), "s3-failed", 5, id="archived"),
            pytest.param((400, "InvalidArgument"), "s3-failed", 5, id="no such thing"),
        ],
    )
    def test_one_object_that_may_not_be_read(
        self, bucket: Bucket, package: Run, verify: Run, answer: Any, wrong: str, code: int
    ) -> None:
        """The others are checked."""
        package()
        bucket.proxy.fault = only("GetObject", answer, name="b.txt")
        found = verify(code=code)
        assert (codes(found), found["checked"]) == ({"b.txt": wrong}, 3)


@pytest.mark.slow
class TestBrokenConnections:
    """Networks and servers that fail."""

    @pytest.fixture
    def large(self, run: Path, package: Run) -> str:
        """Package an object of several pieces."""
        (run / "a.txt").write_bytes(bytes(range(256)) * 20_000)
        top_hash: str = package()
        return top_hash

    @pytest.mark.usefixtures("large")
    @pytest.mark.parametrize("answer", ["short", "drop", (503, "SlowDown"), (500, "InternalError")], ids=str)
    def test_it_is_tried_again(self, bucket: Bucket, verify: Run, answer: Any) -> None:
        """A short read goes on from where it ended."""
        bucket.proxy.fault = only("GetObject", answer, times=1, name="a.txt")
        ranges: list[str] = []
        bucket.proxy.watch = lambda headers: ranges.extend(filter(None, [headers.get("Range")]))
        assert verify()["wrong"] == []
        assert (len(ranges) == 1 and ranges != ["bytes=0-"]) is (answer == "short")

    @pytest.mark.usefixtures("large")
    @pytest.mark.parametrize(
        ("answer", "code"),
        [
            pytest.param("drop", 5, id="no network"),
            pytest.param((503, "SlowDown"), 5, id="throttled for good"),
            pytest.param((400, "ExpiredToken"), 4, id="expired"),
            pytest.param((403, "InvalidAccessKeyId"), 4, id="unknown credentials"),
        ],
    )
    def test_what_never_ends(
        self, bucket: Bucket, provwatch: Run, monkeypatch: pytest.MonkeyPatch, answer: Any, code: int
    ) -> None:
        """One sentence; nothing is said of entries that nobody could read."""
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
        bucket.proxy.fault = only("GetObject", answer)
        said = provwatch("verify", NAME, "--registry", bucket.registry, "--json")
        assert (said.code, said.out, said.err.count("\n")) == (code, "", 1)

    @pytest.mark.parametrize(
        ("answer", "code"), [((403, "AccessDenied"), 4), ((404, "NoSuchBucket"), 5), ("drop", 5)], ids=str
    )
    def test_the_registry_cannot_be_read(
        self, bucket: Bucket, package: Run, provwatch: Run, monkeypatch: pytest.MonkeyPatch, answer: Any, code: int
    ) -> None:
        """The exit code says why."""
        package()
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
        bucket.proxy.fault = lambda _request: answer
        said = provwatch("verify", NAME, "--registry", bucket.registry, "--json")
        assert (said.code, said.out, said.err.count("\n")) == (code, "", 1)

    def test_a_killed_one_goes_on(self, run: Path, bucket: Bucket, package: Run, verify: Run) -> None:
        """What was right is not read again."""
        for number in range(60):
            (run / f"{number:02}").write_text(str(number))
        package()

        def slowly(request: Request) -> None:
            if request.key.startswith(NAME):
                time.sleep(0.6)

        bucket.proxy.fault = slowly
        process = start_provwatch("verify", NAME, "--registry", bucket.registry)
        until = time.monotonic() + 30
        while time.monotonic() < until and len(bucket.proxy.requests) < 50:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        bucket.proxy.fault = lambda _request: None
        time.sleep(0.7)
        bucket.proxy.requests.clear()
        found = verify()
        assert (found["resumed"] > 0, found["resumed"] + found["checked"], found["wrong"]) == (True, 63, [])
        assert sum(request.key.startswith(NAME) for request in bucket.proxy.requests) == found["checked"]

    def test_what_was_overwritten_is_read_again(self, bucket: Bucket, package: Run, verify: Run) -> None:
        """Without versions, another ETag is another object."""
        bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Suspended"})
        package()
        bucket.proxy.fault = only("GetObject", "drop", name="é.txt")
        verify_again = start_provwatch("verify", NAME, "--registry", bucket.registry)
        assert verify_again.wait(60) == 5
        verify_again.communicate()
        bucket.proxy.fault = lambda _request: None
        bucket.put(f"{NAME}/a.txt", b"A.TXT")
        found = verify(code=1)
        assert (codes(found), found["resumed"]) == ({"a.txt": "wrong-bytes"}, 1)


class TestDiff:
    """Revisions and folders side by side."""

    def test_a_folder_and_its_package(self, run: Path, bucket: Bucket, package: Run, provwatch: Run) -> None:
        """No object is read for that."""
        package()
        write_tree(run, {"new": "n", "a.txt": "A.TXT"})
        bucket.proxy.requests.clear()
        found = provwatch("diff", run, "--registry", bucket.registry, "--json").json
        assert [one["logical_key"] for one in (*found["added"], *found["changed"])] == ["new", "a.txt"]
        assert all(request.key.startswith(".quilt/") for request in bucket.proxy.requests)
        plan = provwatch("package", run, "--registry", bucket.registry, "--no-summary", "--dry-run", "--json").json[
            "plan"
        ]
        assert plan["diff"]["added"] == ["new"]

    def test_two_revisions(self, run: Path, bucket: Bucket, package: Run, provwatch: Run) -> None:
        """By the beginning of a top hash, and by a URI that names its own registry."""
        old = package()
        write_tree(run, {"new": "n"})
        package()
        for word in (f"{NAME}@{old[:6]}", f"quilt+{bucket.registry}#package={NAME}@{old}"):
            found = provwatch("diff", word, NAME, "--registry", bucket.registry, "--json").json
            assert (found["a"], found["added"]) == (f"{NAME}@{old}", [{"logical_key": "new", "size": 1}])

    def test_no_such_revision(self, bucket: Bucket, package: Run, provwatch: Run) -> None:
        """Said as for local registries."""
        package()
        for word, words in ((f"{NAME}@000000", "no revision 000000"), ("lab/other", "no package lab/other")):
            said = provwatch("verify", word, "--registry", bucket.registry)
            assert (said.code, words in said.err) == (5, True)
