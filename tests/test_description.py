"""Package descriptions: Quilt's own message and name inference, and clear words for everything else."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quilt3.util import PhysicalKey, validate_package_name

from conftest import Finished
from provwatch.description import (
    MAX_LEVELS,
    decode_json,
    folder_uri,
    infer_name,
    local_path,
    normalise_registry,
    normalise_source,
    parse_description,
    serialise,
    urljoin_s3,
    validate_name,
)
from provwatch.errors import DescriptionError

SOURCE = "s3://bucket/results/run1/"


class TestNames:
    """The package name that Quilt's Packaging Engine infers from a prefix."""

    @pytest.mark.parametrize(
        ("key", "name"),
        [
            pytest.param("", "package/null", id="the bucket itself"),
            pytest.param("////", "package/null", id="nothing but slashes"),
            pytest.param("a/", "package/a", id="one folder"),
            pytest.param("my/s3/folder/", "my_s3/folder", id="Quilt's own example"),
            pytest.param("a/b/c/", "a_b/c", id="three folders"),
            pytest.param("a_b/c/", "a_b/c", id="which gives the same as this"),
            pytest.param("//f*0//b@r//b@z//", "f-0_b-r/b-z", id="other characters and empty parts"),
            pytest.param("a.b/c d/", "a-b/c-d", id="dots and spaces"),
            pytest.param("a.b/c%20d/", "a-b/c-d", id="an encoded space is a space"),
            pytest.param("a%2Fb/", "a/b", id="an encoded slash is a slash"),
            pytest.param("é/x/", "é/x", id="letters of any language stay"),
            pytest.param("研究/結果/", "研究/結果", id="also these"),
            pytest.param("-/_/", "-/_", id="a dash and an underscore"),
            pytest.param("a#1/b?2/", "a-1/b-2", id="what URIs reserve"),
        ],
    )
    def test_of_a_prefix(self, key: str, name: str) -> None:
        """All but the last part become the namespace."""
        assert infer_name(normalise_source(f"s3://bucket/{key}")) == name
        validate_package_name(name)

    def test_of_a_bucket_without_a_slash(self) -> None:
        """There is no key at all."""
        assert infer_name(normalise_source("s3://bucket")) == "package/null"

    @pytest.mark.parametrize(
        ("folder", "roots", "name"),
        [
            pytest.param("/", (), "package/null", id="the root of the disk"),
            pytest.param("/run", (), "package/run", id="a folder there"),
            pytest.param("/data/results/runA", (), "results/runA", id="named after its parent"),
            pytest.param("/data/results/runA", ("/data/results",), "results/runA", id="below a root"),
            pytest.param("/data/results/runA", ("/data",), "data_results/runA", id="deeper below a root"),
            pytest.param(
                "/data/results/runA", ("/data", "/data/results"), "results/runA", id="the longest root counts"
            ),
            pytest.param("/data/results/runA", ("/other", "/data/res"), "results/runA", id="other roots do not"),
            pytest.param(
                "/data/results", ("/data/results",), "data/results", id="a root itself is named after its parent"
            ),
            pytest.param("/data/results/runA", ("/",), "data_results/runA", id="the root of the disk as a root"),
            pytest.param("/data/results/run #1?", (), "results/run--1-", id="odd characters"),
        ],
    )
    def test_of_a_local_folder(self, folder: str, roots: tuple[str, ...], name: str) -> None:
        """The same inference over the root's name and the path below it."""
        assert infer_name(folder_uri(Path(folder)), roots) == name
        validate_package_name(name)

    def test_roots_are_found_however_they_are_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """With ``~``, through links, relative: a root is a folder and not a text."""
        folder = tmp_path / "lab/results/x/run"
        folder.mkdir(parents=True)
        (tmp_path / "link").symlink_to("lab")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path / "lab")
        for root in ("~/lab/results", str(tmp_path / "link/results"), "results", "../lab/results/"):
            assert infer_name(folder_uri(folder), (root,)) == "results_x/run"
        assert infer_name(folder_uri(folder), ("~nobody-of-this-name/results",)) == "x/run"

    @pytest.mark.parametrize("name", ["a/b", "A-1/_b_", "é/中", "0/0", "-/-", f"{'a' * 100}/b"])
    def test_names_that_quilt_takes(self, name: str) -> None:
        """They come back as they are."""
        assert validate_name(name) == name

    @pytest.mark.parametrize(
        "name",
        ["", "a", "a/", "/b", "a/b/c", "a//b", "a b/c", "a.b/c", "../x", "a/b\n", "a/\u0301b", "a/\udcff", "a\\b"],
    )
    def test_names_that_quilt_does_not_take(self, name: str) -> None:
        """The error says what would do."""
        with pytest.raises(DescriptionError, match=r"is not a package name\. Use NAMESPACE/NAME") as caught:
            validate_name(name)
        assert caught.value.code == "invalid-name"

    @settings(max_examples=300, deadline=None)
    @given(st.text() | st.text("ab-_/ \n.é", max_size=8))
    def test_any_text_is_a_name_or_an_error(self, text: str) -> None:
        """What is accepted Quilt accepts as well; Python's ``$`` alone lets a newline through."""
        try:
            accepted = validate_name(text)
        except DescriptionError:
            assert text.endswith("\n") or re.match(r"^[\w-]+/[\w-]+$", text) is None
        else:
            validate_package_name(accepted)

    @settings(max_examples=300, deadline=None)
    @given(st.text(max_size=30))
    def test_any_prefix_gives_a_name(self, key: str) -> None:
        """Whatever a bucket's folder is called, the name it gives is one that Quilt takes."""
        try:
            source = normalise_source(f"s3://bucket/{key}/")
        except DescriptionError as error:
            assert "\0" in key or "%00" in key or len(key.encode()) > 1_000, error  # noqa: PT017 - it is a table of two
        else:
            validate_package_name(infer_name(source))


