"""``quilt_summarize.json``: what the Quilt catalog shows of a package, in which order.

Format: https://docs.quilt.bio/quilt-platform-catalog-user/visualizationdashboards
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from provwatch.report.files import PackagedFile, is_image, is_multiqc, is_report, is_table, nearest

MULTIQC, REPORTS, TABLES, IMAGES = 2, 5, 8, 8
IMAGES_IN_A_ROW = 2


def summarize(report: str, files: Sequence[PackagedFile], *, shown_already: bool) -> list[Any]:
    """Return the rows: the run's report, then MultiQC, other reports, tables, images; those nearest to the top.

    Args:
        report: logical key of the run's report, or "".
        files: the package's own files.
        shown_already: whether the catalog shows the report as the package's README anyway; then it is folded.
    """
    rows: list[Any] = [{"path": report, "title": "Run report", "expand": not shown_already}] if report else []
    shown: list[tuple[Callable[[PackagedFile], bool], int, dict[str, Any]]] = [
        (is_multiqc, MULTIQC, {"title": "MultiQC", "types": ["html"], "expand": True}),
        (is_report, REPORTS, {"types": ["html"]}),
        (is_table, TABLES, {"types": ["perspective"]}),
    ]
    for wanted, most, how in shown:
        rows += [{"path": file.logical_key, **how} for file in nearest(filter(wanted, files), most)]
    images = [file.logical_key for file in nearest(filter(is_image, files), IMAGES)]
    rows += [images[start : start + IMAGES_IN_A_ROW] for start in range(0, len(images), IMAGES_IN_A_ROW)]
    return rows
