"""What tests with buckets share: a server process for each worker, and a fresh bucket for each test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from s3.servers import ACCESS_KEY, SECRET_KEY, Proxy, proxied, running, versitygw


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, and the proxy that every request goes through.

    Attributes:
        name: its name.
        proxy: counts, and makes things go wrong.
        client: goes to the server itself.
    """

    name: str
    proxy: Proxy
    client: Any

    @property
    def registry(self) -> str:
        """Its address as a registry."""
        return f"s3://{self.name}"

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys of its objects."""
        return [
            found["Key"] for found in self.client.list_objects_v2(Bucket=self.name, Prefix=prefix).get("Contents", ())
        ]

    def versions(self, prefix: str = "") -> list[str]:
        """Return the keys of all versions of its objects."""
        return [found["Key"] for found in self.client.list_object_versions(Bucket=self.name, Prefix=prefix)["Versions"]]

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        return bytes(self.client.get_object(Bucket=self.name, Key=key)["Body"].read())

    def put(self, key: str, data: bytes) -> None:
        """Write an object, as somebody else would."""
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def pointers(self, package: str) -> dict[int, str]:
        """Return the numbered pointers of a package."""
        prefix = f".quilt/named_packages/{package}/"
        names = [key.removeprefix(prefix) for key in self.keys(prefix)]
        return {int(name): self.get(prefix + name).decode() for name in names if name != "latest"}

    def uploads(self) -> list[str]:
        """Return the keys of multipart uploads that are neither completed nor aborted."""
        return [found["Key"] for found in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", ())]


def _server(kind: str, factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run a server for a whole session."""
    with running(kind, factory.mktemp(kind)) as port:
        yield port


@pytest.fixture(scope="session")
def moto_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run moto's server."""
    yield from _server("moto", tmp_path_factory)


@pytest.fixture(scope="session")
def versitygw_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run versitygw, a real S3 server, or skip."""
    if not versitygw():
        pytest.skip("versitygw is not installed: GOBIN=~/.cache/provwatch-tests go install .../versitygw (see .ci/run)")
    yield from _server("versitygw", tmp_path_factory)


@pytest.fixture
def bucket(moto_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """Return a versioned bucket on moto's server."""
    yield from _bucket(moto_port, monkeypatch)


@pytest.fixture
def real_bucket(versitygw_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """Return a versioned bucket on versitygw."""
    yield from _bucket(versitygw_port, monkeypatch)


def _bucket(port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """Make a bucket, and set the environment so that every client finds the proxy before its server."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}")
    name = f"lab-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    with proxied(port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield Bucket(name, proxy, client)
    client.close()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a small folder of results."""
    folder = tmp_path / "lab/run"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.txt", "b.txt", "sub/c d+#?é.txt"):
        (folder / name).write_text(name)
    return folder
