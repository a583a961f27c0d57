"""Measure provwatch against its peers, side by side in one run, and write RESULTS.md.

Whole processes, the peers in turn, medians of several rounds; CPU seconds are user and system time, memory is
the largest resident set. By hand: ``python tests/benchmarks/run.py`` (about twenty minutes, 20 GB of disk), or
with names of cases: ``python tests/benchmarks/run.py convert help``.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from measuring import MIB, PROVWATCH, ROUNDS, Row, Usage, in_turn, measure, median, ratio
from uploading import bench_upload_large, bench_upload_many

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
SHARED = Path(os.environ.get("SHARED_DIR", REPOSITORY.parent / "shared"))
RESULTS = HERE / "RESULTS.md"

ROCRATE = "import sys; from rocrate.rocrate import ROCrate; ROCrate(sys.argv[1])"
QUILT3 = (
    "import os, sys; os.environ['QUILT_DISABLE_USAGE_METRICS'] = '1'; import quilt3; p = quilt3.Package(); "
    "p.set_dir('/', sys.argv[1]); print(p.build('bench/peer', registry=sys.argv[2]))"
)


def bench_help(scratch: Path) -> Iterator[Row]:
    """Time the help and a small conversion."""
    demo = str(REPOSITORY / "nextflow/demo/results")
    shown, small = in_turn(
        2 * ROUNDS,
        lambda: measure([*PROVWATCH, "--help"], scratch),
        lambda: measure([*PROVWATCH, "convert", demo], scratch),
    )
    a, b = median(shown), median(small)
    yield Row("`provwatch --help`", str(a), "", "", "under 0.25 s CPU", a.cpu < 0.25)
    yield Row("`convert` of the demo run (48 entities)", str(b), "", "", "under 0.35 s CPU", b.cpu < 0.35)
    many = SHARED / "runs/many-tasks"
    if many.is_dir():
        c = median(in_turn(2 * ROUNDS, lambda: measure([*PROVWATCH, "convert", str(many)], scratch))[0])
        yield Row("`convert` of a recorded run with 1,500 tasks", str(c), "", "", "under 0.35 s CPU", c.cpu < 0.35)


def bench_convert(scratch: Path) -> Iterator[Row]:
    """Convert large crates, and load the same with rocrate."""
    times: dict[int, float] = {}
    for entities in (10_000, 100_000, 1_000_000):
        folder = scratch / f"crate{entities}"
        folder.mkdir()
        path = folder / "ro-crate-metadata.json"
        # In a process of its own: what this one holds would count as its children's memory.
        made = [sys.executable, str(HERE / "make_crate.py"), str(entities), str(path)]
        exact = int(subprocess.run(made, check=True, capture_output=True, text=True).stdout.split()[0])
        convert = [*PROVWATCH, "convert", str(path)]
        what = f"`convert` of {exact:,} entities, {path.stat().st_size / 1e6:.0f} MB"
        if entities == 100_000:
            peer = [sys.executable, "-c", ROCRATE, str(folder)]
            ours, theirs = in_turn(ROUNDS, lambda c=convert: measure(c, scratch), lambda p=peer: measure(p, scratch))
            a, part = median(ours), ratio(ours, theirs)
            times[entities] = a.cpu
            yield Row(
                f"{what}, against rocrate loading it",
                str(a),
                str(median(theirs)),
                f"{part:.2f} CPU",
                "at most 0.20 CPU, 220 MiB",
                part <= 0.2 and a.rss <= 220,
            )
        else:
            rounds = ROUNDS if entities < 100_000 else 2
            a = median(in_turn(rounds, lambda c=convert: measure(c, scratch))[0])
            times[entities] = a.cpu
            yield Row(what, str(a), "", "", "under 1,526 MiB (1.6 GB)", a.rss < 1.6e9 / MIB)
        shutil.rmtree(folder)
    growth = (times[1_000_000] - times[10_000]) / (times[100_000] - times[10_000])
    yield Row("time from 100,000 to 1,000,000 entities", f"x {growth:.1f}", "", "", "linear: about x 11", growth < 15)


def bench_package_small(scratch: Path) -> Iterator[Row]:
    """Package 10,000 files of 10 kB, and build the same with quilt3."""
    source = scratch / "small"
    block = os.urandom(10_000)
    for number in range(10_000):
        path = source / f"d{number % 100:02d}" / f"f{number:05d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(number.to_bytes(4, "big") + block[4:])
    time.sleep(3)  # so that the files are not too fresh to be trusted
    yield from _package(scratch, source, "10,000 x 10 kB", "at most 1.00 CPU", lambda part, _: part <= 1.0, again=True)


def bench_package_large(scratch: Path) -> Iterator[Row]:
    """Package one file of 2 GiB, and build the same with quilt3."""
    source = scratch / "large"
    source.mkdir()
    with (source / "big.bin").open("wb") as out:
        for _ in range(256):
            out.write(os.urandom(8 * MIB))
    time.sleep(3)
    yield from _package(
        scratch,
        source,
        "1 x 2 GiB",
        "at most 1.20 CPU, no slower",
        lambda part, wall: part <= 1.2 and wall <= 1.0,
        again=False,
    )


def _package(
    scratch: Path, source: Path, what: str, wanted: str, good: Callable[[float, float], bool], *, again: bool
) -> Iterator[Row]:
    """Package a folder for the first time, and again unchanged; quilt3 does both each time."""
    ours_at, peer_at = scratch / "registry-ours", scratch / "registry-peer"

    def fresh() -> None:
        for folder in (ours_at, peer_at, scratch / "provwatch"):
            shutil.rmtree(folder, ignore_errors=True)

    def ours() -> Usage:
        return measure([*PROVWATCH, "package", str(source), "--registry", str(ours_at)], scratch)

    def first() -> Usage:
        fresh()
        return ours()

    def peer() -> Usage:
        return measure([sys.executable, "-c", QUILT3, str(source), str(peer_at)], scratch)

    runs = in_turn(ROUNDS, first, ours, peer)
    a, b, theirs = median(runs[0]), median(runs[1]), median(runs[2])
    part, wall = ratio(runs[0], runs[2]), ratio(runs[0], runs[2], "wall")
    shown = f"{part:.2f} CPU, {wall:.2f} wall"
    yield Row(f"`package` of {what}, against quilt3", str(a), str(theirs), shown, wanted, good(part, wall))
    if again:
        part = ratio(runs[1], runs[2])
        yield Row(f"again, unchanged: {what}", str(b), str(theirs), f"{part:.2f} CPU", "at most 0.25 CPU", part <= 0.25)


CASES: dict[str, Callable[[Path], Iterator[Row]]] = {
    "help": bench_help,
    "convert": bench_convert,
    "small": bench_package_small,
    "large": bench_package_large,
    "upload-many": bench_upload_many,
    "upload-large": bench_upload_large,
}


def main() -> None:
    """Run the cases and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", nargs="*", choices=[*CASES, []], help="all by default")
    chosen = parser.parse_args().case or list(CASES)
    rows: list[Row] = []
    for name in chosen:
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            for row in CASES[name](Path(scratch)):
                verdict = "ok " if row.reached else "NOT"
                print(verdict, row.what, row.ours, row.peer, row.ratio, f"({row.wanted})", sep=" | ", flush=True)
                rows.append(row)
    before = {} if len(chosen) == len(CASES) else _lines_of(RESULTS.read_text("utf-8"))
    RESULTS.write_text(_table({**before, **{row.what: _line(row) for row in rows}}), "utf-8")


def _line(row: Row) -> str:
    """Return a row's line of the table."""
    reached = "yes" if row.reached else "**no**"
    return f"| {row.what} | {row.ours} | {row.peer} | {row.ratio} | {row.wanted} | {reached} |"


def _lines_of(results: str) -> dict[str, str]:
    """Return the lines of an earlier table by what they are of; a run of some cases replaces only theirs."""
    lines = [line for line in results.splitlines() if line.startswith("| ")][1:]
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines}


def _table(lines: dict[str, str]) -> str:
    """Return the results as Markdown."""
    head = [
        "# Benchmark results",
        "",
        f"`python tests/benchmarks/run.py`, {time.strftime('%Y-%m-%d', time.gmtime())}, {platform.system()},",
        f"Python {platform.python_version()}, {os.cpu_count()} cores, shared and noisy: trust the ratios.",
        f"Whole processes, peers in turn; medians of {ROUNDS} rounds (of 10 for the short ones), ratios of each round.",
        "",
        "| what | provwatch | peer | ratio | wanted | reached |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *lines.values()]) + "\n"


if __name__ == "__main__":
    main()
