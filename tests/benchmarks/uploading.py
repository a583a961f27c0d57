"""Publishing to a bucket against quilt3's ``push``, on versitygw as the S3 server."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measuring import MIB, PROVWATCH, ROUNDS, Row, Usage, in_turn, measure, median, ratio

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from s3.servers import ACCESS_KEY, SECRET_KEY, Proxy, proxied, running, versitygw

PUSH = (
    "import os, sys; os.environ['QUILT_DISABLE_USAGE_METRICS'] = '1'; import quilt3; p = quilt3.Package(); "
    "p.set_dir('/', sys.argv[1]); p.push(sys.argv[2], registry='s3://bench', force=True, dedupe=True)"
)
WRITES = ("PutObject", "CreateUpload", "UploadPart", "CompleteUpload")
MAX_RSS_MIB = 250e6 / MIB


@contextmanager
def server() -> Iterator[Proxy]:
    """Run a server with one versioned bucket; clients find it without the proxy, which counts when it is asked to."""
    import boto3  # noqa: PLC0415 - what this process holds would count as its children's memory

    if not versitygw():
        raise SystemExit("versitygw is not installed; see .ci/run")
    with tempfile.TemporaryDirectory(prefix="s3-") as folder, running("versitygw", Path(folder)) as port:
        os.environ |= {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        }
        client = boto3.client("s3")
        client.create_bucket(Bucket="bench")
        client.put_bucket_versioning(Bucket="bench", VersioningConfiguration={"Status": "Enabled"})
        with proxied(port) as proxy:
            yield proxy


def ours(source: Path, name: str, scratch: Path) -> Usage:
    """Publish with provwatch, as it comes: with report and summary."""
    return measure([*PROVWATCH, "package", str(source), "--registry", "s3://bench", "--name", name], scratch)


def theirs(source: Path, name: str, scratch: Path) -> Usage:
    """Push with quilt3."""
    return measure([sys.executable, "-c", PUSH, str(source), name], scratch)


@contextmanager
def counting(proxy: Proxy) -> Iterator[None]:
    """Send requests through the proxy for a while."""
    direct = os.environ["AWS_ENDPOINT_URL"]
    os.environ["AWS_ENDPOINT_URL"] = proxy.url
    proxy.counts()
    yield
    os.environ["AWS_ENDPOINT_URL"] = direct


def _said(counts: dict[str, int]) -> str:
    """Return counted requests for the table."""
    return f"{sum(counts.values())} requests: " + ", ".join(f"{count} {name}" for name, count in counts.items())


def bench_upload_many(scratch: Path) -> Iterator[Row]:
    """Publish 1,000 files of 100 kB: the first time, unchanged, and with ten changed."""
    source = scratch / "many"
    source.mkdir()
    for number in range(1_000):
        (source / f"f{number:04d}.bin").write_bytes(os.urandom(100_000))
    time.sleep(3)  # so that the files are not too fresh to be trusted
    what, turns = "1,000 x 100 kB to S3", iter(range(1_000))
    with server() as proxy:
        first = in_turn(
            ROUNDS,
            lambda: ours(source, f"ours/n{next(turns)}", scratch),
            lambda: theirs(source, f"theirs/n{next(turns)}", scratch),
        )
        yield _row(what, first, "no slower, under 250 MB")
        ours(source, "ours/again", scratch)
        theirs(source, "theirs/again", scratch)
        again = in_turn(
            ROUNDS, lambda: ours(source, "ours/again", scratch), lambda: theirs(source, "theirs/again", scratch)
        )
        with counting(proxy):
            ours(source, "ours/again", scratch)
            mine = proxy.counts()
            theirs(source, "theirs/again", scratch)
            peers = proxy.counts()
        wall = ratio(*again, "wall")
        good = wall <= 0.2 and sum(mine.values()) <= 10 and not any(name in mine for name in WRITES)
        yield Row(
            "again, unchanged, against `push(dedupe=True)`",
            f"{median(again[0])}; {_said(mine)}",
            f"{median(again[1])}; {_said(peers)}",
            f"{wall:.2f} wall",
            "0 PUT, at most 10 requests, at most 0.20 wall",
            good,
        )
        yield _ten_changed(source, scratch, proxy)


def _ten_changed(source: Path, scratch: Path, proxy: Proxy) -> Row:
    """Publish with ten files changed, counting."""
    for number in range(10):
        (source / f"f{number:04d}.bin").write_bytes(os.urandom(100_000))
    with counting(proxy):
        a = ours(source, "ours/again", scratch)
        objects = [key for key in proxy.put() if key.startswith("ours/again/")]
        mine = proxy.counts()
        b = theirs(source, "theirs/again", scratch)
        peers = proxy.counts()
    return Row(
        "10 of 1,000 changed",
        f"{a}; {_said(mine)}",
        f"{b}; {_said(peers)}",
        f"{a.wall / b.wall:.2f} wall",
        "10 PUT, those of generated files, manifest and pointers",
        len(objects) == 10 and mine["PutObject"] <= 10 + 4 + 3,
    )


def bench_upload_large(scratch: Path) -> Iterator[Row]:
    """Publish one file of 2 GiB."""
    source = scratch / "large"
    source.mkdir()
    with (source / "big.bin").open("wb") as out:
        for _ in range(256):
            out.write(os.urandom(8 * MIB))
    turns = iter(range(1_000))

    def fresh() -> Usage:
        os.utime(source / "big.bin")  # so that its hash is not known from the last round
        return ours(source, f"ours/n{next(turns)}", scratch)

    with server():
        runs = in_turn(3, fresh, lambda: theirs(source, f"theirs/n{next(turns)}", scratch))
        yield _row("1 x 2 GiB to S3", runs, "no slower, under 250 MB")


def _row(what: str, runs: list[list[Usage]], wanted: str) -> Row:
    """Return the line for a first upload."""
    a, b = map(median, runs)
    wall = ratio(*runs, "wall")
    shown = f"{ratio(*runs):.2f} CPU, {wall:.2f} wall"
    good = wall <= 1.0 and a.rss <= MAX_RSS_MIB
    return Row(f"`package` of {what}, against `push`", str(a), str(b), shown, wanted, good)
