"""Which files a folder gives, and under which keys; quilt3's own ``set_dir`` is asked the same."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
import quilt3
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import DEMO
from provwatch.errors import CredentialsError, PackagingError, UnreachableError
from provwatch.publish.entries import HASH_TYPE, Entry, order, read_error, scan_folder
from publish.processes import run_like_others
from publish.trees import keys_of, write_tree

ODD_NAMES = (
    "a b.txt",
    "a+b",
    "a#b",
    "a?b",
    "a%41b",
    "a&b=c;d",
    "a\\b",
    "a:b",
    "-rf",
    "~",
    "new\nline",
    "tab\there",
    "'quoted' \"twice\"",
    "é",
    "e\u0301",
    "中文/数据.csv",
    "\U0001f9ec",
    ".hidden/.file",
    "x.d/0",
    "x/0",
    "x-d/0",
)
TREE = ("X", "Y.Z", "XY/X", "XY/Y.Z", "XY/ZZ/X.Z", "Z/X", "Z/XY/Y", "ZZ.Y/Z")
MUCH_OF_QUILTS = "XYZ*?/[]."


def quilt3_keys(folder: Path) -> list[str]:
    """Return the logical keys that quilt3's set_dir takes, in its manifest's order."""
    return [key for key, _ in quilt3.Package().set_dir("/", str(folder)).walk()]


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([], id="empty folder"),
        pytest.param([".quilt/packages/x", ".quilt/workflows/config.yml"], id="a registry's own files"),
        pytest.param([".provwatch/objects/x"], id="provwatch's own files"),
        pytest.param(["a/.quilt/x", "b/.provwatch/tmp/y"], id="the same further down"),
        pytest.param(["a/b/"], id="folders without files"),
    ],
)
def test_nothing_is_found(tmp_path: Path, names: list[str]) -> None:
    """What belongs to a registry, and what is no file, gives no entries."""
    for name in names:
        if name.endswith("/"):
            (tmp_path / name).mkdir(parents=True)
        else:
            write_tree(tmp_path, {name: "x"})
    assert keys_of(tmp_path) == []


def test_files_called_like_a_registrys_folder_are_files(tmp_path: Path) -> None:
    """Only folders of these names are passed over."""
    write_tree(tmp_path, {".quilt": "x", "a/.provwatch": "y"})
    assert keys_of(tmp_path) == [".quilt", "a/.provwatch"]


def test_odd_names_are_keys_as_they_are(tmp_path: Path) -> None:
    """Keys, sizes and order are quilt3's for every name that a file can have."""
    write_tree(tmp_path, dict.fromkeys(ODD_NAMES, "content"))
    scan = scan_folder(tmp_path)
    assert {file.logical_key for file in scan.files} == set(ODD_NAMES)
    assert [file.logical_key for file in scan.files] == quilt3_keys(tmp_path)
    assert {file.size for file in scan.files} == {7}


def test_an_order_is_that_of_path_components() -> None:
    """A folder's files stand together, whatever characters sort before the slash."""
    assert sorted(["a/b", "a-b", "a", "a.b/c"], key=order) == ["a", "a/b", "a-b", "a.b/c"]


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """A manifest is JSON, so a name that is not UTF-8 is an error that shows its bytes."""
    (tmp_path / os.fsdecode(b"bad\xff.txt")).write_text("x")
    with pytest.raises(PackagingError, match=r"bad\\xff\.txt.*UTF-8") as caught:
        scan_folder(tmp_path)
    assert caught.value.code == "invalid-key"