class TestSources:
    """What source_prefix names."""

    @pytest.mark.parametrize(
        ("written", "source"),
        [
            pytest.param("s3://b/a/", "s3://b/a/", id="a folder"),
            pytest.param("s3://b", "s3://b/", id="a bucket"),
            pytest.param("s3://b/", "s3://b/", id="a bucket with a slash"),
            pytest.param("s3://b/a", "s3://b/", id="the last part is dropped"),
            pytest.param("s3://b/a/ro-crate-metadata.json", "s3://b/a/", id="so a crate names its folder"),
            pytest.param("s3://b/a/x?versionId=abc", "s3://b/a/", id="and so does one version of it"),
            pytest.param("s3://b//a//", "s3://b//a//", id="empty parts are parts"),
            pytest.param("s3://b/a b+c/", "s3://b/a b+c/", id="spaces and plus signs"),
            pytest.param("s3://b/a%20b/", "s3://b/a%20b/", id="encoded as it was"),
            pytest.param("s3://b/a#1/b?2/", "s3://b/a%231/b%3F2/", id="what Quilt would cut off is encoded"),
            pytest.param("S3://b/a/", "s3://b/a/", id="a scheme in capitals"),
            pytest.param("file:///a/b/", "file:///a/b/", id="a local folder"),
            pytest.param("file://localhost/a/b/", "file:///a/b/", id="on this machine"),
            pytest.param("FILE:///a/b/", "file:///a/b/", id="in capitals"),
            pytest.param("file:///a/b", "file:///a/", id="the last part is dropped here too"),
            pytest.param("file:///a/x/../b/", "file:///a/b/", id="dots"),
            pytest.param("file:///a%20b/c%231/", "file:///a%20b/c%231/", id="encoded"),
            pytest.param("file:///a b/c#1/d?2/", "file:///a%20b/c%231/d%3F2/", id="or not"),
            pytest.param("file:///a%FFb/", "file:///a%FFb/", id="bytes that are no text"),
            pytest.param("file:///", "file:///", id="the root"),
        ],
    )
    def test_folders(self, written: str, source: str) -> None:
        """Each is a folder, written one way."""
        assert normalise_source(written) == source
        assert normalise_source(source) == source

    @pytest.mark.parametrize(
        "written",
        [
            "",
            "run1/",
            "/data/run1/",
            "s3:///a/",
            "s3://",
            "s3://b?x/a/",
            "s3://[b/a/",
            "s3://b\n/a/",
            "https://host/a/",
            "file://host/a/",
            "file://a",
            "file:/a/",
            "file:",
            "file:///a%00/",
            "file:///a\0/",
            "s3://b/a\0/",
            "s3://b/a%00/",
            f"s3://b/{'a' * 1025}/",
        ],
        ids=ascii,
    )
    def test_what_is_no_folder(self, written: str) -> None:
        """It is an error."""
        with pytest.raises(DescriptionError):
            normalise_source(written)

    @pytest.mark.parametrize("key", ["a/b/", "a b/c+d/", "a#1/b?2/", "é/中/", "100%/x/"])
    def test_quilt_reads_the_same_folder(self, key: str) -> None:
        """What we send is a URI of the folder that was meant, also where a bare one would be cut off."""
        sent = normalise_source(f"s3://bucket/{key}")
        assert PhysicalKey.from_url(sent).path == key

    @settings(max_examples=200, deadline=None)
    @given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20))
    def test_any_local_folder(self, name: str) -> None:
        """A folder of any name has a URI that leads back to it."""
        folder = Path(os.path.realpath(Path("/nowhere", name)))
        uri = folder_uri(folder)
        assert local_path(uri) == folder
        assert normalise_source(uri) == uri

    def test_a_folder_whose_name_is_no_text(self) -> None:
        """Its bytes are in its URI."""
        folder = Path("/data", os.fsdecode(b"\xff"))
        assert local_path(folder_uri(folder)) == folder


