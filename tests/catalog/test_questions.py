"""The five questions are answered from packages' metadata: in the catalog, and by the SQL that init prints."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import duckdb
import pytest

from catalog.indexer import columns, facets, search
from catalog.packages import STRANGER, latest, revisions
from catalog.questions import CAPITALS, QUESTIONS, Question, statement
from catalog.tables import ask, tables_of
from conftest import REPOSITORY, Finished
from provwatch.metadata import json_schema
from provwatch.metadata.schema import KEY_BY_NAME

README = (REPOSITORY / "README.md").read_text("utf-8")
BUCKET = "my-lab.bucket"
ASKED = pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
TRINO = {
    "json_extract",
    "json_extract_scalar",
    "json_array_contains",
    "json_format",
    "strpos",
    "regexp_like",
    "COALESCE",
}


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """Return the tables of a bucket with every package."""
    with tables_of(revisions(), BUCKET) as database:
        yield database


@pytest.fixture
def sql(provwatch: Callable[..., Finished]) -> str:
    """Return the SQL that init prints."""
    printed = provwatch("init", "quilt", "--print", "--registry", f"s3://{BUCKET}").out
    return printed.partition("# --- find-runs.sql\n")[2]


@ASKED
def test_the_catalog_answers(question: Question) -> None:
    """Facets of the metadata are enough for the search page's filters."""
    every = latest(revisions()) if question.latest else revisions()
    found = set().union(*(search(every, filters) for filters in question.filters))
    assert sorted(revision.name for revision in found) == sorted(question.answer)


@ASKED
def test_the_sql_answers(question: Question, sql: str, database: duckdb.DuckDBPyConnection) -> None:
    """The printed statements find the same, and what other people's packages hold does not stop them."""
    rows = ask(database, statement(sql, question.number, question.values))
    assert sorted(row["pkg_name"] for row in rows) == sorted(question.answer)


def test_who_ran_a_package(sql: str, database: duckdb.DuckDBPyConnection) -> None:
    """Every revision is there with its version and person, the newest first; the catalog shows the same facets."""
    rows = ask(database, statement(sql, 2, {"PACKAGE": "lab/repeated"}))
    assert [row["agent"] for row in rows] == ["Ada O'Neil", None]
    assert rows[0]["packaged"] > rows[1]["packaged"]
    (row,) = ask(database, statement(sql, 2, {"PACKAGE": "recorded/multi-module"}))
    shown = ("agent", "agent_orcid", "organization", "pipeline", "pipeline_version", "engine", "engine_version")
    assert [row[name] for name in shown] == [
        *("Ada Author", "https://orcid.org/0000-0002-1825-0097", "Acme Institute"),
        *("demo/multi", "2.1.0", "Nextflow", "25.10.7"),
    ]
    (revision,) = (each for each in revisions() if each.name == "recorded/multi-module")
    found = facets(revision.metadata)
    assert [found[f"/{name}"].values[0] for name in shown] == [row[name] for name in shown]
    for stranger in ("hand/stranger", "hand/list", "hand/nothing"):
        (row,) = ask(database, statement(sql, 2, {"PACKAGE": stranger}))
        assert {row["agent"], row["pipeline"], row["pipeline_version"]} == {None}
    assert ask(database, statement(sql, 2, {"PACKAGE": "lab/none"})) == []


def test_answers_come_newest_first_with_what_opens_them(sql: str, database: duckdb.DuckDBPyConnection) -> None:
    """Rows hold the top hash, so that the very revision can be opened, and are in the order of the runs."""
    rows = ask(database, statement(sql, 4, QUESTIONS["failed since a time"].values))
    assert [row["run_started"] for row in rows] == [
        *("2026-11-24T08:00:00", "2026-11-22T22:00:00Z", "2026-11-22T09:00:21Z", None)
    ]
    assert {row["run_error"] for row in rows} == {"STAR exited with 137"}
    hashes = {revision.top_hash: revision.name for revision in revisions()}
    assert [hashes[row["top_hash"]] for row in rows] == [row["pkg_name"] for row in rows]


def test_the_same_content_published_twice_is_one_answer(sql: str) -> None:
    """Quilt's own packaging writes another pointer to the same manifest each time."""
    (run,) = (revision for revision in revisions() if revision.name == "recorded/demo-count")
    again = replace(run, second=run.second + 60)
    with tables_of([run, again], BUCKET) as database:
        values = {"PIPELINE": "provwatch/demo-count", "SAMPLE": "alpha"}
        assert len(ask(database, statement(sql, 1, values))) == 1


def test_the_readmes_example_is_right(database: duckdb.DuckDBPyConnection) -> None:
    """It finds the packages that the printed statement finds, for an input that is named as a whole."""
    (example,) = re.findall(r"```sql\n(.*?)```", README, re.DOTALL)
    question = QUESTIONS["remote input"]
    asked = example.replace("my-bucket_", f"{BUCKET}_").replace(
        "s3://my-bucket/raw/reads_1.fq.gz", question.values["INPUT"]
    )
    assert tuple(row["pkg_name"] for row in ask(database, asked)) == question.answer