def test_a_file_knows_where_it_lies(tmp_path: Path) -> None:
    """What a scan says of a file is what the file system says."""
    write_tree(tmp_path, {"a/b.txt": "abc"})
    (file,) = scan_folder(tmp_path).files
    status = (tmp_path / "a/b.txt").stat()
    assert (file.path, file.target, file.outside) == (str(tmp_path / "a/b.txt"), str(tmp_path / "a/b.txt"), False)
    assert file.signature == (3, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        pytest.param("", TREE, id="empty file"),
        pytest.param("\n\n", TREE, id="empty lines"),
        pytest.param("# comment\n", TREE, id="comments are patterns that match nothing"),
        pytest.param("/X\n", TREE, id="no anchors"),
        pytest.param("!X\n", TREE, id="no exceptions"),
        pytest.param("X/\n", TREE, id="X/ is a folder"),
        pytest.param("X \n", TREE, id="spaces count"),
        pytest.param("X\n", ("Y.Z", "XY/Y.Z", "XY/ZZ/X.Z", "Z/XY/Y", "ZZ.Y/Z"), id="a file at any depth"),
        pytest.param("X\r\nY\r\n", ("Y.Z", "XY/Y.Z", "XY/ZZ/X.Z", "ZZ.Y/Z"), id="written on Windows"),
        pytest.param("XY\n", ("X", "Y.Z", "Z/X", "ZZ.Y/Z"), id="a folder at any depth"),
        pytest.param("XY/\n", ("X", "Y.Z", "Z/X", "ZZ.Y/Z"), id="the same with a slash"),
        pytest.param("*.Z\n", ("X", "XY/X", "Z/X", "Z/XY/Y", "ZZ.Y/Z"), id="a file type"),
        pytest.param("**/*.Z\n", ("X", "XY/X", "Z/X", "Z/XY/Y", "ZZ.Y/Z"), id="a file type, as gitignore has it"),
        pytest.param("*/X\n", ("Y.Z", "XY/Y.Z", "XY/ZZ/X.Z", "Z/XY/Y", "ZZ.Y/Z"), id="a star is also no folder"),
        pytest.param("XY/*\n", ("X", "Y.Z", "Z/X", "ZZ.Y/Z"), id="all below a folder"),
        pytest.param("XY/Y*\n", ("X", "Y.Z", "XY/X", "XY/ZZ/X.Z", "Z/X", "ZZ.Y/Z"), id="some below a folder"),
        pytest.param("[XY].Z\n", ("X", "XY/X", "Z/X", "Z/XY/Y", "ZZ.Y/Z"), id="a set of characters"),
        pytest.param("?\n", ("Y.Z", "XY/Y.Z", "XY/ZZ/X.Z"), id="any one character"),
        pytest.param("*\n", (), id="everything"),
    ],
)
def test_quiltignore(tmp_path: Path, lines: str, left: tuple[str, ...]) -> None:
    """A pattern means what it means to quilt3, which packages the ignore file too."""
    folder = write_tree(tmp_path / "the-folder-with-the-files", dict.fromkeys(TREE, "x"))
    (folder / ".quiltignore").write_bytes(lines.encode())
    found = keys_of(folder)
    assert found == quilt3_keys(folder)
    assert set(found) - {".quiltignore"} == set(left)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.text(MUCH_OF_QUILTS, max_size=5), max_size=3))
def test_quiltignore_is_quilt3s(tmp_path_factory: pytest.TempPathFactory, rules: list[str]) -> None:
    """Whatever the patterns, the files are those that quilt3 takes."""
    folder = tmp_path_factory.getbasetemp() / "the-folder-with-the-files"
    write_tree(folder, {**dict.fromkeys(TREE, "x"), ".quiltignore": "\n".join(rules)})
    assert keys_of(folder) == quilt3_keys(folder)


def test_quiltignore_means_the_same_everywhere(tmp_path: Path) -> None:
    """Unlike quilt3's, a pattern knows no names above the folder: the package is the same on every machine."""
    files = {"a.txt": "x", ".quiltignore": "results/*\n"}
    folder = write_tree(tmp_path / "results/run1", files)
    assert quilt3_keys(folder) == []
    assert keys_of(folder) == [".quiltignore", "a.txt"]


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["a folder", "not UTF-8"])
def test_an_ignore_file_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    """It is an error that names it: files that were to be left out must not go in."""
    path = tmp_path / ".quiltignore"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(PackagingError, match=r"\.quiltignore: the ignore file cannot be read"):
        scan_folder(tmp_path)


