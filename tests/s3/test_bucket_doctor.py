"""Doctor looks at a bucket the way publishing uses it, and leaves no trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from conftest import Finished
from s3.conftest import Bucket
from s3.servers import Request

Doctor = Callable[[], Finished]


@pytest.fixture
def doctor(provwatch: Callable[..., Finished], bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Check the bucket."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return lambda: provwatch("doctor", "--registry", bucket.registry, "--json")


def checks(done: Finished) -> dict[str, dict[str, Any]]:
    """Return the checks by name."""
    return {check["name"]: check for check in done.json["checks"]}


def test_a_good_bucket(doctor: Doctor, bucket: Bucket) -> None:
    """Everything is looked at, all is well, and the bucket is as it was."""
    done = doctor()
    found = checks(done)
    assert done.code == 0
    assert {"aws", "registry", "versions", "writes", "left behind"} <= set(found)
    assert bucket.keys() == []
    assert "testing-secret" not in done.out


def test_no_versions(doctor: Doctor, bucket: Bucket) -> None:
    """A bucket without versions is named, with the command that mends it."""
    bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Suspended"})
    assert "put-bucket-versioning" in checks(doctor())["versions"]["fix"]


def test_no_conditions(doctor: Doctor, bucket: Bucket) -> None:
    """A server without conditional writes is named."""
    bucket.proxy.fault = lambda request: (501, "NotImplemented") if request.operation == "PutObject" else None
    found = checks(doctor())["writes"]
    assert (found["ok"], found["detail"]) == (False, "without conditions")


def test_an_upload_that_nobody_completes(doctor: Doctor, bucket: Bucket) -> None:
    """What costs money without being seen is named; moto dates every upload in 2010."""
    bucket.client.create_multipart_upload(Bucket=bucket.name, Key="x")
    assert "AbortIncompleteMultipartUpload" in checks(doctor())["left behind"]["fix"]


@pytest.mark.parametrize(
    ("operation", "answer", "code"),
    [
        pytest.param("ListObjects", (403, "AccessDenied"), 4, id="may not be listed"),
        pytest.param("PutObject", (403, "AccessDenied"), 4, id="may not be written"),
        pytest.param("ListObjects", (404, "NoSuchBucket"), 5, id="no bucket"),
        pytest.param("ListObjects", "drop", 5, id="no answer"),
    ],
)
def test_what_fails(doctor: Doctor, bucket: Bucket, operation: str, answer: Any, code: int) -> None:
    """A check that fails has its fix, and the command the exit code of the error."""

    def fault(request: Request) -> Any:
        return answer if request.operation == operation else None

    bucket.proxy.fault = fault
    done = doctor()
    assert done.code == code
    assert all(check["fix"] for check in done.json["checks"] if not check["ok"])
