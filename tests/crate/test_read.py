"""Where a crate may lie: a file, a folder, an archive, standard input, and what is said when it is not there."""

from __future__ import annotations

import io
import os
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

import provwatch.crate.read as reading
from crate.documents import DESCRIPTOR, RECORDED, ROOT, document
from provwatch.crate import (
    CRATE_NAMES,
    crate_warnings,
    find_crate,
    find_crates,
    looks_like_crate,
    read_crate,
    read_crate_file,
)
from provwatch.errors import CrateError, CredentialsError, ProvwatchError, UnreachableError, UsageError

STANDARD = "ro-crate-metadata.json"
MANIFEST = "ro-crate-manifest.json"
DATA = document(DESCRIPTOR, ROOT)
OTHER = document({**DESCRIPTOR, "about": {"@id": "other/"}}, {**ROOT, "@id": "other/"})
PADDED = b'{"padding": "' + b"x" * reading.SNIFF_BYTES + b'", ' + DATA[1:]


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files below a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def zipped(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write an archive."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def zip_of(files: dict[str, bytes]) -> bytes:
    """Return the bytes of an archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def encrypted(data: bytes) -> bytes:
    """Return an archive that says its member is encrypted."""
    changed = bytearray(data)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        changed[data.index(signature) + offset] |= 1
    return bytes(changed)


def damaged(data: bytes, start: int, count: int = 200) -> bytes:
    """Return the bytes with some of them inverted."""
    end = start + count
    return data[:start] + bytes(byte ^ 0xFF for byte in data[start:end]) + data[end:]


def strange_name() -> bytes:
    """Return an archive with a name that says it is UTF-8 and is not."""
    return zip_of({"é.json": DATA}).replace("é".encode(), b"\xff\xfe")


@contextmanager
def like_others() -> Iterator[None]:
    """Do something as somebody whom file permissions hold for."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


class TestFolder:
    """A folder holds one crate, under the standard name or another."""

    @pytest.mark.parametrize(
        "files",
        [
            pytest.param({}, id="empty"),
            pytest.param({"a.txt": DATA}, id="no JSON"),
            pytest.param({"params.json": b"{}", "broken.json": b"{", "list.json": b"[]"}, id="other JSON"),
            pytest.param({"nextflow_schema.json": b'{"$schema": "x", "@graph": 1}'}, id="graph, no crate"),
            pytest.param({"deep/er/ro-crate-metadata.json": DATA}, id="deeper"),
            pytest.param({f"{STANDARD}/x": b""}, id="a folder of that name"),
            pytest.param({"late.json": PADDED}, id="says so too late"),
        ],
    )
    def test_a_folder_without_a_crate_says_so(self, tmp_path: Path, files: dict[str, bytes]) -> None:
        """Nothing else is taken for a crate."""
        folder = write(tmp_path / "run", files)
        folder.mkdir(exist_ok=True)
        assert find_crate(folder) is None
        with pytest.raises(CrateError, match="this folder holds no RO-Crate") as caught:
            read_crate(str(folder))
        assert (caught.value.code, caught.value.where) == ("no-crate", str(folder))

    @pytest.mark.parametrize(
        ("files", "found"),
        [
            pytest.param({STANDARD: DATA, "a.json": OTHER}, STANDARD, id="standard name first"),
            pytest.param({"ro-crate-manifest.json": DATA}, "ro-crate-manifest.json", id="Quilt's older name"),
            pytest.param({"ro-crate-metadata.jsonld": DATA}, "ro-crate-metadata.jsonld", id="RO-Crate 1.0"),
            pytest.param({"run.wrroc.json": DATA, "a.json": b"{}"}, "run.wrroc.json", id="nf-prov's own name"),
            pytest.param({"b.json": DATA, "a.jsonld": DATA}, "a.jsonld", id="first of several"),
            pytest.param({"pipeline_info/x.json": DATA}, "pipeline_info/x.json", id="in pipeline_info"),
            pytest.param({f"provenance/{STANDARD}": DATA}, f"provenance/{STANDARD}", id="in provenance"),
            pytest.param({"x.json": DATA, f"pipeline_info/{STANDARD}": OTHER}, "x.json", id="its own first"),
            pytest.param({f"{STANDARD}/x": b"", "x.json": DATA}, "x.json", id="beside a folder of that name"),
            pytest.param({STANDARD: b"", "x.json": DATA}, STANDARD, id="an empty one is a crate being written"),
        ],
    )
    def test_it_is_found(self, tmp_path: Path, files: dict[str, bytes], found: str) -> None:
        """The standard names come first, then what looks like a crate, then the sub-folders."""
        assert find_crate(write(tmp_path, files)) == tmp_path / found

    @pytest.mark.parametrize(
        ("ages", "found"),
        [
            pytest.param({}, [], id="none"),
            pytest.param({"a.json": 1}, ["a.json"], id="one"),
            pytest.param({STANDARD: 9, "a.json": 1}, [STANDARD], id="a standard name is the only one"),
            pytest.param(
                {"a.json": 3, "b.json": 1, "c.jsonld": 2}, ["b.json", "c.jsonld", "a.json"], id="newest first"
            ),
            pytest.param({"b.json": 1, "a.json": 1}, ["a.json", "b.json"], id="of one age"),
            pytest.param({"a.json": 2, "provenance/b.json": 1}, ["a.json"], id="sub-folders do not compete"),
        ],
    )
    def test_of_several_the_newest_counts(self, tmp_path: Path, ages: dict[str, int], found: list[str]) -> None:
        """A folder that several runs wrote crates of their own names to holds that of the last, and it is said."""
        write(tmp_path, dict.fromkeys(ages, DATA))
        for name, age in ages.items():
            os.utime(tmp_path / name, (1_800_000_000 - age, 1_800_000_000 - age))
        crates = find_crates(tmp_path)
        assert [str(path.relative_to(tmp_path)) for path in crates] == found
        assert find_crate(tmp_path) == (crates[0] if crates else None)
        expected = (f"crates:{len(found)}",) if len(found) > 1 else ()
        assert crate_warnings(crates) == expected
        if crates:
            crate = read_crate(str(tmp_path))
            assert (crate.warnings, str(tmp_path / found[0])) == (expected, crate.where)
            assert read_crate_file(crates[0]).warnings == ()

    def test_the_crate_knows_its_folder(self, tmp_path: Path) -> None:
        """What lies beside a crate is looked for in the folder of its document."""
        write(tmp_path, {"pipeline_info/run.json": DATA})
        crate = read_crate(str(tmp_path))
        assert (crate.folder, crate.filename) == (tmp_path / "pipeline_info", "run.json")

    def test_a_missing_folder_holds_none(self, tmp_path: Path) -> None:
        """Looking for a crate where nothing is finds none."""
        assert find_crate(tmp_path / "gone") is None
        assert not looks_like_crate(tmp_path / "gone")

    def test_links_in_a_circle_are_no_crate(self, tmp_path: Path) -> None:
        """A symbolic link that leads back to itself, or to its folder, is not followed for ever."""
        (tmp_path / STANDARD).symlink_to(tmp_path / STANDARD)
        (tmp_path / "a.json").symlink_to(tmp_path)
        (tmp_path / "pipeline_info").symlink_to(tmp_path)
        assert find_crate(tmp_path) is None

    def test_a_pipe_called_like_a_crate_is_not_waited_for(self, tmp_path: Path) -> None:
        """Only plain files are crates of a folder."""
        for name in CRATE_NAMES:
            os.mkfifo(tmp_path / name)
        assert find_crate(tmp_path) is None


class TestFile:
    """A document may be named itself, whatever it is called."""

    @pytest.mark.parametrize("name", ["ro-crate-metadata.json", "crate", "we é ü.txt", "x.zip", "%20"])
    def test_any_name_will_do(self, tmp_path: Path, name: str) -> None:
        """A file that is named is read, also one that is only called ``.zip``."""
        (tmp_path / name).write_bytes(DATA)
        assert read_crate(str(tmp_path / name)).filename == name
        assert read_crate_file(tmp_path / name).folder == tmp_path

    @pytest.mark.parametrize("uri", ["file://{}/we%20%C3%A9.json", "file://localhost{}/we%20%C3%A9.json"])
    def test_file_addresses_are_unquoted(self, tmp_path: Path, uri: str) -> None:
        """A ``file:`` URI is percent-encoded, as everywhere else in provwatch."""
        (tmp_path / "we é.json").write_bytes(DATA)
        assert read_crate(uri.format(tmp_path)).root_id == "./"

    def test_home_is_expanded(self) -> None:
        """``~`` is the home folder."""
        (Path.home() / "crate.json").write_bytes(DATA)
        assert read_crate("~/crate.json").folder == Path.home()

    @pytest.mark.parametrize("named", [True, False], ids=["named pipe", "standard input"])
    def test_a_pipe_is_read_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, named: bool) -> None:
        """What comes through a pipe cannot be looked at first."""
        if not named:
            monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(DATA)))
            assert read_crate("-").folder is None
            return
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=(DATA,), daemon=True)
        writer.start()
        assert read_crate(str(pipe)).root_id == "./"
        writer.join(10)

    def test_closed_standard_input_is_an_empty_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """``provwatch convert - <&-`` has nothing to read."""
        monkeypatch.setattr("sys.stdin", None)
        with pytest.raises(CrateError, match="-:1:1: the file is empty"):
            read_crate("-")

    @pytest.mark.parametrize(
        ("source", "kind", "said"),
        [
            pytest.param("gone", UnreachableError, "no such file or folder", id="missing"),
            pytest.param("file.json/x", UnreachableError, "no such file or folder", id="below a file"),
            pytest.param("~nobody-of-this-name/x", UnreachableError, "no such file or folder", id="unknown home"),
            pytest.param("a\0b", UnreachableError, "no such file or folder", id="null byte"),
            pytest.param("a" * 5000, UnreachableError, "cannot be read: File name too long", id="long name"),
            pytest.param("circle", UnreachableError, "cannot be read: Too many levels", id="links in a circle"),
            pytest.param("s3://bucket/run/", UsageError, "only local crates", id="S3"),
            pytest.param("https://example.org/c.json", UsageError, "only local crates", id="web"),
        ],
    )
    def test_what_cannot_be_read_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, kind: type[ProvwatchError], said: str
    ) -> None:
        """Each is one sentence that names the source, and none is a traceback."""
        monkeypatch.chdir(tmp_path)
        Path("file.json").write_bytes(DATA)
        Path("circle").symlink_to("circle")
        with pytest.raises(kind, match=said) as caught:
            read_crate(source)
        assert caught.value.where == source

    def test_a_slip_of_the_pen_is_pointed_out(self, tmp_path: Path) -> None:
        """The nearest name in the folder is what was probably meant."""
        write(tmp_path / "results", {STANDARD: DATA})
        with pytest.raises(UnreachableError, match=r"reslts: no such file or folder\. Did you mean 'results'\?"):
            read_crate(str(tmp_path / "reslts"))

    def test_a_folder_nobody_may_enter_is_not_an_empty_one(self, tmp_path: Path) -> None:
        """Permission is told apart from absence."""
        folder = write(tmp_path / "closed", {STANDARD: DATA})
        folder.chmod(0)
        try:
            with like_others(), pytest.raises(CredentialsError, match="may not be read: Permission denied"):
                read_crate(str(folder))
        finally:
            folder.chmod(0o700)

    @pytest.mark.parametrize("form", ["file", "pipe", "zip", "standard input"])
    def test_nothing_larger_than_any_crate_is_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
    ) -> None:
        """A cap keeps a hostile file, or archive, from filling the memory."""
        monkeypatch.setattr(reading, "MAX_CRATE_BYTES", len(DATA) - 1)
        source = tmp_path / "crate"
        if form == "zip":
            zipped(source, {STANDARD: DATA})
        elif form == "pipe":
            os.mkfifo(source)
            threading.Thread(target=source.write_bytes, args=(DATA,), daemon=True).start()
        else:
            source.write_bytes(DATA)
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(DATA)))
        with pytest.raises(CrateError, match="larger than"):
            read_crate("-" if form == "standard input" else str(source))