class TestLinks:
    """Links are followed, never in circles."""

    def test_nothing_new_in_circles(self, tmp_path: Path) -> None:
        """Links to a folder's own parents add nothing."""
        write_tree(tmp_path, {"a/b/x": "x"})
        (tmp_path / "a/b/up").symlink_to("..")
        (tmp_path / "a/self").symlink_to(".")
        (tmp_path / "root").symlink_to(tmp_path)
        assert keys_of(tmp_path) == ["a/b/x"]

    def test_two_folders_that_link_to_each_other(self, tmp_path: Path) -> None:
        """Each is seen once on every path."""
        write_tree(tmp_path, {"a/x": "x", "b/y": "y"})
        (tmp_path / "a/b").symlink_to(tmp_path / "b")
        (tmp_path / "b/a").symlink_to(tmp_path / "a")
        assert keys_of(tmp_path) == ["a/b/y", "a/x", "b/a/x", "b/y"]

    def test_a_link_to_a_file_inside(self, tmp_path: Path) -> None:
        """It is a file of its own, whose bytes are the target's."""
        write_tree(tmp_path, {"a/x": "abc"})
        (tmp_path / "y").symlink_to("a/x")
        files = {file.logical_key: file for file in scan_folder(tmp_path).files}
        assert (files["y"].target, files["y"].outside, files["y"].size) == (str(tmp_path / "a/x"), False, 3)
        assert list(files) == quilt3_keys(tmp_path)

    def test_links_that_leave_the_folder(self, tmp_path: Path) -> None:
        """Files and folders elsewhere are taken up, and known to be elsewhere."""
        work = write_tree(tmp_path / "work", {"1a/out.bam": "bam", "1a/sub/log": "log"})
        results = write_tree(tmp_path / "results", {"here": "x"})
        (results / "out.bam").symlink_to(work / "1a/out.bam")
        (results / "all").symlink_to(work / "1a")
        (results / "twice").symlink_to(results / "out.bam")
        found = {file.logical_key: (file.target, file.outside) for file in scan_folder(results).files}
        assert found == {
            "here": (str(results / "here"), False),
            "out.bam": (str(work / "1a/out.bam"), True),
            "twice": (str(work / "1a/out.bam"), True),
            "all/out.bam": (str(work / "1a/out.bam"), True),
            "all/sub/log": (str(work / "1a/sub/log"), True),
        }

    def test_a_neighbour_with_a_longer_name_is_outside(self, tmp_path: Path) -> None:
        """``results2`` does not lie in ``results``."""
        other = write_tree(tmp_path / "results2", {"x": "x"})
        results = write_tree(tmp_path / "results", {})
        (results / "x").symlink_to(other / "x")
        assert scan_folder(results).files[0].outside

    def test_a_source_that_is_a_link(self, tmp_path: Path) -> None:
        """The folder behind it is what is looked at: its files lie inside."""
        write_tree(tmp_path / "real", {"x": "x"})
        (tmp_path / "link").symlink_to("real")
        (file,) = scan_folder(tmp_path / "link").files
        assert (file.target, file.outside) == (str(tmp_path / "real/x"), False)

    @pytest.mark.parametrize("target", ["nowhere", "self", "file/below"])
    def test_a_link_to_nothing(self, tmp_path: Path, target: str) -> None:
        """It is an error that names link and target, and says what may have happened."""
        write_tree(tmp_path, {"file": "x"})
        (tmp_path / "self").symlink_to(target)
        with pytest.raises(PackagingError, match=f"points at '{target}', which is not there") as caught:
            scan_folder(tmp_path)
        assert caught.value.code == "dangling-link"
        assert "work directory" in caught.value.hint

    def test_a_link_to_nothing_can_be_ignored(self, tmp_path: Path) -> None:
        """What .quiltignore passes over may dangle."""
        write_tree(tmp_path, {".quiltignore": "*.tmp", "x": "x"})
        (tmp_path / "gone.tmp").symlink_to("nowhere")
        assert keys_of(tmp_path) == [".quiltignore", "x"]

    def test_a_registrys_name_that_points_at_itself(self, tmp_path: Path) -> None:
        """The error is the same one."""
        (tmp_path / ".quilt").symlink_to(".quilt")
        with pytest.raises(PackagingError, match="points at"):
            scan_folder(tmp_path)


def test_folders_in_folders_in_folders(tmp_path: Path) -> None:
    """Folders as deep as paths can be are no problem."""
    levels = 1_500
    try:
        os.chdir(tmp_path)
        for name in ["many", *["d"] * levels]:
            Path(name).mkdir()
            os.chdir(name)
        Path("x").write_text("x")
        assert keys_of(tmp_path / "many") == [f"{'d/' * levels}x"]
    finally:
        os.chdir(tmp_path)
        subprocess.run(["rm", "-rf", "many"], check=True)  # which is too deep for Python, and so for pytest


