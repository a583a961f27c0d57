"""A local folder becomes a package in a bucket: what goes up, what stays, and what others see of it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import quilt3

from conftest import Finished
from provwatch.publish import s3
from provwatch.publish.fingerprint import RACY_NS
from provwatch.publish.s3 import POINTER_MARK
from publish.processes import start_provwatch
from s3.conftest import Bucket
from s3.servers import Request

Run = Callable[..., Finished]
NAME = "lab/run"
LATEST = f".quilt/named_packages/{NAME}/latest"


@pytest.fixture
def package(provwatch: Run, bucket: Bucket) -> Callable[..., dict[str, Any]]:
    """Package into the bucket, without generated files, and return the outcome."""

    def call(*arguments: object, code: int = 0) -> dict[str, Any]:
        finished = provwatch("package", "--registry", bucket.registry, "--no-summary", "--json", *arguments)
        assert finished.code == code, finished
        assert "Traceback" not in finished.err
        outcome: dict[str, Any] = finished.json
        return outcome

    return call


Package = Callable[..., dict[str, Any]]


def content(bucket: Bucket, name: str = NAME) -> dict[str, bytes]:
    """Return the bytes of every entry that quilt3 finds."""
    found = {}
    for key, entry in quilt3.Package.browse(name, registry=bucket.registry).walk():
        place = entry.physical_key
        version = {"VersionId": place.version_id} if place.version_id else {}
        found[key] = bucket.client.get_object(Bucket=place.bucket, Key=place.path, **version)["Body"].read()
    return found


def settle(folder: Path) -> None:
    """Wait until files are old enough for their ages to tell whether they change again."""
    stamps = [status.st_ctime_ns for status in (path.stat() for path in folder.rglob("*"))]
    time.sleep(max(0.0, (max(stamps) + RACY_NS + 100_000_000 - time.time_ns()) / 1e9))


class TestUnchanged:
    """Nothing happens when nothing changed."""

    def test_again(self, run: Path, bucket: Bucket, package: Package) -> None:
        """A duplicate writes nothing and asks little."""
        first = package(run)
        bucket.proxy.requests.clear()
        again = package(run)
        assert (again["outcome"], again["top_hash"]) == ("duplicate", first["top_hash"])
        counts = bucket.proxy.counts()
        assert sum(counts.values()) <= 10
        assert not counts.keys() & {"PutObject", "CreateUpload"}

    def test_after_losing_the_ledger(
        self, run: Path, bucket: Bucket, package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What the package holds is read from the package."""
        first = package(run)
        monkeypatch.setenv("PROVWATCH_HOME", str(tmp_path / "new home"))
        assert package(run)["top_hash"] == first["top_hash"]
        assert len(bucket.pointers(NAME)) == 1

    def test_what_quilt3_pushed(self, run: Path, bucket: Bucket, package: Package) -> None:
        """A package of the same files that somebody pushed with quilt3 is a duplicate."""
        pushed = quilt3.Package().set_dir("/", str(run)).push(NAME, registry=bucket.registry, force=True)
        assert (package(run)["outcome"], package(run)["top_hash"]) == ("duplicate", pushed.top_hash)

    def test_a_dry_run(self, run: Path, bucket: Bucket, package: Package) -> None:
        """It says how much would go up, and writes nothing."""
        plan = package(run, "--dry-run")["plan"]
        size = sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
        assert (plan["would"], plan["read_bytes"], plan["store_bytes"]) == ("push", size, size)
        assert bucket.keys() == []


