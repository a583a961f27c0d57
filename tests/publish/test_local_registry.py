"""A registry in a local folder: readable at every moment, mended after crashes, and never confused by two at once."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import quilt3

from provwatch.errors import CredentialsError, PackagingError, ProvwatchError, UnreachableError
from provwatch.publish import files, local
from provwatch.publish.entries import Entry
from provwatch.publish.hashing import digest_bytes
from provwatch.publish.local import LocalRegistry
from provwatch.publish.local_storage import in_place_sources
from provwatch.publish.manifest import HeadEntry
from provwatch.publish.registry import HeadMovedError, Revision
from publish.processes import AS_ROOT, run_script, surroundings
from publish.registries import browse, check_readable, content, revisions
from publish.trees import footprint, stored_bytes, write_tree

NAME = "lab/run"
NONE = "0" * 64


def at(folder: Path) -> LocalRegistry:
    """Return the registry in a folder."""
    return LocalRegistry(folder.as_uri())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder with some files."""
    return write_tree(tmp_path / "data", {"a": "A", "b/c": "C"})


def revision(data: Path, *, package: str = NAME, message: str = "m", more: int = 0) -> Revision:
    """Return a revision of the files in a folder."""
    entries = [
        Entry(key, (data / key).as_uri(), (data / key).stat().st_size, digest_bytes((data / key).read_bytes()).quilt)
        for key in ("a", "b/c")
    ]
    entries += [Entry(f"many/{number:06}", (data / "a").as_uri(), 1, entries[0].hash) for number in range(more)]
    return Revision(package, entries, {"schema": "1"}, message)


def pointers(folder: Path, package: str = NAME) -> dict[str, str]:
    """Return a package's pointers with what they hold."""
    found = (folder / ".quilt/named_packages" / package).iterdir()
    return {path.name: path.read_text() for path in found}


class TestHead:
    """What a package holds now, read without quilt3."""

    def test_no_registry(self, registry: Path) -> None:
        """Looking into a registry that is not there finds nothing and makes nothing."""
        assert at(registry).head_hash(NAME) == ""
        assert at(registry).head(NAME) is None
        assert not at(registry).mend(NAME)
        assert not at(registry).has_head(NAME, NONE)
        assert not registry.exists()

    def test_another_package(self, registry: Path, data: Path) -> None:
        """A package's head is not another's."""
        at(registry).publish(revision(data), expected="")
        assert at(registry).head("lab/other") is None
        assert at(registry).head("lab/ru") is None

    def test_what_was_published(self, registry: Path, data: Path) -> None:
        """The head is the revision, and quilt3 sees the same."""
        top_hash = at(registry).publish(revision(data), expected="")
        head = at(registry).head(NAME)
        assert head is not None
        assert (head.top_hash, head.metadata, head.header["message"]) == (top_hash, {"schema": "1"}, "m")
        assert [entry.logical_key for entry in head.entries] == ["a", "b/c"]
        assert browse(registry, NAME).top_hash == top_hash
        assert content(registry, NAME) == {"a": b"A", "b/c": b"C"}
        assert at(registry).has_head(NAME, top_hash)

    def test_what_quilt3_published(self, registry: Path, data: Path) -> None:
        """A head that quilt3 made is as good."""
        top_hash = quilt3.Package().set_dir("/", str(data)).build(NAME, registry=str(registry))
        head = at(registry).head(NAME)
        assert head is not None
        assert head.top_hash == top_hash
        assert not at(registry).mend(NAME)

    @pytest.mark.parametrize("written", ["", "\n"])
    def test_an_empty_latest(self, registry: Path, data: Path, written: str) -> None:
        """A crash of other tools leaves it so: the newest pointer counts."""
        first = at(registry).publish(revision(data), expected="")
        second = at(registry).publish(revision(data, message="2"), expected=first)
        (registry / ".quilt/named_packages" / NAME / "latest").write_text(written)
        assert at(registry).head_hash(NAME) == second
        assert at(registry).mend(NAME)
        assert browse(registry, NAME).top_hash == second
        check_readable(registry)

    def test_an_empty_latest_of_nothing(self, registry: Path) -> None:
        """Without any pointer there is no head, and the next revision is the first."""
        write_tree(registry, {f".quilt/named_packages/{NAME}/latest": ""})
        assert at(registry).head(NAME) is None
        assert not at(registry).mend(NAME)

    @pytest.mark.parametrize(
        "written",
        [
            pytest.param("main", id="a word"),
            pytest.param("x" * 64, id="64 other characters"),
            pytest.param("A" * 64, id="capitals"),
            pytest.param(f"{'0' * 63}/", id="a path"),
            pytest.param("0" * 63, id="one too few"),
            pytest.param("0" * 65, id="one too many"),
            pytest.param("é" * 64, id="no ASCII"),
            pytest.param("\0" * 64, id="zeros, as a crash of the disk leaves them"),
        ],
    )
    def test_a_foreign_latest(self, registry: Path, data: Path, written: str) -> None:
        """What is no top hash is left for a person to look at, and nothing is published over it."""
        write_tree(registry, {f".quilt/named_packages/{NAME}/latest": written})
        before = footprint(registry / ".quilt")
        for act in (
            lambda: at(registry).head(NAME),
            lambda: at(registry).mend(NAME),
            lambda: at(registry).publish(revision(data), expected=""),
        ):
            with pytest.raises(PackagingError, match="latest: this is no top hash") as caught:
                act()
            assert caught.value.code == "foreign-latest"
        assert footprint(registry / ".quilt") == before

    @pytest.mark.parametrize("written", ["../../../secret", "main", "\xff"])
    def test_a_foreign_pointer(self, registry: Path, written: str) -> None:
        """It is passed over; nothing outside the registry is ever read."""
        folder = write_tree(registry / ".quilt/named_packages" / NAME, {"latest": ""})
        (folder / "1700000000").write_bytes(written.encode("latin-1"))
        assert at(registry).head(NAME) is None

    def test_a_head_without_its_manifest(self, registry: Path, data: Path) -> None:
        """It is an error that names the file and says what to do."""
        top_hash = at(registry).publish(revision(data), expected="")
        (registry / ".quilt/packages" / top_hash).unlink()
        with pytest.raises(PackagingError, match=f"{top_hash}: the latest revision has no manifest") as caught:
            at(registry).head(NAME)
        assert caught.value.code == "broken-head"
        assert not at(registry).has_head(NAME, top_hash)

    @pytest.mark.parametrize("place", ["latest", "manifest"])
    def test_a_folder_in_its_place(self, registry: Path, data: Path, place: str) -> None:
        """What cannot be read is told as that."""
        top_hash = at(registry).publish(revision(data), expected="")
        path = registry / (
            f".quilt/named_packages/{NAME}/latest" if place == "latest" else f".quilt/packages/{top_hash}"
        )
        path.unlink()
        path.mkdir()
        with pytest.raises(UnreachableError, match="cannot be read"):
            at(registry).head(NAME)