class TestRegistries:
    """What a registry may be called."""

    @pytest.mark.parametrize(
        ("written", "registry"),
        [
            ("my-bucket", "s3://my-bucket"),
            ("s3://my-bucket", "s3://my-bucket"),
            ("s3://my-bucket/", "s3://my-bucket"),
            ("file:///data/reg", "file:///data/reg"),
            ("file:///data/reg/", "file:///data/reg"),
            ("file:///data/a b#1", "file:///data/a%20b%231"),
            ("/data/reg/", "file:///data/reg"),
            ("/data/a b#1?2", "file:///data/a%20b%231%3F2"),
            ("/", "file:///"),
        ],
    )
    def test_registries(self, written: str, registry: str) -> None:
        """A bucket or a folder, as a URI."""
        assert normalise_registry(written) == registry
        assert normalise_registry(registry) == registry

    def test_relative_folders(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """They are relative to the current folder or to the home."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path))
        for written in ("./reg", "reg/", "~/reg", "../" + tmp_path.name + "/reg"):
            assert normalise_registry(written) == (tmp_path / "reg").as_uri()

    @pytest.mark.parametrize(
        "written",
        [
            "",
            "a",
            "my bucket",
            "my_bucket!",
            "s3://",
            "s3://bucket/folder",
            "https://bucket.s3.amazonaws.com",
            "https://host/path",
            "file://relative",
            "file://host/path",
            "-x",
        ],
    )
    def test_what_is_no_registry(self, written: str) -> None:
        """No folder called ``https:`` is ever made by mistake."""
        with pytest.raises(DescriptionError):
            normalise_registry(written)

    def test_a_path_that_is_no_text(self) -> None:
        """Quilt could not keep it."""
        with pytest.raises(DescriptionError, match="must be UTF-8"):
            normalise_registry(os.fsdecode(b"/data/\xff"))


class TestMetadataUri:
    """References are resolved by RFC 3986 against the source prefix."""

    @pytest.mark.parametrize(
        ("reference", "resolved"),
        [
            ("metadata.json", "s3://bucket/results/run1/metadata.json"),
            ("./metadata.json", "s3://bucket/results/run1/metadata.json"),
            ("sub/metadata.json", "s3://bucket/results/run1/sub/metadata.json"),
            ("../metadata.json", "s3://bucket/results/metadata.json"),
            ("../../../../metadata.json", "s3://bucket/metadata.json"),
            ("/metadata.json", "s3://bucket/metadata.json"),
            ("//other/metadata.json", "s3://other/metadata.json"),
            ("s3://other/a/metadata.json", "s3://other/a/metadata.json"),
            ("s3://other/a?versionId=abc", "s3://other/a?versionId=abc"),
            ("metadata.json?versionId=abc", "s3://bucket/results/run1/metadata.json?versionId=abc"),
            ("a%20b.json", "s3://bucket/results/run1/a%20b.json"),
            ("a.json?from=s3://x/y", "s3://bucket/results/run1/a.json?from=s3://x/y"),
            ("https://host/metadata.json", "https://host/metadata.json"),
            ("file:///etc/passwd", "file:///etc/passwd"),
        ],
    )
    def test_references(self, reference: str, resolved: str) -> None:
        """Relative, absolute, of another bucket or of another kind altogether."""
        assert urljoin_s3(SOURCE, reference) == resolved
        description = parse_description({"source_prefix": SOURCE, "metadata_uri": reference})
        assert description.metadata_uri == resolved

    def test_of_a_local_folder(self) -> None:
        """The same rules, and the same folder where its name is odd."""
        assert urljoin_s3("file:///data/run/", "a.json") == "file:///data/run/a.json"
        assert urljoin_s3("file:///data/run/", "../a.json") == "file:///data/a.json"
        assert urljoin_s3("file:///data/r%231/", "a.json") == "file:///data/r%231/a.json"

    def test_beside_a_folder_with_a_hash_in_its_name(self) -> None:
        """Nothing is cut off at the ``#``."""
        description = parse_description({"source_prefix": "s3://bucket/run#1/", "metadata_uri": "a.json"})
        assert description.metadata_uri == "s3://bucket/run%231/a.json"

    @pytest.mark.parametrize("reference", ["//[", "http://[x"])
    def test_what_is_no_reference(self, reference: str) -> None:
        """It is an error that shows it."""
        with pytest.raises(DescriptionError, match="metadata_uri"):
            urljoin_s3(SOURCE, reference)


class TestMessages:
    """Quilt's message, taken apart."""

    def test_the_least(self) -> None:
        """Only source_prefix is required; what is optional is filled in."""
        description = parse_description(b'{"source_prefix": "s3://bucket/my/s3/folder/"}')
        assert description.source_prefix == "s3://bucket/my/s3/folder/"
        assert description.registry == "s3://bucket"
        assert description.package_name == "my_s3/folder"
        assert (description.metadata, description.metadata_uri, description.commit_message) == (None, None, None)
        assert description.quilt_workflow is None
        assert not description.is_local

    def test_the_most(self) -> None:
        """Everything that Quilt's engine takes."""
        message = {
            "source_prefix": "s3://bucket/run/",
            "registry": "other-bucket",
            "package_name": "lab/run",
            "metadata": {"project": "atlas"},
            "commit_message": "hello",
            "workflow": "alpha",
        }
        description = parse_description(json.dumps(message))
        assert serialise(description) == message
        assert (description.registry, description.quilt_workflow) == ("s3://other-bucket", "alpha")

    @pytest.mark.parametrize(
        "field", ["registry", "package_name", "metadata", "metadata_uri", "commit_message", "workflow"]
    )
    def test_null_is_absent(self, field: str) -> None:
        """As in Quilt's own engine."""
        assert parse_description({"source_prefix": SOURCE, field: None}) == parse_description({"source_prefix": SOURCE})

    def test_no_workflow_is_not_the_default(self) -> None:
        """An empty text asks for none, and is kept apart from silence."""
        description = parse_description({"source_prefix": SOURCE, "workflow": ""})
        assert description.quilt_workflow == ""
        assert serialise(description)["workflow"] == ""

    def test_a_registry_with_its_scheme(self) -> None:
        """Quilt's engine would look for a bucket called ``s3:``; here it is understood, and sent as Quilt has it."""
        description = parse_description({"source_prefix": SOURCE, "registry": "s3://other-bucket"})
        assert serialise(description)["registry"] == "other-bucket"

    def test_a_local_folder(self, tmp_path: Path) -> None:
        """It has no registry of its own, and knows its folder."""
        description = parse_description({"source_prefix": f"{tmp_path.as_uri()}/"})
        assert (description.registry, description.folder, description.is_local) == ("", tmp_path, True)

    @pytest.mark.parametrize(
        ("message", "sentence"),
        [
            pytest.param({}, "source_prefix is required", id="nothing"),
            pytest.param({"source_prefix": None}, "source_prefix is required", id="null"),
            pytest.param({"source_prefix": 7}, "source_prefix must be text, not int", id="a number"),
            pytest.param({"source_prefix": "x"}, "neither an S3 nor a local URI", id="no URI"),
            pytest.param(
                {"pakage_name": "a/b"}, "unknown field 'pakage_name'. Did you mean 'package_name'?", id="a typo"
            ),
            pytest.param({"prefix": "a/b"}, "Did you mean 'source_prefix'?", id="half a name"),
            pytest.param({"colour": "blue"}, "Known fields: source_prefix, registry,", id="another field"),
            pytest.param({"metadata": {}, "metadata_uri": "x"}, "mutually exclusive", id="both kinds of metadata"),
            pytest.param({"metadata": "text"}, "metadata must be an object, not str", id="metadata as text"),
            pytest.param({"metadata": []}, "metadata must be an object, not list", id="metadata as a list"),
            pytest.param({"package_name": ""}, "'' is not a package name", id="an empty name is not inferred"),
            pytest.param({"package_name": "no-slash"}, "'no-slash' is not a package name", id="a name without a slash"),
            pytest.param({"registry": "s3://bucket/x"}, "cannot be a folder of a bucket", id="half a bucket"),
            pytest.param({"registry": ["x"]}, "registry must be text", id="a list for a registry"),
            pytest.param({"commit_message": {}}, "commit_message must be text", id="an object for a message"),
            pytest.param({"commit_message": "\ud800"}, "commit_message must be Unicode", id="half a character"),
            pytest.param({"workflow": 1}, "workflow must be text", id="a number for a workflow"),
        ],
    )
    def test_what_is_wrong(self, message: dict[str, Any], sentence: str) -> None:
        """The error names the field and says where it was found."""
        whole = {"source_prefix": SOURCE, **message} if message and "source_prefix" not in message else message
        with pytest.raises(DescriptionError) as caught:
            parse_description(whole, where="message 7")
        assert sentence in str(caught.value)
        if "name" not in sentence and "bucket" not in sentence:
            assert str(caught.value).startswith("message 7: ")

    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(b"not JSON", id="text"),
            pytest.param(b"[]", id="a list"),
            pytest.param(b"null", id="null"),
            pytest.param(b"\xff\xfe\x00", id="bytes"),
            pytest.param(b'{"source_prefix": "s3://b/a/"', id="cut off"),
            pytest.param(b'{"source_prefix": "s3://b/a/", "metadata": {"x": NaN}}', id="NaN"),
            pytest.param(b'{"source_prefix": "s3://b/a/", "metadata": {"x": -Infinity}}', id="infinity"),
            pytest.param(b'{"source_prefix": "s3://b/a/", "metadata": {"x": 1e999}}', id="infinity in disguise"),
            pytest.param(b'{"source_prefix": "s3://b/a/", "metadata": {"x": "\\ud800"}}', id="half a character"),
            pytest.param(b'{"source_prefix": "s3://b/a/", "metadata": ' + b'{"x":' * 9_999, id="very deep"),
            pytest.param(
                b'{"source_prefix": "s3://b/a/", "metadata": {"x": ' + b"[" * 200 + b"1" + b"]" * 200 + b"}}", id="deep"
            ),
        ],
    )
    def test_what_is_no_message(self, data: bytes) -> None:
        """What Quilt could not store is refused here, before any work."""
        with pytest.raises(DescriptionError):
            parse_description(data)

    def test_how_deep_is_too_deep(self) -> None:
        """The limit is one that no metadata comes near."""
        deep = '{"x":' * (MAX_LEVELS - 1) + "[1]" + "}" * (MAX_LEVELS - 1)
        assert decode_json(deep)
        with pytest.raises(ValueError, match="nested more than 100 levels deep"):
            decode_json(f"[{deep}]")

    @settings(max_examples=200, deadline=None)
    @given(
        st.dictionaries(
            st.sampled_from(["source_prefix", "registry", "package_name", "metadata", "metadata_uri", "workflow", "x"]),
            st.none()
            | st.booleans()
            | st.integers()
            | st.text()
            | st.lists(st.text())
            | st.just(SOURCE)
            | st.just("a/b"),
        )
        | st.binary()
    )
    def test_anything_is_a_description_or_an_error(self, message: Any) -> None:
        """No input makes anything else of it; a description goes out as it came in."""
        try:
            description = parse_description(message)
        except DescriptionError:
            return
        assert parse_description(serialise(description)) == description