def test_the_readme_names_filters_and_statements(sql: str) -> None:
    """Its table has the questions in the order of the file, with the facets that the tests filter by."""
    section = README.partition("\n## Find runs\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.*?) \| (.*?) \| (\d)", section, re.MULTILINE)
    assert [number for *_, number in rows] == ["1", "2", "3", "4", "5"]
    titles = re.findall(r"^-- \d\. (.*)", sql, re.MULTILINE)
    assert [row[0].split()[0] for row in rows] == [title.lower().split()[0] for title in titles]
    for _, filters, number in rows:
        named = {f"/{name}" for name in re.findall(r"`(\w+)`", filters)}
        used = {pointer for each in QUESTIONS.values() if each.number == int(number) for pointer in each.filters[0]}
        assert number == "2" or named == used
        assert {pointer[1:] for pointer in named} <= set(KEY_BY_NAME)


def test_every_question_is_asked(sql: str) -> None:
    """The file has five statements, the tests ask them all, and nothing else has to be filled in."""
    assert re.findall(r"^-- (\d)\. ", sql, re.MULTILINE) == ["1", "2", "3", "4", "5"]
    assert {question.number for question in QUESTIONS.values()} | {2} == {1, 2, 3, 4, 5}
    assert sql.count(";") == 5
    assert "'" not in "".join(re.findall(r"--.*", sql))  # tools that cut files into statements trip over them
    texts = "".join(re.findall(r"'[^']*'", re.sub(r"--.*", "", sql)))
    assert set(re.findall(r"[A-Z]{3,}", texts)) == set(CAPITALS)


def test_every_key_exists(sql: str) -> None:
    """What the SQL and the filters name is in the schema."""
    in_sql = set(re.findall(r"'\$\.(\w+)'", sql))
    in_filters = {pointer[1:] for question in QUESTIONS.values() for each in question.filters for pointer in each}
    assert in_sql | in_filters <= set(KEY_BY_NAME)
    assert sql.count("'$") == len(re.findall(r"'\$\.\w+'", sql))


def test_only_functions_and_tables_of_trino_and_quilt(sql: str) -> None:
    """Nothing is called that only one engine knows."""
    code = re.sub(r"--.*|'[^']*'", "", sql)
    keywords = {"AND", "WHERE"}
    assert set(re.findall(r"(\w+)\s*\(", code)) - keywords <= TRINO
    assert set(re.findall(r'"([^"]+)" \w\b', code)) == {
        f"{BUCKET}_package_{table}" for table in ("revision", "tag", "manifest")
    }


def test_facets_of_runs() -> None:
    """Every key of a run is a facet, of the kind that its meaning asks for."""
    for revision in revisions():
        if not revision.name.startswith("hand/"):
            found = facets(revision.metadata)
            known = {name for name in revision.metadata if name in KEY_BY_NAME}
            assert known <= {pointer[1:] for pointer in found}
            assert {name for name in known if found[f"/{name}"].kind == "date"} == {
                name for name in known if KEY_BY_NAME[name].date
            }


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        pytest.param(None, None, id="null"),
        pytest.param([], None, id="empty list"),
        pytest.param([1, 2], None, id="numbers"),
        pytest.param(["a", 1], None, id="strings and numbers"),
        pytest.param([{"a": "b"}], None, id="objects"),
        pytest.param({}, None, id="empty object"),
        pytest.param(True, "boolean", id="boolean"),
        pytest.param(3, "double", id="number"),
        pytest.param("2026-11-22", "date", id="day"),
        pytest.param("2026-11-22T09:00:21Z", "date", id="time"),
        pytest.param("20240501", "date", id="a version like a day"),
        pytest.param("v20240501", "keyword", id="a version"),
        pytest.param("x" * 256, "keyword", id="256 characters"),
        pytest.param("x" * 257, "text", id="257 characters"),
        pytest.param(["2026-11-22"], "keyword", id="list of days"),
        pytest.param(["a", "x" * 257], "text", id="a long one among strings"),
    ],
)
def test_the_model_of_the_index(value: Any, kind: str | None) -> None:
    """The model keeps the index's rules, at any depth."""
    found = facets({"a": {"b/c": value}})
    assert {pointer: facet.kind for pointer, facet in found.items()} == ({"/a/b~1c": kind} if kind else {})


def test_columns_of_the_search_table() -> None:
    """The workflow's schema gives a column for all that the catalog's files and questions show."""
    runs = [revision for revision in revisions() if revision.metadata is not STRANGER]
    shown = columns(runs, json_schema())
    assert {"pipeline", "pipeline_version", "run_status", "run_started", "agent", "samples", "containers"} <= shown
    assert "project" not in shown  # a user's own keys are facets, and no columns
