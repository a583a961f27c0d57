"""``provwatch convert`` and ``provwatch show``: crates for programs, and for people."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from jsonschema import Draft7Validator

from conftest import REPOSITORY, Finished
from crate.documents import CRATES, DESCRIPTOR, RECORDED, ROOT, document, nextflow_run, parameter, run_with, task
from provwatch.metadata.schema import KEYS

DEMO_CRATE = RECORDED["demo-count"]
EXPECTED = (CRATES / "demo-count/expected.json").read_text("utf-8")


def alone(*arguments: object, locale: str = "C.UTF-8", **more: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command line in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "LC_ALL": locale, **more}
    command = [sys.executable, "-m", "provwatch", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, check=False, timeout=60)


def full_disk(_: int) -> None:
    """Fail as a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class TestConvert:
    """A crate's metadata as JSON on standard output."""

    @pytest.mark.parametrize("form", ["file", "folder", "archive", "standard input", "file URI"])
    def test_every_form_of_crate(
        self, form: str, tmp_path: Path, provwatch: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The same metadata, but for what only the files beside a crate tell."""
        archive = tmp_path / "run.zip"
        with zipfile.ZipFile(archive, "w") as file:
            file.write(DEMO_CRATE, "run/ro-crate-metadata.json")
            file.write(DEMO_CRATE.with_name("nextflow.config"), "run/nextflow.config")
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(DEMO_CRATE.read_bytes())))
        source = {
            "file": DEMO_CRATE,
            "folder": DEMO_CRATE.parent,
            "archive": archive,
            "standard input": "-",
            "file URI": DEMO_CRATE.as_uri(),
        }[form]
        done = provwatch("convert", source)
        expected = json.loads(EXPECTED)
        if form == "standard input":
            del expected["run_name"], expected["pipeline_version"]
        if form in {"archive", "standard input"}:
            del expected["output_bytes"]
        assert (done.code, done.err, done.json) == (0, "", expected)

    def test_into_a_file(self, tmp_path: Path, provwatch: Callable[..., Finished]) -> None:
        """The file holds what would have been printed."""
        done = provwatch("convert", DEMO_CRATE, "-o", tmp_path / "metadata.json")
        assert (done.code, done.out) == (0, "")
        assert (tmp_path / "metadata.json").read_text("utf-8") == EXPECTED

    @pytest.mark.parametrize(
        "target", [pytest.param("gone/metadata.json", id="no such folder"), pytest.param("", id="a folder")]
    )
    def test_a_file_that_cannot_be_written(
        self, tmp_path: Path, target: str, provwatch: Callable[..., Finished]
    ) -> None:
        """One sentence, and nothing on standard output."""
        done = provwatch("convert", DEMO_CRATE, "-o", tmp_path / target)
        assert done.code not in {0, 2}
        assert (done.out, done.err.count("\n")) == ("", 1)
        assert done.err.startswith(f"error: {tmp_path / target}".rstrip("/"))

    @pytest.mark.parametrize("source", ["c.json", ".", "c.zip", "file zip", "link.json"])
    @pytest.mark.parametrize("mark", ["", "link-to-"])
    def test_the_crate_itself_is_not_overwritten(
        self, source: str, mark: str, provwatch: Callable[..., Finished]
    ) -> None:
        """``-o`` onto what is being read would leave no crate."""
        Path("c.json").write_bytes(DEMO_CRATE.read_bytes())
        Path("link.json").symlink_to("c.json")
        with zipfile.ZipFile("c.zip", "w") as file:
            file.write("c.json")
        target = Path("c.zip" if source.endswith("zip") else "c.json")
        source = target.absolute().as_uri() if source == "file zip" else source
        Path(f"link-to-{target}").symlink_to(target)
        before = target.read_bytes()
        done = provwatch("convert", source, "-o", f"{mark}{target}")
        assert (done.code, done.out, target.read_bytes()) == (2, "", before)
        assert done.err.startswith(f"error: {mark}{target}: this is the crate that is being read")
        assert "Choose another file" in done.err

    def test_a_crash_leaves_the_old_file(
        self, tmp_path: Path, provwatch: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The file is written aside and renamed, through a link to where it leads, and keeps its mode."""
        old, link = tmp_path / "metadata.json", tmp_path / "link"
        old.write_text("old")
        old.chmod(0o640)
        link.symlink_to(old)
        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", full_disk)
            assert provwatch("convert", DEMO_CRATE, "-o", link).code != 0
        assert (old.read_text(), sorted(tmp_path.iterdir())) == ("old", [link, old])
        assert provwatch("convert", DEMO_CRATE, "-o", link).code == 0
        assert (old.read_text("utf-8"), old.stat().st_mode & 0o777) == (EXPECTED, 0o640)
        assert (link.is_symlink(), sorted(tmp_path.iterdir())) == (True, [link, old])

    def test_into_a_device(self, provwatch: Callable[..., Finished]) -> None:
        """A device is written to, not replaced."""
        assert provwatch("convert", DEMO_CRATE, "-o", "/dev/null").code == 0
        assert Path("/dev/null").is_char_device()

    def test_full_cuts_nothing(self, tmp_path: Path, provwatch: Callable[..., Finished]) -> None:
        """``--full`` is the whole side file, under the same schema."""
        path = tmp_path / "c.json"
        path.write_bytes(nextflow_run(*(task(number, f"A (sample_{number})") for number in range(2_500))))
        bounded, full = provwatch("convert", path), provwatch("convert", path, "--full")
        assert (len(bounded.json["samples"]), len(full.json["samples"])) == (2_000, 2_500)
        assert ("truncated:samples" in bounded.out, "truncated:samples" in full.out) == (True, False)
        assert bounded.json["sample_count"] == full.json["sample_count"] == 2_500

    def test_strict_refuses_what_is_otherwise_merged(self, provwatch: Callable[..., Finished]) -> None:
        """Real nf-prov crates have one ``@id`` with two contents."""
        crate = RECORDED["real140-exec-subworkflow"]
        assert "duplicate-id:1" in provwatch("convert", crate).json["warnings"]
        done = provwatch("convert", crate, "--strict")
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith(f"error: {crate}: two entities with different content share the @id 'ref.fa'")
        assert provwatch("convert", DEMO_CRATE, "--strict").out == EXPECTED

    def test_schema(self, provwatch: Callable[..., Finished]) -> None:
        """``--schema`` needs no crate, and every golden file keeps the schema."""
        done = provwatch("convert", "--schema")
        Draft7Validator.check_schema(done.json)
        assert list(done.json["properties"]) == [key.name for key in KEYS]
        for name in RECORDED:
            Draft7Validator(done.json).validate(json.loads((CRATES / name / "expected.json").read_bytes()))

    def test_promoted_parameters(self, provwatch: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch) -> None:
        """The configuration gives a parameter a key of its own."""
        monkeypatch.setenv("PROVWATCH_PROMOTE_PARAMS", "min_len,gone")
        assert provwatch("convert", DEMO_CRATE).json["param_min_len"] == 3

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            pytest.param([], 2, "name a crate", id="nothing"),
            pytest.param(["a", "b"], 2, "unexpected extra argument", id="two"),
            pytest.param(["s3://b/c/"], 2, "s3://b/c/: only local crates", id="S3"),
            pytest.param(["gone"], 5, "error: gone: no such file or folder", id="missing"),
            pytest.param(["."], 1, "error: .: this folder holds no RO-Crate", id="no crate"),
            pytest.param(["bad.json"], 1, "error: bad.json:1:13: the JSON is not valid", id="bad"),
        ],
    )
    def test_errors(self, arguments: list[str], code: int, said: str, provwatch: Callable[..., Finished]) -> None:
        """Nothing on standard output, one sentence on standard error, and the code that goes with it."""
        Path("bad.json").write_text('{"@graph": [,]}')
        done = provwatch("convert", *arguments)
        assert (done.code, done.out) == (code, "")
        assert said.lower() in done.err.lower()

    def test_names_cannot_forge_lines_or_colours(self, provwatch: Callable[..., Finished]) -> None:
        """What a crate is called, and what is in it, stays on one line of a message."""
        data = document({**DESCRIPTOR, "about": {"@id": "x\nerror: forged\x1b[31m"}}, {"@id": "a"})
        Path("a.json").write_bytes(data)
        done = provwatch("convert", "a.json")
        assert (done.code, done.err.count("\n")) == (1, 1)
        assert "\x1b" not in done.err


