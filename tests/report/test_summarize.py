"""``quilt_summarize.json`` is what Quilt's catalog takes, in the order people want."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from provwatch.report import SUMMARIZE, PackagedFile, generate

TYPES = ["echarts", "html", "igv", "json", "jupyter", "perspective", "text", "vega", "voila"]
FILE: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {
            "type": "object",
            "required": ["path"],
            "additionalProperties": False,
            "properties": {
                "path": {"type": "string", "minLength": 1},
                "title": {"type": "string"},
                "description": {"type": "string"},
                "expand": {"type": "boolean"},
                "width": {"type": ["string", "number"]},
                "types": {"type": "array", "minItems": 1, "items": {"enum": TYPES}},
            },
        },
    ]
}
MODEL = {"type": "array", "items": {"anyOf": [*FILE["anyOf"], {"type": "array", "minItems": 1, "items": FILE}]}}
"""Our model of the published schema; a row is a file, or files beside each other."""


def summary(*keys: str) -> list[Any]:
    """Return the rows for a package of these files."""
    files = [PackagedFile(key, 1) for key in sorted(keys)]
    rows: list[Any] = json.loads(generate(None, {"schema": "1"}, None, files, title="a/b")[SUMMARIZE])
    jsonschema.validate(rows, MODEL)
    return rows


def paths(rows: list[Any]) -> list[str]:
    """Return the paths in their order."""
    flat = [file for row in rows for file in (row if isinstance(row, list) else [row])]
    return [file["path"] if isinstance(file, dict) else file for file in flat]


def test_order() -> None:
    """The report first, then MultiQC, reports, tables, images; results before what tells of the run."""
    rows = summary(
        "plots/pca.png",
        "pipeline_info/execution_report_2026.html",
        "multiqc/multiqc_report.html",
        "fastqc/a_fastqc.html",
        "counts.tsv",
        "pipeline_info/params.csv",
        "a.bam",
        "table.csv.gz",
    )
    assert paths(rows) == [
        "provwatch/report.md",
        "multiqc/multiqc_report.html",
        "fastqc/a_fastqc.html",
        "pipeline_info/execution_report_2026.html",
        "counts.tsv",
        "pipeline_info/params.csv",
        "plots/pca.png",
    ]


@pytest.mark.parametrize("kind", ["html", "csv", "png"])
def test_bounded(kind: str) -> None:
    """A thousand of anything are a few rows."""
    assert len(paths(summary(*(f"d{n}/f{n}.{kind}" for n in range(1_000))))) <= 30


def test_no_files_but_the_report() -> None:
    """Nothing else to show is fine."""
    assert paths(summary("a.bam")) == ["provwatch/report.md"]