class TestCommand:
    """``provwatch describe``."""

    def test_the_demo_run(self, provwatch: Callable[..., Finished], demo: Path) -> None:
        """It prints one message that Quilt's engine would take."""
        message = provwatch("describe", demo, "--registry", "my-bucket").json
        assert message["source_prefix"] == folder_uri(demo)
        assert message["registry"] == "my-bucket"
        assert message["package_name"] == "demo/results"
        assert message["metadata"]["pipeline"]
        assert message["commit_message"].startswith(message["metadata"]["pipeline"])
        assert parse_description(message).package_name == "demo/results"

    def test_it_touches_nothing(self, provwatch: Callable[..., Finished], demo: Path, tmp_path: Path) -> None:
        """No ledger, no cache and no registry is made."""
        before = sorted(tmp_path.rglob("*")), sorted(Path.cwd().rglob("*"))
        assert provwatch("describe", demo, "--json").code == 0
        assert (sorted(tmp_path.rglob("*")), sorted(Path.cwd().rglob("*"))) == before

    def test_json_is_one_line(self, provwatch: Callable[..., Finished], demo: Path) -> None:
        """For programs; the same as for people."""
        for_people, for_programs = provwatch("describe", demo), provwatch("describe", demo, "--json")
        assert for_people.json == for_programs.json
        assert len(for_programs.out.splitlines()) == 1

    def test_what_is_said_by_hand_comes_first(self, provwatch: Callable[..., Finished], demo: Path) -> None:
        """Name, message, workflow and metadata."""
        message = provwatch(
            *("describe", demo, "--name", "lab/x", "--message", "hello", "--workflow", ""),
            *("--metadata", '{"project": "atlas"}', "--metadata-prefix", "my_"),
        ).json
        assert message["package_name"] == "lab/x"
        assert (message["commit_message"], message["workflow"]) == ("hello", "")
        assert message["metadata"]["my_project"] == "atlas"

    def test_a_folder_without_a_crate(self, provwatch: Callable[..., Finished], tmp_path: Path) -> None:
        """It is described by what there is."""
        (tmp_path / "run").mkdir()
        message = provwatch("describe", tmp_path / "run", "--name", "a/b").json
        assert message["metadata"] == {"schema": "1", "warnings": ["no-crate"]}
        assert message["commit_message"] == "Files of run"

    def test_a_description_of_a_description(
        self, provwatch: Callable[..., Finished], demo: Path, tmp_path: Path
    ) -> None:
        """What came out can go in again."""
        first = provwatch("describe", demo, "--json", "--name", "lab/x", "--metadata", '{"project": "atlas"}')
        (tmp_path / "description.json").write_text(first.out)
        again = provwatch("describe", tmp_path / "description.json").json
        assert {key for key in again if again[key] != first.json[key]} <= {"metadata"}
        assert again["metadata"]["project"] == "atlas"

    @pytest.mark.parametrize(
        ("arguments", "code", "sentence"),
        [
            pytest.param(["nowhere"], 5, "no such file or folder", id="a folder that is not there"),
            pytest.param([""], 2, "SOURCE is empty", id="an empty variable"),
            pytest.param(["s3://bucket/run/"], 2, "not there yet", id="a bucket"),
            pytest.param([".", "--name", "x"], 2, "'x' is not a package name", id="a name"),
            pytest.param([".", "--registry", "https://x"], 2, "is no registry", id="a registry"),
            pytest.param([".", "--metadata", "{"], 2, "--metadata is not JSON", id="metadata that is no JSON"),
            pytest.param([".", "--metadata", "nowhere"], 2, "--metadata cannot be read", id="a file that is not there"),
            pytest.param([".", "--metadata", "{}", "--nmae", "x"], 2, "No such option", id="an option"),
            pytest.param(
                [".", "--metadata", '{"pipeline": "x"}'], 1, "user metadata cannot set pipeline", id="a clash"
            ),
            pytest.param(["~nobody-of-this-name/x"], 5, "no such file or folder", id="a home of nobody"),
            pytest.param(["x" * 5_000], 5, "File name too long", id="a name too long"),
            pytest.param(["file://host/x"], 1, "no path on this machine", id="another machine"),
            pytest.param([os.fsdecode(b"\xff")], 5, "no such file or folder", id="bytes"),
            pytest.param([".", "--message", os.fsdecode(b"\xff")], 1, "must be Unicode", id="a message of bytes"),
            pytest.param([".", "--metadata", '{"x": NaN}'], 2, "not JSON", id="NaN"),
        ],
    )
    def test_what_cannot_be_described(
        self, provwatch: Callable[..., Finished], arguments: list[str], code: int, sentence: str
    ) -> None:
        """A sentence and an exit code, and nothing on standard output."""
        finished = provwatch("describe", *arguments)
        assert (finished.code, finished.out) == (code, "")
        assert sentence in finished.err