class TestWhatGoesUp:
    """Only what the head does not hold."""

    def test_first_time(self, run: Path, bucket: Bucket, package: Package) -> None:
        """Objects lie where quilt3's push puts them, with their versions, and quilt3 reads and verifies them."""
        outcome = package(run, "--metadata", '{"project": "atlas"}')
        found = quilt3.Package.browse(NAME, registry=bucket.registry)
        assert found.top_hash == outcome["top_hash"]
        assert found.meta["project"] == "atlas"
        assert {key: data.decode() for key, data in content(bucket).items()} == {key: key for key, _ in found.walk()}
        for key, entry in found.walk():
            assert entry.physical_key.path == f"{NAME}/{key}"
            assert entry.physical_key.version_id
        assert outcome["uri"] == f"quilt+{bucket.registry}#package={NAME}@{outcome['top_hash']}"

    def test_quilt3_installs_it(self, run: Path, bucket: Bucket, package: Package, tmp_path: Path) -> None:
        """What was pushed is what somebody else gets."""
        package(run)
        quilt3.Package.install(NAME, registry=bucket.registry, dest=str(tmp_path / "got"))
        assert quilt3.Package.browse(NAME, registry=bucket.registry).verify(str(tmp_path / "got"))

    def test_one_file_changed(self, run: Path, bucket: Bucket, package: Package) -> None:
        """One object, the manifest and the two pointers are written; the others keep their versions."""
        package(run)
        before = dict(quilt3.Package.browse(NAME, registry=bucket.registry).walk())
        (run / "a.txt").write_text("changed")
        bucket.proxy.requests.clear()
        package(run)
        assert bucket.proxy.put()[0] == f"{NAME}/a.txt"
        assert bucket.proxy.counts()["PutObject"] == 4
        after = dict(quilt3.Package.browse(NAME, registry=bucket.registry).walk())
        assert after["b.txt"].physical_key == before["b.txt"].physical_key
        assert content(bucket)["a.txt"] == b"changed"

    def test_a_renamed_file(self, run: Path, bucket: Bucket, package: Package) -> None:
        """Content that the head holds under another name is not uploaded again."""
        package(run)
        (run / "a.txt").rename(run / "z.txt")
        package(run)
        assert bucket.keys("lab/run/z.txt") == []
        assert content(bucket)["z.txt"] == b"a.txt"

    def test_a_version_that_was_deleted(self, run: Path, bucket: Bucket, package: Package) -> None:
        """A new revision does not refer to versions that are gone, as rules of the bucket may have it."""
        package(run)
        for version in bucket.client.list_object_versions(Bucket=bucket.name, Prefix=f"{NAME}/a.txt")["Versions"]:
            bucket.client.delete_object(Bucket=bucket.name, Key=version["Key"], VersionId=version["VersionId"])
        (run / "b.txt").write_text("changed")
        package(run)
        assert content(bucket)["a.txt"] == b"a.txt"

    def test_versions_that_may_not_be_listed(self, run: Path, bucket: Bucket, package: Package) -> None:
        """Then they are believed to be there."""
        package(run)
        (run / "b.txt").write_text("changed")
        bucket.proxy.fault = lambda request: (403, "AccessDenied") if request.operation == "ListVersions" else None
        assert package(run)["outcome"] == "pushed"

    def test_hashes_of_old_packages(self, run: Path, bucket: Bucket, package: Package) -> None:
        """What quilt3 pushed years ago, with plain SHA-256 hashes, is not uploaded again."""
        pushed = quilt3.Package().set_dir("/", str(run)).push(NAME, registry=bucket.registry, force=True)
        for key, entry in pushed.walk():
            entry.hash = {"type": "SHA256", "value": hashlib.sha256((run / key).read_bytes()).hexdigest()}
        pushed.build(NAME, registry=bucket.registry)
        bucket.proxy.requests.clear()
        assert package(run)["outcome"] == "pushed"
        assert [key for key in bucket.proxy.put() if key.startswith(NAME)] == []
        assert content(bucket)["a.txt"] == b"a.txt"

    def test_the_crate_goes_last(self, demo: Path, bucket: Bucket, package: Package) -> None:
        """Whoever sees the crate in the bucket finds the rest."""
        package(demo, "--name", NAME)
        objects = [key for key in bucket.proxy.put() if not key.startswith(".quilt/")]
        assert objects[-1] == f"{NAME}/ro-crate-metadata.json"
        assert len(objects) == 7

    def test_redacted_bytes(self, demo: Path, bucket: Bucket, package: Package) -> None:
        """They lie out of the way by their content, and no object holds the secret."""
        secret = "hunter2" * 2
        (demo / "params.json").write_text(json.dumps({"api_token": secret}))
        package(demo, "--name", NAME)
        entry = quilt3.Package.browse(NAME, registry=bucket.registry)["params.json"]
        assert entry.physical_key.path.startswith(".provwatch/objects/")
        assert not any(secret.encode() in bucket.get(key) for key in bucket.keys(""))

    def test_secrets_that_only_a_parameter_file_gives_away(
        self, demo: Path, bucket: Bucket, provwatch: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """They are in no metadata, message or report either; and the package is still a duplicate of itself."""
        secret = "Zx8hunter2Q" * 2
        (demo / "params.json").write_text(json.dumps({"api_token": secret}))
        path = demo / "ro-crate-metadata.json"
        crate = json.loads(path.read_text())
        next(entity for entity in crate["@graph"] if entity["@id"] == "./")["description"] = f"with {secret}"
        path.write_text(json.dumps(crate))
        given = ("--message", f"with {secret}", "--metadata", json.dumps({"note": secret}))
        command = ("package", demo, "--registry", bucket.registry, "--name", NAME, "--json", *given)
        finished = provwatch(*command)
        assert finished.json["outcome"] == "pushed"
        assert secret not in finished.out + finished.err
        assert [key for key in bucket.keys("") if secret.encode() in bucket.get(key)] == []
        monkeypatch.setenv("PROVWATCH_HOME", str(tmp_path / "new home"))
        assert provwatch(*command).json["outcome"] == "duplicate"

    def test_chosen_files(self, run: Path, bucket: Bucket, package: Package) -> None:
        """--include and --exclude choose by pattern."""
        package(run, "--include", "*.txt", "--exclude", "sub/*")
        assert sorted(content(bucket)) == ["a.txt", "b.txt"]

    def test_too_much(self, run: Path, bucket: Bucket, package: Package) -> None:
        """More than --max-size is refused before anything is read."""
        outcome = package(run, "--max-size", "5", code=1)
        assert outcome["code"] == "too-large"
        assert bucket.keys() == []

    def test_an_estimate(self, run: Path, bucket: Bucket, provwatch: Run) -> None:
        """How much there is to do, and how long it will take, is said before it begins."""
        said = provwatch("package", run, "--registry", bucket.registry, "--bwlimit", "1kB").err
        assert "to hash" in said
        assert "to upload" in said
        assert "at 1.0 kB/s" in said

    def test_asked_to_stop_while_waiting_for_bandwidth(self, run: Path, bucket: Bucket) -> None:
        """It stops at once, however long the wait would be."""
        for name in "xy":
            (run / name).write_bytes(os.urandom(1_000_000))
        process = start_provwatch("package", run, "--registry", bucket.registry, "--bwlimit", "1kB", "--json")
        while not bucket.proxy.put():
            time.sleep(0.01)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=15)
        assert (process.returncode, json.loads(out)["code"]) == (0, "interrupted"), err