class TestProcess:
    """In a process of its own, as people run it."""

    @pytest.mark.parametrize("locale", ["C.UTF-8", "C", "POSIX"])
    def test_standard_output_is_utf_8_or_says_the_same(self, locale: str) -> None:
        """A terminal that knows only ASCII gets JSON all the same."""
        done = alone("convert", CRATES / "multi-module", locale=locale, PYTHONCOERCECLOCALE="0")
        assert (done.returncode, done.stderr) == (0, b"")
        assert json.loads(done.stdout)["description"] == "Multi-module demo ünïcode"

    def test_closed_standard_input(self) -> None:
        """There is nothing to read, and it is said."""
        command = f'exec "{sys.executable}" -m provwatch convert - <&-'
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, check=False, timeout=60)
        assert (done.returncode, done.stdout) == (1, b"")
        assert done.stderr == b"error: -:1:1: the file is empty\n"

    def test_a_reader_that_leaves_early(self) -> None:
        """``| head -1`` is no reason for a traceback."""
        command = f'"{sys.executable}" -m provwatch convert "{DEMO_CRATE}" | true'
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, check=False, timeout=60)
        assert done.stderr == b""

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
    @pytest.mark.parametrize("command", ["convert", "show", "show --graph svg", "history", "package"])
    def test_a_full_disk_behind_standard_output(self, command: str, tmp_path: Path) -> None:
        """``> metadata.json`` on a full disk is said in one sentence, and is no success."""
        run = shutil.copytree(DEMO_CRATE.parent, tmp_path / "lab/run")
        words = [*command.split(), *([] if command == "history" else [str(run)])]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [sys.executable, "-m", "provwatch", *words],
                env=environment,
                stdout=full,
                stderr=subprocess.PIPE,
                check=False,
            )
        assert done.returncode == 1
        assert done.stderr.startswith(b"error: standard output: cannot be written: No space left on device")
        assert done.stderr.count(b"\n") == 1

    def test_nobody_to_talk_to_is_no_reason_to_fail(self, tmp_path: Path, registry: Path) -> None:
        """Data comes out, and work is done, though standard error takes nothing."""
        run = shutil.copytree(DEMO_CRATE.parent, tmp_path / "lab/run")
        command = f'"{sys.executable}" -m provwatch package "{run}" --registry "{registry}" 2>/dev/full'
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, check=False, timeout=60)
        assert (done.returncode, b"pushed lab/run" in done.stdout) == (0, True)


