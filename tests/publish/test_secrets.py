"""Secrets stay out of packages: provenance is cleaned by name, look and value, results by peculiar values only."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Finished
from provwatch.crate import find_crate, read_crate_file
from provwatch.metadata import Sources, gather
from provwatch.metadata.redact import REDACTED
from provwatch.publish import hash_cache, secrets
from provwatch.publish.entries import scan_folder
from provwatch.publish.secrets import BLOCK_BYTES, is_provenance, redactions, redactor_for
from publish.registries import browse, check_readable, content
from publish.trees import PLANTED, copy_tree, stored_bytes, write_tree

PECULIAR = "s3cr3t/Pass+word=&'\"é"
PLAIN = "correct"
SHORT = "pw1"
WARNED = b"packaged as it is, with a warning"


def crate_with(**parameters: Any) -> str:
    """Return the crate of a run with these parameters."""
    values = [
        {"@id": f"#param/{name}/value", "@type": "PropertyValue", "name": name, "value": value}
        for name, value in parameters.items()
    ]
    run = {"@id": "#run", "@type": "CreateAction", "instrument": {"@id": "main.nf"}, "object": _refer(values)}
    root = {"@id": "./", "@type": "Dataset", "mainEntity": {"@id": "main.nf"}, "mentions": {"@id": "#run"}}
    workflow = {"@id": "main.nf", "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"], "name": "p"}
    descriptor = {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
    }
    graph = [descriptor, root, workflow, run, *values]
    return json.dumps({"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph}, indent=2)


def _refer(entities: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return references to some entities."""
    return [{"@id": entity["@id"]} for entity in entities]


def sources_of(folder: Path) -> Sources | None:
    """Return what a folder's crate says."""
    found = find_crate(folder)
    return gather(read_crate_file(found)) if found else None


def cleaned(folder: Path) -> dict[str, bytes]:
    """Return the clean copies that a folder's files need, by logical key."""
    files, sources = scan_folder(folder).files, sources_of(folder)
    found = redactions(files, redactor_for(sources, files), sources.crate.filename if sources else "")
    result = {}
    for file, redaction in found:
        if redaction.clean is None:
            result[file.logical_key] = WARNED
            continue
        assert redaction.original == Path(file.path).read_bytes()
        result[file.logical_key] = redaction.clean
    return result


@pytest.mark.parametrize(
    ("key", "provenance"),
    [
        ("counts/S1.tsv", False),
        ("main.nf", False),
        ("nextflow_schema.json", False),
        ("my-execution.txt", False),
        ("ro-crate-metadata.json", True),
        ("sub/ro-crate-metadata.jsonld", True),
        ("run.wrroc.json", True),
        ("bco.json", True),
        ("nextflow.config", True),
        ("conf/nextflow.config", True),
        ("custom.config", True),
        ("params_2026-11-22.json", True),
        ("my-params.yml", True),
        ("trace-2026.txt", True),
        ("execution_report.html", True),
        (".nextflow.log.1", True),
        ("x/.command.sh", True),
        ("pipeline_info/anything.csv", True),
        (".lineage/a/.data.json", True),
        ("pipeline_info", False),
    ],
)
def test_provenance_files(key: str, *, provenance: bool) -> None:
    """Files that tell how results were made are known by name or folder."""
    assert is_provenance(key) is provenance


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({}, id="no files"),
        pytest.param({"x": PECULIAR}, id="nothing says that it is a secret"),
        pytest.param({"ro-crate-metadata.json": crate_with(genome="GRCh38", threads=4)}, id="no secret parameters"),
        pytest.param({"ro-crate-metadata.json": crate_with(api_token=None, is_private="true")}, id="a flag and a null"),
        pytest.param({"ro-crate-metadata.json": crate_with(api_token=REDACTED), "x": REDACTED}, id="redacted already"),
        pytest.param({"params.json": "{not JSON", "x": "abc"}, id="parameters that are no JSON"),
        pytest.param({"params.json": '{"genome": "token"}'}, id="a secret-looking value under another name"),
        pytest.param({"results.json": '{"tokens": "unigram bigram"}'}, id="a result that talks of tokens"),
    ],
)
def test_nothing_to_clean(tmp_path: Path, files: dict[str, str]) -> None:
    """Files without secrets stay where they are."""
    assert cleaned(write_tree(tmp_path, files)) == {}