class TestArchive:
    """A ``.zip`` may hold a crate at its top or in its one folder."""

    @pytest.mark.parametrize(
        ("files", "member"),
        [
            pytest.param({STANDARD: DATA, "a.json": OTHER}, STANDARD, id="at the top"),
            pytest.param({f"run/{STANDARD}": DATA, "run/a.json": OTHER}, f"run/{STANDARD}", id="in one folder"),
            pytest.param({f"a/{STANDARD}": OTHER, STANDARD: DATA}, STANDARD, id="the shallowest"),
            pytest.param({"run.json": DATA, "a.json": b"{}"}, "run.json", id="another name"),
            pytest.param({f"a/b/{STANDARD}": OTHER, "run.json": DATA}, "run.json", id="another name, but shallower"),
            pytest.param({f"a/{STANDARD}": OTHER, MANIFEST: DATA}, MANIFEST, id="the manifest, but shallower"),
            pytest.param({"x/run.json": DATA, "y.txt": b""}, "x/run.json", id="another name in one folder"),
            pytest.param({f"../../{STANDARD}": DATA}, f"../../{STANDARD}", id="nothing is unpacked"),
        ],
    )
    @pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
    def test_it_is_found(self, tmp_path: Path, files: dict[str, bytes], member: str, method: int) -> None:
        """The message names the archive and the member, and no folder lies beside it."""
        archive = zipped(tmp_path / "crate.zip", files, method)
        crate = read_crate(str(archive))
        assert (crate.where, crate.folder, crate.root_id) == (f"{archive}!{member}", None, "./")

    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            pytest.param(lambda _: zip_of({}), "this archive holds no RO-Crate", id="empty"),
            pytest.param(lambda _: zip_of({"a.txt": DATA}), "this archive holds no RO-Crate", id="nothing"),
            pytest.param(lambda _: zip_of({"a/b/c.json": DATA}), "this archive holds no RO-Crate", id="too deep"),
            pytest.param(lambda _: zip_of({STANDARD: b"{"}), "!ro-crate-metadata.json:1:2: the JSON ends", id="cut"),
            pytest.param(encrypted, "the archive is encrypted", id="encrypted"),
            pytest.param(lambda data: damaged(data, 80), "the archive cannot be read", id="damaged content"),
            pytest.param(lambda data: data[20:], "the archive cannot be read: ", id="head cut off"),
            pytest.param(lambda data: data.replace(b"PK\x01\x02", b"PK\x09\x09"), "the archive cannot", id="directory"),
            pytest.param(lambda _: strange_name(), "the archive cannot be read: 'utf-8'", id="name is not UTF-8"),
            pytest.param(lambda data: data[:-30], ":1:1[0-9]: the text is not UTF-8", id="tail cut off"),
        ],
    )
    def test_what_cannot_be_read_is_said(self, tmp_path: Path, spoil: Callable[[bytes], bytes], said: str) -> None:
        """A damaged, locked or empty archive is one sentence."""
        path = tmp_path / "crate.zip"
        path.write_bytes(spoil(zip_of({STANDARD: RECORDED["demo-count"].read_bytes()})))
        with pytest.raises(CrateError, match=said) as caught:
            read_crate(str(path))
        assert caught.value.where.startswith(str(path))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_no_damaged_byte_is_a_traceback(self, tmp_path: Path, method: int) -> None:
        """Whichever byte of an archive is wrong, the crate is read or the archive refused."""
        path = zipped(tmp_path / "crate.zip", {STANDARD: DATA}, method)
        data = path.read_bytes()
        for position in range(len(data)):
            path.write_bytes(damaged(data, position, 1))
            try:
                read_crate(str(path))
            except ProvwatchError as error:
                assert str(path) in str(error)  # noqa: PT017 - either is fine


def test_what_lies_beside_a_crate_in_an_archive(tmp_path: Path) -> None:
    """The configuration comes with the crate; one that is damaged is as good as none."""
    setting = b"runName = 'x'\n"
    files = {f"run/{STANDARD}": DATA, "run/nextflow.config": setting}
    archive = zipped(tmp_path / "crate.zip", files, zipfile.ZIP_STORED)
    assert read_crate(str(archive)).beside == {"nextflow.config": setting}
    archive.write_bytes(archive.read_bytes().replace(setting, setting.upper()))
    assert read_crate(str(archive)).beside == {}


def test_a_copied_crate_is_the_same_crate(tmp_path: Path) -> None:
    """File, folder, archive and standard input give the same entities and digest."""
    folder = Path(shutil.copytree(RECORDED["demo-count"].parent, tmp_path / "run"))
    archive = zipped(tmp_path / "run.zip", {f"run/{STANDARD}": (folder / STANDARD).read_bytes()})
    crates = [read_crate(str(source)) for source in (folder, folder / STANDARD, archive)]
    assert len({crate.sha256 for crate in crates}) == 1
    assert len({frozenset(crate.entities) for crate in crates}) == 1