class TestShow:
    """A crate for people."""

    def test_a_run(self, provwatch: Callable[..., Finished]) -> None:
        """What ran, when, by whom, how it went."""
        done = provwatch("show", CRATES / "demo-count")
        assert (done.code, done.err) == (0, "")
        for said in ("provwatch/demo-count 0.1.0", "grave_snyder succeeded", "Jane Doe", "Nextflow 24.10.5", "alpha"):
            assert said in done.out

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            pytest.param(document(DESCRIPTOR, {"@id": "./", "@type": "Dataset"}), "data crate, no run", id="no name"),
            pytest.param(document(DESCRIPTOR, {**ROOT, "name": 5}), "5 (data crate, no run)", id="a number as name"),
            pytest.param(
                document(DESCRIPTOR, ROOT, {"@id": "w", "@type": "ComputationalWorkflow", "name": "W"}),
                "W (pipeline crate, no run)",
                id="pipeline",
            ),
            pytest.param(
                nextflow_run(run={"actionStatus": "FailedActionStatus", "error": "no\nspace --token=Zx9kkkk1"}),
                "failed\n  error       no space --token=<redacted>\n",
                id="a failed run says why",
            ),
            pytest.param(nextflow_run(workflow={"name": "a\nb\x1b[31m"}), "a b\ufffd[31m", id="a forged line"),
            pytest.param(run_with(parameter("token", "correct-horse")), "parameters", id="a secret"),
        ],
    )
    def test_other_crates(self, data: bytes, said: str, provwatch: Callable[..., Finished]) -> None:
        """Every crate can be shown."""
        Path("c.json").write_bytes(data)
        done = provwatch("show", "c.json")
        assert (done.code, done.err) == (0, "")
        assert said in done.out
        assert "correct-horse" not in done.out

    def test_nothing_ran(self, tmp_path: Path, provwatch: Callable[..., Finished]) -> None:
        """A pipeline's crate has no run that could have gone well or not."""
        path = tmp_path / "c.json"
        path.write_bytes(document(DESCRIPTOR, ROOT, {"@id": "w", "@type": "ComputationalWorkflow", "name": "W"}))
        assert "unknown" not in provwatch("show", path).out

    def test_as_json(self, provwatch: Callable[..., Finished]) -> None:
        """The metadata, with what kind of crate it is, on one line."""
        done = provwatch("show", CRATES / "preview-overwrote", "--json")
        assert done.out.count("\n") == 1
        assert (done.json["kind"], done.json["is_run"], done.json["run_name"]) == ("run", False, "golden_poincare")