class TestUnversioned:
    """Buckets without versions work, and what is lost is said."""

    @pytest.fixture
    def bucket(self, bucket: Bucket) -> Bucket:
        """Suspend versioning."""
        plain = Bucket(f"plain-{bucket.name}", bucket.proxy, bucket.client)
        bucket.client.create_bucket(Bucket=plain.name)
        return plain

    def test_it_works(self, run: Path, bucket: Bucket, package: Package) -> None:
        """Physical keys have no version, and a warning says that older revisions lose their bytes."""
        assert "unversioned-bucket" in package(run)["warnings"]
        assert package(run)["outcome"] == "duplicate"
        (run / "a.txt").write_text("changed")
        package(run)
        assert content(bucket)["a.txt"] == b"changed"

    def test_swapped_files(self, run: Path, bucket: Bucket, package: Package) -> None:
        """Nothing refers to a key whose bytes are being replaced."""
        package(run)
        (run / "a.txt").rename(run / "t")
        (run / "b.txt").rename(run / "a.txt")
        (run / "t").rename(run / "b.txt")
        package(run)
        assert (content(bucket)["a.txt"], content(bucket)["b.txt"]) == (b"b.txt", b"a.txt")

    def test_a_removed_object(self, run: Path, bucket: Bucket, package: Package) -> None:
        """An object that somebody removed is uploaded again, also where no file is fresh and the ledger knows them."""
        settle(run)
        package(run)
        bucket.client.delete_object(Bucket=bucket.name, Key=f"{NAME}/a.txt")
        assert package(run)["outcome"] == "pushed"
        assert content(bucket)["a.txt"] == b"a.txt"

    def test_an_upload_that_was_interrupted_and_taken_back(
        self, run: Path, bucket: Bucket, package: Package, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What it overwrote is uploaded again, though names, sizes and the package say that nothing changed."""
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        settle(run)
        package(run)
        time.sleep(1.1)
        (run / "a.txt").write_text("other")

        def refuse(request: Request) -> Any:
            manifest = request.operation == "PutObject" and request.key.startswith(".quilt/packages/")
            return (403, "AccessDenied") if manifest else None

        bucket.proxy.fault = refuse
        package(run, code=4)
        assert bucket.get(f"{NAME}/a.txt") == b"other"
        bucket.proxy.fault = lambda _request: None
        (run / "a.txt").write_text("a.txt")
        package(run)
        assert content(bucket)["a.txt"] == b"a.txt"


class TestHeads:
    """Compare and set: no revision is lost, doubled or half there."""

    def test_a_b_a(self, run: Path, bucket: Bucket, package: Package) -> None:
        """Three contents in turn are three revisions, in order."""
        hashes = []
        for text in ("A", "B", "A"):
            (run / "a.txt").write_text(text)
            hashes.append(package(run)["top_hash"])
        pointers = bucket.pointers(NAME)
        assert [pointers[number] for number in sorted(pointers)] == hashes
        assert bucket.get(LATEST).decode() == hashes[2] == hashes[0]

    def test_a_revision_of_somebody_else_is_no_conflict(self, run: Path, bucket: Bucket, package: Package) -> None:
        """It is compared with, and ours comes after it."""
        package(run)
        other = quilt3.Package().set("x", str(run / "a.txt")).push(NAME, registry=bucket.registry, force=True)
        time.sleep(1.1 - time.time() % 1)
        ours = package(run)
        assert ours["outcome"] == "pushed"
        pointers = bucket.pointers(NAME)
        assert [pointers[number] for number in sorted(pointers)][-2:] == [other.top_hash, ours["top_hash"]]

    def test_a_lost_race(self, run: Path, bucket: Bucket, package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who finds latest changed in the last moment compares again; both revisions are there."""
        made: list[str] = []

        def meddle(name: str) -> None:
            if name == "after_manifest" and not made:
                made.append("0" * 64)
                bucket.put(f".quilt/packages/{made[0]}", b'{"version": "v0", "message": null}\n')
                bucket.put(LATEST, made[0].encode())

        monkeypatch.setattr(s3, "reach", meddle)
        outcome = package(run)
        assert (outcome["outcome"], made) == ("pushed", ["0" * 64])
        assert bucket.versions(LATEST).count(LATEST) == 2
        assert bucket.get(LATEST).decode() == outcome["top_hash"]
        assert list(bucket.pointers(NAME).values()) == [outcome["top_hash"]]

    def test_a_race_lost_each_time(
        self, run: Path, bucket: Bucket, package: Package, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After three tries it is an error, and ours is nowhere to be seen."""
        turns: list[str] = []

        def meddle(name: str) -> None:
            if name == "after_manifest":
                turns.append(f"{len(turns):064d}")
                bucket.put(f".quilt/packages/{turns[-1]}", b'{"version": "v0", "message": null}\n')
                bucket.put(LATEST, turns[-1].encode())

        monkeypatch.setattr(s3, "reach", meddle)
        assert package(run, code=1)["code"] == "head-moved"
        assert len(turns) == 3
        assert bucket.pointers(NAME) == {}

    def test_a_pointer_that_a_crash_left_out(
        self, run: Path, bucket: Bucket, package: Package, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The next run writes the very one that is missing, though it has nothing else to do."""

        def crash(name: str) -> None:
            if name == "after_latest":
                raise KeyboardInterrupt

        with monkeypatch.context() as crashing:
            crashing.setattr(s3, "reach", crash)
            package(run)
        number = int(bucket.client.head_object(Bucket=bucket.name, Key=LATEST)["Metadata"][POINTER_MARK])
        assert bucket.pointers(NAME) == {}
        outcome = package(run)
        assert outcome["outcome"] == "duplicate"
        assert bucket.pointers(NAME) == {number: outcome["top_hash"]}

    def test_a_number_that_another_took(
        self, run: Path, bucket: Bucket, package: Package, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The next one is taken, and nobody's pointer is overwritten."""
        taken: list[int] = []

        def meddle(name: str) -> None:
            if name == "after_latest":
                marks = bucket.client.head_object(Bucket=bucket.name, Key=LATEST)["Metadata"]
                taken.append(int(marks[POINTER_MARK]))
                bucket.put(f".quilt/named_packages/{NAME}/{taken[0]}", b"f" * 64)

        monkeypatch.setattr(s3, "reach", meddle)
        outcome = package(run)
        assert bucket.pointers(NAME) == {taken[0]: "f" * 64, taken[0] + 1: outcome["top_hash"]}
        monkeypatch.undo()

    def test_an_empty_latest(self, run: Path, bucket: Bucket, package: Package) -> None:
        """It is read as the newest pointer, and replaced by the next revision."""
        first = package(run)
        bucket.put(LATEST, b"")
        assert package(run)["top_hash"] == first["top_hash"]
        (run / "a.txt").write_text("changed")
        second = package(run)["top_hash"]
        assert second != first["top_hash"]
        assert bucket.get(LATEST).decode() == second

    def test_a_foreign_latest(self, run: Path, bucket: Bucket, package: Package) -> None:
        """Somebody else's object is never replaced."""
        bucket.put(LATEST, b"hello")
        assert package(run, code=1)["code"] == "foreign-latest"
        assert bucket.get(LATEST) == b"hello"

    def test_a_missing_manifest(self, run: Path, bucket: Bucket, package: Package) -> None:
        """A head that cannot be read is an error."""
        bucket.put(LATEST, b"0" * 64)
        assert package(run, code=1)["code"] == "broken-head"

    def test_a_pointer_from_a_clock_that_ran_ahead(self, run: Path, bucket: Bucket, package: Package) -> None:
        """Ours comes right after it."""
        future = int(time.time()) + 100_000
        bucket.put(f".quilt/named_packages/{NAME}/{future}", b"f" * 64)
        outcome = package(run)
        assert bucket.pointers(NAME)[future + 1] == outcome["top_hash"]

    @pytest.mark.parametrize("same", [False, True], ids=["two contents", "one content"])
    def test_two_processes_at_once(self, run: Path, bucket: Bucket, tmp_path: Path, *, same: bool) -> None:
        """Two of them give two revisions in order, or one and a duplicate; never a lost or a doubled one."""
        other = run if same else tmp_path / "other"
        other.mkdir(exist_ok=True)
        (other / "x").write_text("x")
        options = ("--registry", bucket.registry, "--name", NAME, "--take-over", "--json", "--no-summary")
        both = [start_provwatch("package", folder, *options) for folder in (run, other)]
        ended = [process.communicate(timeout=60) for process in both]
        outcomes = [json.loads(out) for out, _ in ended]
        assert [process.returncode for process in both] == [0, 0], ended
        words = sorted(outcome["outcome"] for outcome in outcomes)
        assert words == (["duplicate", "pushed"] if same else ["pushed", "pushed"])
        pointers = bucket.pointers(NAME)
        made = sorted(outcome["top_hash"] for outcome in outcomes if outcome["outcome"] == "pushed")
        assert sorted(pointers.values()) == made
        assert bucket.get(LATEST).decode() == pointers[max(pointers)]

    def test_without_conditional_writes(self, run: Path, bucket: Bucket, package: Package) -> None:
        """A server that does not know them is served all the same, with a warning."""

        def refuse_once(request: Request) -> Any:
            tries = sum(one == request for one in bucket.proxy.requests)
            return (501, "NotImplemented") if request.key.startswith(LATEST[:-6]) and tries == 1 else None

        bucket.proxy.fault = lambda request: refuse_once(request) if request.operation == "PutObject" else None
        outcome = package(run)
        assert "no-conditional-writes" in outcome["warnings"]
        assert bucket.get(LATEST).decode() == outcome["top_hash"]

    def test_streamed_manifests(
        self, run: Path, bucket: Bucket, package: Package, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A package too large for quilt3's memory is written by our own writer, and is the same package."""
        expected = package(run, "--name", "lab/other")["top_hash"]
        monkeypatch.setattr(s3, "STREAMED_ENTRIES", 1)
        monkeypatch.setattr(s3, "build_in_bucket", None)
        outcome = package(run, "--message", "Files of run")
        assert sorted(content(bucket)) == sorted(content(bucket, "lab/other"))
        assert len(outcome["top_hash"]) == len(expected)
        assert quilt3.Package.browse(NAME, registry=bucket.registry).top_hash == outcome["top_hash"]