CRATE_WITH_SECRET = crate_with(api_token=PECULIAR, genome="GRCh38")


@pytest.mark.parametrize(
    ("name", "text", "gone"),
    [
        pytest.param("notes.txt", f"I used {PECULIAR} here", PECULIAR, id="a text"),
        pytest.param("trace.txt", f"--token {PECULIAR}\tdone", PECULIAR, id="a trace"),
        pytest.param("pipeline_info/x.csv", f"a,{PECULIAR}", PECULIAR, id="in pipeline_info"),
        pytest.param("report.json", json.dumps({"x": PECULIAR}), json.dumps(PECULIAR)[1:-1], id="as JSON writes it"),
        pytest.param(
            "report.jsonl", json.dumps(PECULIAR, ensure_ascii=False), "s3cr3t/Pass", id="as JSON may also write it"
        ),
        pytest.param("report.html", "s3cr3t/Pass+word=&amp;&#x27;&quot;é", "s3cr3t/Pass", id="as HTML writes it"),
        pytest.param("urls.txt", "x?t=s3cr3t%2FPass%2Bword%3D%26%27%22%C3%A9&y", "s3cr3t%2F", id="as a URL has it"),
        pytest.param("run.sh", "t='s3cr3t/Pass+word=&'\\''\"é'", "s3cr3t/Pass", id="as a shell has it"),
        pytest.param("main.config", "t = 's3cr3t/Pass+word=&\\'\"é'", "s3cr3t/Pass", id="as Groovy has it"),
    ],
)
def test_a_secret_parameter_is_found_everywhere(tmp_path: Path, name: str, text: str, gone: str) -> None:
    """Wherever a secret parameter's value turns up in a text, in whichever spelling, it is taken out."""
    clean = cleaned(write_tree(tmp_path, {"ro-crate-metadata.json": CRATE_WITH_SECRET, name: text}))
    assert set(clean) == {"ro-crate-metadata.json", name}
    assert gone.encode() not in clean[name]
    assert REDACTED.encode() in clean[name]


def test_a_clean_crate_is_still_a_crate(tmp_path: Path) -> None:
    """Its JSON is whole, and only the secret is gone."""
    clean = cleaned(write_tree(tmp_path, {"ro-crate-metadata.json": CRATE_WITH_SECRET}))
    before, after = json.loads(CRATE_WITH_SECRET), json.loads(clean["ro-crate-metadata.json"])
    values = {entity["@id"]: entity.get("value") for entity in after["@graph"]}
    assert values["#param/api_token/value"] == REDACTED
    assert values["#param/genome/value"] == "GRCh38"
    assert [entity["@id"] for entity in after["@graph"]] == [entity["@id"] for entity in before["@graph"]]


@pytest.mark.parametrize("value", [SHORT, 123, ["one-secret", "two-secret"], {"key": "inner-secret"}, "default"])
def test_short_values_are_cleaned_where_they_are_named(tmp_path: Path, value: Any) -> None:
    """A value too short to search for is taken out of the crate and of parameter files all the same."""
    files = {
        "ro-crate-metadata.json": crate_with(db_password=value),
        "pipeline_info/params_2026.json": json.dumps({"db_password": value if isinstance(value, str) else SHORT}),
        "results.txt": f"{SHORT} default 123",
    }
    clean = cleaned(write_tree(tmp_path, files))
    assert set(clean) == {"ro-crate-metadata.json", "pipeline_info/params_2026.json"}
    (parameter,) = (
        entity
        for entity in json.loads(clean["ro-crate-metadata.json"])["@graph"]
        if entity["@id"] == "#param/db_password/value"
    )
    assert "secret" not in json.dumps(parameter["value"])
    assert SHORT not in json.dumps(parameter["value"])
    assert json.loads(clean["pipeline_info/params_2026.json"]) == {"db_password": REDACTED}