class TestPublish:
    """New revisions."""

    @pytest.mark.parametrize("name", ["a b", "x#1", "x?y=1", "100%41", "é", "中", "new\nline", "a:b"])
    def test_registries_with_odd_names(self, tmp_path: Path, data: Path, name: str) -> None:
        """The registry is the folder that was named, and no other is made."""
        folder = tmp_path / "places" / name
        top_hash = at(folder).publish(revision(data), expected="")
        assert [path.name for path in (tmp_path / "places").iterdir()] == [name]
        assert at(folder).head_hash(NAME) == top_hash
        check_readable(folder)

    def test_nothing_is_left_aside(self, registry: Path, data: Path) -> None:
        """After a revision there are its manifest and pointers, and an empty workshop."""
        top_hash = at(registry).publish(revision(data), expected="")
        files = {str(path.relative_to(registry)) for path in registry.rglob("*") if path.is_file()}
        (number,) = pointers(registry).keys() - {"latest"}
        assert files == {
            f".quilt/packages/{top_hash}",
            f".quilt/named_packages/{NAME}/latest",
            f".quilt/named_packages/{NAME}/{number}",
            ".provwatch/lock",
        }
        assert len(number) == 10
        assert not any((registry / ".provwatch/staging").iterdir())

    def test_revisions_are_ordered(self, registry: Path, data: Path) -> None:
        """Two never share a second, however fast they come, and their order is that of their making."""
        made = [""]
        for number in range(3):
            made.append(at(registry).publish(revision(data, message=str(number)), expected=made[-1]))
        assert revisions(registry, NAME) == made[1:]
        assert browse(registry, NAME).top_hash == made[-1]

    def test_readers_never_notice(self, registry: Path, data: Path) -> None:
        """While revisions are made, whoever reads finds a whole package at every moment."""
        made = [at(registry).publish(revision(data), expected="")]
        done = threading.Event()
        troubles: list[BaseException] = []

        def read() -> None:
            while not done.is_set():
                try:
                    check_readable(registry)
                except BaseException as error:  # noqa: BLE001 - whatever it is, it is what this test looks for
                    troubles.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        for number in range(2):
            made.append(at(registry).publish(revision(data, message=str(number), more=50), expected=made[-1]))
        done.set()
        reader.join(10)
        assert troubles == []
        assert revisions(registry, NAME) == made

    def test_a_clock_that_ran_ahead(self, registry: Path, data: Path) -> None:
        """After a pointer from the future the next one comes right after it, and mending finds nothing to do."""
        first = at(registry).publish(revision(data), expected="")
        future = int(time.time()) + 100_000
        (registry / ".quilt/named_packages" / NAME / str(future)).write_text(first)
        second = at(registry).publish(revision(data, message="2"), expected=first)
        assert pointers(registry)[str(future + 1)] == second
        assert not at(registry).mend(NAME)
        assert revisions(registry, NAME)[-1] == second

    def test_a_pointer_that_is_none(self, registry: Path, data: Path) -> None:
        """Files that are no pointers do not disturb."""
        write_tree(registry / ".quilt/named_packages" / NAME, {"notes": "x", "007": "x", "9" * 40: "x", "²": "x"})
        top_hash = at(registry).publish(revision(data), expected="")
        assert at(registry).head_hash(NAME) == top_hash
        assert not at(registry).mend(NAME)

    @pytest.mark.parametrize("expected", ["", NONE], ids=["none expected", "another expected"])
    def test_a_head_that_moved(self, registry: Path, data: Path, expected: str) -> None:
        """A revision that was compared with another head is not made, and nothing changes."""
        at(registry).publish(revision(data), expected="")
        before = footprint(registry / ".quilt")
        with pytest.raises(HeadMovedError, match="lab/run: another revision was made meanwhile"):
            at(registry).publish(revision(data, message="2"), expected=expected)
        assert footprint(registry / ".quilt") == before

    def test_a_registry_that_is_a_file(self, registry: Path, data: Path) -> None:
        """It cannot be written, and stays what it is."""
        registry.write_text("x")
        with pytest.raises(ProvwatchError, match="cannot be written") as caught:
            at(registry).publish(revision(data), expected="")
        assert caught.value.exit_code == 5
        assert registry.read_text() == "x"

    def test_what_quilt3_refuses_leaves_nothing(self, registry: Path, data: Path) -> None:
        """A package that cannot be built is not half there."""
        with pytest.raises(PackagingError, match="quilt3 refused"):
            at(registry).publish(revision(data, package="no name"), expected="")
        assert stored_bytes(registry) == {}