def test_a_maze_of_links(tmp_path: Path) -> None:
    """Folders that all link to each other are a sentence, not a walk without end."""
    names = [f"d{number}" for number in range(8)]
    for name in names:
        (tmp_path / name).mkdir()
        for other in names:
            if other != name:
                (tmp_path / name / f"to-{other}").symlink_to(f"../{other}")
    with pytest.raises(PackagingError, match="more than 100 ways of links") as caught:
        scan_folder(tmp_path)
    assert caught.value.code == "link-maze"


def test_a_scan_can_be_stopped(tmp_path: Path) -> None:
    """What is asked on the way may end the scan."""
    (tmp_path / "a").mkdir()

    def check() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        scan_folder(tmp_path, check)


def test_pipes_and_sockets_are_counted(tmp_path: Path) -> None:
    """What has no bytes of its own is passed over, and told."""
    write_tree(tmp_path, {"x": "x"})
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(tmp_path)
        server.bind("socket")
        scan = scan_folder(tmp_path)
    assert [file.logical_key for file in scan.files] == ["x"]
    assert scan.special == 3


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_a_source_that_is_no_folder(tmp_path: Path, name: str) -> None:
    """It cannot be reached as one."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(UnreachableError, match="no such folder"):
        scan_folder(tmp_path / name)


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        pytest.param(2, PackagingError, "vanished", id="ENOENT"),
        pytest.param(13, CredentialsError, "unreadable", id="EACCES"),
        pytest.param(1, CredentialsError, "unreadable", id="EPERM"),
        pytest.param(5, UnreachableError, "unreadable", id="EIO"),
        pytest.param(116, UnreachableError, "unreadable", id="ESTALE"),
    ],
)
def test_what_is_wrong_with_reading(number: int, kind: type[Exception], code: str) -> None:
    """The error's kind gives the exit code."""
    error = read_error(OSError(number, os.strerror(number)), "/data/x")
    assert type(error) is kind
    assert (error.code, error.where) == (code, "/data/x")


@pytest.mark.parametrize(
    ("locked", "where"),
    [
        pytest.param("run/secret.txt", "run/secret.txt", id="file"),
        pytest.param("run/folder", "run/folder", id="folder"),
        pytest.param("work", "run/link", id="behind a link"),
        pytest.param("run", "run", id="all of it"),
        pytest.param("run/.quiltignore", "run/.quiltignore", id="ignore file"),
        pytest.param("run/ro-crate-metadata.json", "run/ro-crate-metadata.json", id="crate"),
    ],
)
def test_what_may_not_be_read(tmp_path: Path, locked: str, where: str) -> None:
    """The command says which file, and exits with the code for permissions."""
    write_tree(tmp_path, {"run/secret.txt": "x", "run/folder/x": "x", "work/x": "x", "run/.quiltignore": "y"})
    shutil.copy(DEMO / "ro-crate-metadata.json", tmp_path / "run")
    (tmp_path / "run/link").symlink_to(tmp_path / "work/x")
    (tmp_path / locked).chmod(0)
    try:
        finished = run_like_others("package", tmp_path / "run", "--registry", tmp_path / "registry", "--json")
    finally:
        (tmp_path / locked).chmod(0o700)
    assert finished.returncode == 4, finished.stderr
    outcome = json.loads(finished.stdout)
    assert (outcome["code"], outcome["reason"].partition(": ")[0]) == ("unreadable", str(tmp_path / where))
    assert "Traceback" not in finished.stderr


def test_entries_are_what_quilt3_makes_of_the_same_files(tmp_path: Path) -> None:
    """Keys, physical keys and sizes agree with set_dir for a folder with odd names and links inside it."""
    folder = write_tree(tmp_path / "a #folder? 100%", dict.fromkeys(ODD_NAMES, "content"))
    (folder / "link").symlink_to("a b.txt")
    theirs = {key: entry for key, entry in quilt3.Package().set_dir("/", str(folder)).walk() if key != "link"}
    ours = {
        file.logical_key: Entry(file.logical_key, Path(file.target).as_uri(), file.size, "")
        for file in scan_folder(folder).files
        if file.logical_key != "link"
    }
    assert {key: str(entry.physical_key) for key, entry in theirs.items()} == {
        key: entry.physical_key for key, entry in ours.items()
    }
    assert {key: entry.size for key, entry in theirs.items()} == {key: entry.size for key, entry in ours.items()}
    assert HASH_TYPE == "sha2-256-chunked"