def test_short_values_in_odd_crates(tmp_path: Path) -> None:
    """Repeated entities, entities inside others and parameters that are JSON themselves are cleaned as well."""
    crate = json.loads(crate_with(options='{"password": "pw1", "genome": "GRCh38"}', genomes="[1, 2", region="{}"))
    crate["@graph"] += [
        {"@id": "#twice", "@type": "PropertyValue", "name": "password", "value": "pw2"},
        {"@id": "#twice", "@type": "PropertyValue", "name": "password", "value": "pw3"},
        {
            "@id": "#task",
            "@type": "CreateAction",
            "object": [{"@type": "PropertyValue", "name": "token", "value": "pw4"}],
        },
        {"@id": "#param/key", "@type": "FormalParameter", "name": "api_key", "defaultValue": "pw5"},
        {"@id": "#value", "@type": "PropertyValue", "value": "pw6", "exampleOfWork": {"@id": "#param/key"}},
    ]
    for text in (json.dumps(crate), json.dumps(crate, indent=4), "\ufeff" + json.dumps(crate)):
        clean = cleaned(write_tree(tmp_path, {"ro-crate-metadata.json": text}))["ro-crate-metadata.json"]
        assert b"pw" not in clean
        assert [entity["@id"] for entity in json.loads(clean)["@graph"]] == [one["@id"] for one in crate["@graph"]]
        assert b"GRCh38" in clean


def test_results_are_only_cleaned_of_what_cannot_be_chance(tmp_path: Path) -> None:
    """An ordinary word that happens to be a password stays in results; in provenance it goes."""
    files = {
        "ro-crate-metadata.json": crate_with(password=PLAIN),
        "results.txt": f"the answer is {PLAIN}",
        "pipeline_info/log.txt": f"--password {PLAIN}",
    }
    assert set(cleaned(write_tree(tmp_path, files))) == {"ro-crate-metadata.json", "pipeline_info/log.txt"}


def test_secrets_of_parameter_files_are_known(tmp_path: Path) -> None:
    """Without a crate, the parameters that a pipeline wrote down say what is secret."""
    files = {"pipeline_info/params.json": json.dumps({"aws": {"secret_key": PECULIAR}}), "log.txt": f"x {PECULIAR} y"}
    clean = cleaned(write_tree(tmp_path, files))
    assert clean["log.txt"] == f"x {REDACTED} y".encode()
    assert json.loads(clean["pipeline_info/params.json"]) == {"aws": {"secret_key": REDACTED}}


def test_secrets_of_the_configuration_are_known(tmp_path: Path) -> None:
    """What nextflow.config sets beside the crate is secret as well."""
    files = {
        "ro-crate-metadata.json": crate_with(genome="GRCh38"),
        "nextflow.config": f"params {{\n   api_key = 'my-{PLANTED.decode()}'\n}}\n",
        "log.txt": f"key my-{PLANTED.decode()}",
    }
    clean = cleaned(write_tree(tmp_path, files))
    assert clean["log.txt"] == f"key {REDACTED}".encode()
    assert PLANTED not in clean["nextflow.config"]