class TestStreaming:
    """Packages too large for quilt3's memory are written by our own writer."""

    @pytest.mark.parametrize("count", [0, 1_000])
    def test_the_same_package(self, tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
        """Manifest and top hash do not tell who wrote them."""
        one = revision(data, more=count)
        theirs = at(tmp_path / "theirs").publish(one, expected="")
        monkeypatch.setattr(local, "STREAMED_ENTRIES", 1)
        monkeypatch.setattr(local, "build_in_folder", None)
        ours = at(tmp_path / "ours").publish(one, expected="")
        assert ours == theirs
        manifests = [(tmp_path / side / ".quilt/packages" / ours).read_bytes() for side in ("ours", "theirs")]
        assert manifests[0] == manifests[1]
        check_readable(tmp_path / "ours")

    def test_too_large_a_record(self, registry: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What Quilt would refuse is refused here, and nothing is left."""
        monkeypatch.setattr(local, "STREAMED_ENTRIES", 1)
        one = Revision(NAME, revision(data).entries, {"x": "y" * 1_000_000}, "m")
        with pytest.raises(PackagingError, match="Quilt takes"):
            at(registry).publish(one, expected="")
        assert stored_bytes(registry) == {}

    @pytest.mark.slow
    def test_a_hundred_thousand_and_one(self, registry: Path, data: Path) -> None:
        """At the real limit quilt3 can read the result."""
        one = revision(data, more=100_000)
        top_hash = at(registry).publish(one, expected="")
        assert browse(registry, NAME).top_hash == top_hash
        assert len(list(browse(registry, NAME).walk())) == 100_002


class TestMending:
    """What a crash leaves between two steps is completed."""

    def test_nothing_to_mend(self, registry: Path, data: Path) -> None:
        """A whole package is not touched, not even its lock."""
        at(registry).publish(revision(data), expected="")
        before = footprint(registry)
        assert not at(registry).mend(NAME)
        assert footprint(registry) == before

    def test_a_missing_pointer(self, registry: Path, data: Path) -> None:
        """A revision that is latest and has no pointer gets one, after all others."""
        first = at(registry).publish(revision(data), expected="")
        second = at(registry).publish(revision(data, message="2"), expected=first)
        newest = max(pointers(registry).keys() - {"latest"})
        (registry / ".quilt/named_packages" / NAME / newest).unlink()
        assert at(registry).mend(NAME)
        assert revisions(registry, NAME) == [first, second]
        assert not at(registry).mend(NAME)

    def test_back_to_the_first(self, registry: Path, data: Path) -> None:
        """A third revision that equals the first has a pointer of its own, also after a crash."""
        first = at(registry).publish(revision(data), expected="")
        second = at(registry).publish(revision(data, message="2"), expected=first)
        assert at(registry).publish(revision(data), expected=second) == first
        assert revisions(registry, NAME) == [first, second, first]
        newest = max(pointers(registry).keys() - {"latest"})
        (registry / ".quilt/named_packages" / NAME / newest).unlink()
        assert at(registry).mend(NAME)
        assert revisions(registry, NAME) == [first, second, first]

    def test_an_empty_pointer(self, registry: Path, data: Path) -> None:
        """Half a pointer of another tool's crash counts as none."""
        top_hash = at(registry).publish(revision(data), expected="")
        (number,) = pointers(registry).keys() - {"latest"}
        (registry / ".quilt/named_packages" / NAME / number).write_text("")
        assert at(registry).mend(NAME)
        assert [value for value in revisions(registry, NAME) if value] == [top_hash]

    def test_a_revision_that_another_is_making(
        self, registry: Path, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever finds a pointer missing while its maker has the lock waits, and then there is nothing to mend."""
        written, go_on = threading.Event(), threading.Event()

        def pause(name: str) -> None:
            if name == "after_latest":
                written.set()
                go_on.wait(10)

        monkeypatch.setattr(local, "reach", pause)
        maker = threading.Thread(target=at(registry).publish, args=(revision(data), ""))
        maker.start()
        assert written.wait(10)
        mended: list[bool] = []
        mender = threading.Thread(target=lambda: mended.append(at(registry).mend(NAME)))
        mender.start()
        time.sleep(0.2)
        go_on.set()
        maker.join(10)
        mender.join(10)
        assert mended == [False]
        assert len(revisions(registry, NAME)) == 1


HOLD_LOCK = (
    "import sys, time\n"
    "from provwatch.publish.local import LocalRegistry\n"
    "with LocalRegistry(sys.argv[1])._lock():\n"
    "    print('held', flush=True)\n"
    "    time.sleep(60)\n"
)


@contextlib.contextmanager
def held_by_another(registry: Path) -> Iterator[subprocess.Popen[str]]:
    """Have another process hold a registry's lock."""
    command = [sys.executable, "-c", HOLD_LOCK, registry.as_uri()]
    with subprocess.Popen(command, env=surroundings(), stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        try:
            yield other
        finally:
            other.kill()


class TestLock:
    """One at a time."""

    def test_reading_needs_no_lock(self, registry: Path, data: Path) -> None:
        """Whoever only looks never waits."""
        top_hash = at(registry).publish(revision(data), expected="")
        with held_by_another(registry):
            assert at(registry).head_hash(NAME) == top_hash
            assert not at(registry).mend(NAME)

    def test_waiting_in_vain(self, registry: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """After a minute it is an error, and nothing was published."""
        monkeypatch.setattr(files, "LOCK_SECONDS", 0.1)
        with held_by_another(registry):
            with pytest.raises(PackagingError, match="held the registry's lock") as caught:
                at(registry).publish(revision(data), expected="")
            assert caught.value.code == "registry-busy"
        assert not (registry / ".quilt").exists()

    def test_a_dead_process_holds_nothing(self, registry: Path, data: Path) -> None:
        """The system gives a killed process's lock back."""
        with held_by_another(registry) as other:
            other.send_signal(signal.SIGKILL)
            other.wait(10)
            at(registry).publish(revision(data), expected="")
        check_readable(registry)


class TestBadDisks:
    """What the file system refuses."""

    def test_a_registry_that_may_not_be_written(self, registry: Path, data: Path) -> None:
        """It is an error of permissions, and what is there can still be read."""
        at(registry).publish(revision(data), expected="")
        before = footprint(registry)
        folders = [path for path in (registry, *registry.rglob("*")) if path.is_dir()]
        script = (
            "import sys, pathlib\n"
            "from provwatch.publish.local import LocalRegistry\n"
            "from provwatch.publish.registry import Revision\n"
            "registry = LocalRegistry(sys.argv[1])\n"
            "head = registry.head('lab/run')\n"
            "try: registry.publish(Revision('lab/run', [], {}, 'x'), head.top_hash)\n"
            "except Exception as error: print(type(error).__name__, error.code, error, sep='|')\n"
        )
        for folder in folders:
            folder.chmod(0o500)
        try:
            said = run_script(script, registry.as_uri(), others=True)
        finally:
            for folder in folders:
                folder.chmod(0o755)
        assert said.stdout.startswith(f"{CredentialsError.__name__}|unwritable|{registry}: may not be written"), said
        assert {path: values[3] for path, values in before.items()} == {
            path: values[3] for path, values in footprint(registry).items()
        }

    @pytest.fixture
    def full_disk(self, tmp_path: Path) -> Iterator[Callable[[], Any]]:
        """Return how to leave too little room in the registry: a disk of its own, else a limit for files."""
        (tmp_path / "registry").mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path / "registry")]
        if AS_ROOT and subprocess.run(mount, capture_output=True, check=False).returncode == 0:
            try:
                yield contextlib.nullcontext
            finally:
                subprocess.run(["umount", "-l", str(tmp_path / "registry")], check=True)
        else:
            yield files_of_at_most_64_kib

    @pytest.mark.parametrize("streamed", [False, True], ids=["by quilt3", "by ourselves"])
    def test_a_full_disk(
        self,
        registry: Path,
        data: Path,
        full_disk: Callable[[], Any],
        monkeypatch: pytest.MonkeyPatch,
        *,
        streamed: bool,
    ) -> None:
        """Nothing of the revision is visible, what was there is whole, and once there is room it works."""
        monkeypatch.setattr(local, "STREAMED_ENTRIES", 1 if streamed else 100_000)
        first = at(registry).publish(revision(data), expected="")
        before = footprint(registry / ".quilt")
        with full_disk(), pytest.raises(ProvwatchError, match=r"disk is full|File too large"):
            at(registry).publish(revision(data, more=2_000), expected=first)
        assert footprint(registry / ".quilt") == before
        assert not any((registry / ".provwatch/staging").iterdir())
        check_readable(registry)
        assert at(registry).publish(revision(data, message="2"), expected=first) != first
        check_readable(registry)

    def test_a_full_disk_for_objects(self, registry: Path, tmp_path: Path, full_disk: Callable[[], Any]) -> None:
        """Half a copy is thrown away."""
        from provwatch.publish.entries import scan_folder  # noqa: PLC0415 - only here

        write_tree(tmp_path / "run", {"large": os.urandom(400_000)})
        (file,) = scan_folder(tmp_path / "run").files
        with full_disk(), pytest.raises(ProvwatchError, match=r"disk is full|File too large"):
            at(registry).objects.put_file(file)
        with full_disk(), pytest.raises(ProvwatchError, match=r"disk is full|File too large"):
            at(registry).objects.put_bytes(b"x" * 400_000)
        assert stored_bytes(registry) == {}


@contextlib.contextmanager
def files_of_at_most_64_kib() -> Iterator[None]:
    """Let no file of this process grow further."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        pytest.param({}, [], id="no entries"),
        pytest.param({"a": "s3://b/run/a"}, [], id="in a bucket"),
        pytest.param({"a": "file:///registry/.provwatch/objects/0123"}, [], id="kept in the registry"),
        pytest.param({"a": ""}, [], id="nowhere"),
        pytest.param({"a": "file://[/a"}, [], id="rubbish"),
        pytest.param({"a": "file:///data/run/a", "b/c": "file:///data/run/b/c"}, ["file:///data/run/"], id="in place"),
        pytest.param({"a b": "file:///da%20ta/r%231/a%20b"}, ["file:///da%20ta/r%231/"], id="odd names"),
        pytest.param({"a": "file:///a"}, ["file:///"], id="at the root"),
        pytest.param(
            {"a": "file:///other/a", "b": "file:///run/b", "c": "file:///run/c", "d": "file:///objects/0"},
            ["file:///run/", "file:///other/"],
            id="most of them first",
        ),
    ],
)
def test_the_source_of_a_head(places: dict[str, str], expected: list[str]) -> None:
    """Where the entries lie in place, the folder they were made from is known without a ledger."""
    entries = [HeadEntry(logical_key=key, physical_keys=[place] if place else []) for key, place in places.items()]
    assert in_place_sources(entries) == expected
