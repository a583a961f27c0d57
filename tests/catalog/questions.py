"""The five questions as people ask them, with the answers that the packages of the tests hold."""

from __future__ import annotations

import re
from dataclasses import dataclass

CAPITALS = ("PIPELINE", "SAMPLE", "PACKAGE", "CONTAINER", "SINCE", "INPUT")


@dataclass(frozen=True, slots=True)
class Question:
    """One of the five, asked once.

    Attributes:
        number: which.
        values: what is put for the words in capitals.
        filters: the catalog's filters that answer it too: facets by their pointers; any of several sets.
        answer: names of the packages found, once for each revision.
        latest: whether only latest revisions are asked for.
    """

    number: int
    values: dict[str, str]
    filters: tuple[dict[str, str], ...]
    answer: tuple[str, ...]
    latest: bool = False


def _run(pipeline: str, sample: str, *answer: str) -> Question:
    filters = {"/pipeline": pipeline, "/samples": sample}
    return Question(1, {"PIPELINE": pipeline, "SAMPLE": sample}, (filters,), answer)


def _container(image: str, *answer: str) -> Question:
    wanted = [registry + image + tag for registry in ("", "*/") for tag in ("", ":*", "@*")]
    return Question(3, {"CONTAINER": image}, tuple({"/containers": each} for each in wanted), answer)


def _failed(since: str, *answer: str) -> Question:
    times = {"/run_status": "failed", "/run_started": since}, {"/run_status": "failed", "/run_ended": since}
    return Question(4, {"SINCE": since}, times, answer)


def _input(written: str, *answer: str) -> Question:
    wanted = {"/inputs": written}, {"/inputs": f"*/{written}"}
    return Question(5, {"INPUT": written}, wanted, answer, latest=True)


MULTI = ("recorded/crate-in-subdir", "recorded/multi-module", "recorded/multi-module-resumed")
QUESTIONS: dict[str, Question] = {
    "no such sample": _run("demo/multi", "S9"),
    "part of a sample's name": _run("demo/small", "S"),
    "another pipeline's sample": _run("demo/multi", "alpha"),
    "sample": _run("demo/multi", "S1", *MULTI),
    "sample of both revisions": _run("demo/small", "S1", "lab/mine", "lab/repeated", "lab/repeated"),
    "sample of one revision": _run("demo/small", "S2", "lab/repeated"),
    "sample with a quote": _run("demo/small", "O'Neil 1", "lab/images"),
    "one of three hundred": _run("demo/many", "t_150", "recorded/three-hundred-tasks"),
    "no such image": _container("quay.io/b/bwa"),
    "part of an image's name": _container("quay.io/b/sta"),
    "image": _container("quay.io/b/star:2.7.11b", "lab/failed", "lab/images"),
    "image, another version": _container("quay.io/b/star:2.7.10"),
    "image, any version": _container("quay.io/b/star-aligner", "lab/failed", "lab/images"),
    "image by digest": _container("quay.io/b/multiqc@sha256:0f0f", "lab/images", "lab/repeated"),
    "image, any digest": _container("quay.io/b/multiqc", "lab/images", "lab/repeated"),
    "image, any registry": _container("multiqc", "lab/images", "lab/repeated"),
    "none failed since": _failed("2026-12-01"),
    "failed since a day": _failed("2026-11-23", "lab/failed-naive", "lab/failed-no-start"),
    "failed since a time": _failed(
        "2026-11-22T09:00:21", "lab/failed-late", "lab/failed-naive", "lab/failed-no-start", "lab/repeated"
    ),
    "failed since a year": _failed(
        "2026-01-01",
        *("lab/failed", "lab/failed-late", "lab/failed-naive", "lab/failed-no-start", "lab/repeated"),
    ),
    "no such input": _input("reads_X.fq"),
    "part of an input's name": _input("A.fq"),
    "input": _input("file:///data/nextflow/i_multi/data/reads_A.fq", *MULTI[1:]),
    "input by name": _input("reads_A.fq", *MULTI),
    "input beside the pipeline": _input("reference.fa", *MULTI),
    "input in a folder": _input("vi_subdir/data/reads_A.fq", MULTI[0]),
    "remote input": _input("http://127.0.0.1:8765/ref.txt", "recorded/remote-input"),
    "input with odd letters": _input("s3://lab/in/réads (1) %_.fq", "lab/inputs"),
    "name with odd letters": _input("réads (1) %_.fq", "lab/inputs"),
}


def statement(sql: str, number: int, values: dict[str, str]) -> str:
    """Return one statement of the file with values put for the words in capitals, as a person would."""
    (text,) = (part for part in sql.split(";") if f"\n-- {number}. " in part)
    for word, value in values.items():
        assert word in text
        text = re.sub(rf"(?<![A-Z]){word}(?![A-Z])", lambda _, to=value: to.replace("'", "''"), text)
    return text