@pytest.mark.parametrize(
    "secret",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_0123456789abcdefghij0123456789abcdef",
        "https://user:pass@host/x",
        "https://b.s3.amazonaws.com/x?X-Amz-Signature=0123456789abcdef",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_secret_goes_from_provenance(tmp_path: Path, secret: str) -> None:
    """Keys, tokens and signed addresses are known by their look; results may hold what looks like one."""
    clean = cleaned(write_tree(tmp_path, {".command.log": f"x {secret} y", "results.txt": f"x {secret} y"}))
    assert set(clean) == {".command.log"}
    assert secret.encode() not in clean[".command.log"]


def test_binary_files_are_left_alone(tmp_path: Path) -> None:
    """Changing a byte of a BAM would break it, so there is a warning."""
    files = {"ro-crate-metadata.json": CRATE_WITH_SECRET, "x.bam": b"BAM\0" + PECULIAR.encode(), "y.bam": b"BAM\0"}
    clean = cleaned(write_tree(tmp_path, files))
    assert (set(clean), clean["x.bam"]) == ({"ro-crate-metadata.json", "x.bam"}, WARNED)


@pytest.mark.parametrize("start", [b"", b"\0"])
@pytest.mark.parametrize("offset", [-10, 0, 10])
def test_large_files_are_searched(tmp_path: Path, start: bytes, offset: int) -> None:
    """A report of any size is searched, also where a secret stands on the border of two blocks."""
    large = start + b" " * (17 * BLOCK_BYTES + offset - len(start)) + PECULIAR.encode() + b" " * 100
    clean = cleaned(write_tree(tmp_path, {"ro-crate-metadata.json": CRATE_WITH_SECRET, "multiqc.html": large}))
    assert (clean["multiqc.html"] == WARNED) is bool(start)
    assert PECULIAR.encode() not in clean["multiqc.html"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("custom.config", f"aws {{ secretKey = '{PLANTED.decode()}' }}", id="AWS"),
        pytest.param("custom.config", f"tower {{\n  accessToken = '{PLANTED.decode()}'\n}}", id="Tower"),
        pytest.param("params.yml", f"aws:\n  secret_key: {PLANTED.decode()}\n", id="YAML"),
        pytest.param("my_params.yaml", f"tokens:\n  - {PLANTED.decode()}\n", id="a list in YAML"),
        pytest.param("params.yaml", f"password: >\n  {PLANTED.decode()}\n", id="folded YAML"),
        pytest.param(".nextflow.log", f"run main.nf --token {PLANTED.decode()} -v", id="a flag in a log"),
        pytest.param("trace.txt", f"1\tcurl -u --password={PLANTED.decode()}\t0", id="a command in a trace"),
        pytest.param("pipeline_info/x.txt", f"Server=x;Password={PLANTED.decode()};", id="a connection string"),
    ],
)
def test_what_provenance_files_assign_is_known_elsewhere(tmp_path: Path, name: str, text: str) -> None:
    """What one of them gives away goes from it and from all others."""
    clean = cleaned(write_tree(tmp_path, {name: text, "results.txt": f"x {PLANTED.decode()}"}))
    assert clean["results.txt"] == f"x {REDACTED}".encode()
    assert PLANTED not in clean[name]


def test_json_stays_json(tmp_path: Path) -> None:
    """A number of tokens is no secret, and never torn out of other numbers."""
    files = {"params.json": '{"max_tokens": 100000, "api_token": "100000"}', "bco.json": '{"n": 1000001, "m": 100000}'}
    clean = cleaned(write_tree(tmp_path, files))
    assert json.loads(clean["params.json"]) == {"max_tokens": 100000, "api_token": REDACTED}
    assert json.loads(clean.get("bco.json", b'{"n": 1000001, "m": 100000}')) == {"n": 1000001, "m": 100000}


def test_properties_of_files(tmp_path: Path, provwatch: Callable[..., Finished], registry: Path) -> None:
    """Neither the stored crate nor an entry holds a secret property, or one that is a PropertyValue inside."""
    crate = json.loads(crate_with(genome="GRCh38"))
    nested = [{"@type": "PropertyValue", "name": "password", "value": "pw1-x"}]
    crate["@graph"].append({"@id": "a.txt", "@type": "File", "api_token": "pw2-x", "additionalProperty": nested})
    folder = write_tree(tmp_path / "lab/r", {"ro-crate-metadata.json": json.dumps(crate), "a.txt": "a"})
    assert provwatch("package", folder, "--registry", registry).code == 0
    kept = stored_bytes(registry)
    assert not [path for path, data in kept.items() if b"pw1-x" in data or b"pw2-x" in data]


def test_unchanged_files_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provwatch: Callable[..., Finished], registry: Path
) -> None:
    """What was found clean is searched again only for other secrets."""
    monkeypatch.setattr(hash_cache, "RACY_NS", 0)
    files = {"ro-crate-metadata.json": CRATE_WITH_SECRET, "a.txt": "a", "trace.txt": "b"}
    folder = write_tree(tmp_path / "lab/r", files)
    read: list[str] = []
    real = secrets.redacted
    monkeypatch.setattr(secrets, "redacted", lambda file, *rest: read.append(file.logical_key) or real(file, *rest))
    provwatch("package", folder, "--registry", registry)
    assert sorted(read) == ["a.txt", "ro-crate-metadata.json", "trace.txt"]
    read.clear()
    provwatch("package", folder, "--registry", registry, "--dedup", "off")
    assert read == ["ro-crate-metadata.json"]
    (folder / "ro-crate-metadata.json").write_text(CRATE_WITH_SECRET.replace("s3cr3t", "an0ther"))
    read.clear()
    provwatch("package", folder, "--registry", registry)
    assert sorted(read) == ["a.txt", "ro-crate-metadata.json", "trace.txt"]


RUNS = ("multi-module", "crate-in-subdir")
WAYS = (
    pytest.param([], id="in place"),
    pytest.param(["--copy"], id="copied"),
    pytest.param(["--keep-config"], id="with the configuration"),
    pytest.param(["--keep-config", "--copy"], id="both"),
    pytest.param(["--files", "listed", "--copy"], id="listed"),
)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("options", WAYS)
def test_the_planted_secret_never_comes_out(
    tmp_path: Path, recorded: Path, provwatch: Callable[..., Finished], registry: Path, run: str, options: list[str]
) -> None:
    """No byte that provwatch stores holds it, nor any entry's, nor anything it says; the outdir stays as it was."""
    results = copy_tree(recorded / run / "results", tmp_path / "lab/results")
    before = stored_bytes(results)
    assert any(PLANTED in data for data in before.values())
    first = provwatch("package", results, "--registry", registry, *options)
    again = provwatch("package", results, "--registry", registry, "--json", *options)
    assert (first.code, again.json["outcome"]) == (0, "duplicate"), first.err
    kept = stored_bytes(registry, Path(os.environ["HOME"]))
    assert [path for path, data in kept.items() if PLANTED in data] == []
    assert [key for key, data in content(registry, "lab/results").items() if PLANTED in data] == []
    assert PLANTED.decode() not in first.out + first.err + again.out + again.err
    assert stored_bytes(results) == before
    check_readable(registry)
    configs = [key for key in content(registry, "lab/results") if key.endswith("nextflow.config")]
    assert bool(configs) is ("--keep-config" in options)


def test_what_an_entry_remembers_of_the_original(
    tmp_path: Path, recorded: Path, provwatch: Callable[..., Finished], registry: Path
) -> None:
    """A redacted entry carries the original's hashes, and lies in the registry; the others stay in place."""
    results = copy_tree(recorded / "multi-module/results", tmp_path / "lab/results")
    finished = provwatch("package", results, "--registry", registry, "--no-summary", "--json")
    package = browse(registry, "lab/results")
    redacted = {key for key, entry in package.walk() if entry.meta.get("provwatch", {}).get("redacted")}
    assert redacted == {"ro-crate-metadata.json", "bco.json"}
    assert {f"redacted:{key}" for key in redacted} <= set(finished.json["warnings"])
    for key, entry in package.walk():
        stored = str(entry.physical_key).startswith((registry / ".provwatch/objects").as_uri())
        assert stored is (key in redacted)
        if stored:
            mark = entry.meta["provwatch"]
            assert mark["original_size"] == (results / key).stat().st_size
