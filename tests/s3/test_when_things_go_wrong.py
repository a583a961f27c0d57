"""Servers, networks, credentials and disks that fail: one clear error, the right exit code, nothing half-published."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from conftest import Finished
from provwatch.aws import explained
from provwatch.errors import CredentialsError
from s3.conftest import Bucket
from s3.servers import Fault, Request

Run = Callable[..., Finished]
NAME = "lab/run"


@pytest.fixture
def package(provwatch: Run, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Finished]:
    """Package into the bucket with few retries, so that what never ends ends soon."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")

    def call(folder: Path, *arguments: object) -> Finished:
        return provwatch("package", folder, "--registry", bucket.registry, "--no-summary", "--json", *arguments)

    return call


Package = Callable[..., Finished]


def always(operation: str, answer: Any, key: str = "") -> Fault:
    """Return the fault that all requests of an operation on keys with this beginning have."""

    def fault(request: Request) -> Any:
        return answer if request.operation == operation and request.key.startswith(key) else None

    return fault


def at_first(times: int, operation: str, answer: Any) -> Fault:
    """Return the fault that the first requests of an operation have."""
    left = [times]

    def fault(request: Request) -> Any:
        if request.operation != operation or left[0] == 0:
            return None
        left[0] -= 1
        return answer

    return fault


def published(bucket: Bucket) -> list[str]:
    """Return what there is to be seen of a package."""
    return bucket.keys(".quilt/")


class TestWhatPasses:
    """Trouble that goes away by itself is not worth a word."""

    @pytest.mark.parametrize(
        ("operation", "answer"),
        [
            pytest.param("PutObject", (503, "SlowDown"), id="throttled while uploading"),
            pytest.param("PutObject", (500, "InternalError"), id="an error of the server"),
            pytest.param("PutObject", "drop", id="a dropped connection"),
            pytest.param("GetObject", (503, "SlowDown"), id="throttled while reading"),
            pytest.param("GetObject", "drop", id="a dropped connection while reading"),
        ],
    )
    def test_retries(
        self, run: Path, bucket: Bucket, package: Package, monkeypatch: pytest.MonkeyPatch, operation: str, answer: Any
    ) -> None:
        """A request that fails twice is made a third time."""
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "4")
        bucket.proxy.fault = at_first(2, operation, answer)
        assert package(run).json["outcome"] == "pushed"
        assert len(bucket.pointers(NAME)) == 1

    def test_a_short_manifest(self, run: Path, bucket: Bucket, package: Package) -> None:
        """An answer that ends in the middle is asked for again."""
        package(run)
        (run / "a.txt").write_text("changed")
        bucket.proxy.fault = at_first(2, "GetObject", "short")
        assert package(run).json["outcome"] == "pushed"


@pytest.mark.parametrize(
    ("fault", "code", "exit_code", "says"),
    [
        pytest.param(always("PutObject", (503, "SlowDown")), "s3-failed", 5, "SlowDown", id="throttled for ever"),
        pytest.param(
            always("PutObject", "drop"), "unreachable", 5, "does not answer", id="no answer", marks=pytest.mark.slow
        ),
        pytest.param(
            always("GetObject", "drop"),
            "unreachable",
            5,
            "AWS_ENDPOINT_URL",
            id="no answer to reading",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            always("PutObject", (400, "ExpiredToken")),
            "expired-token",
            4,
            "aws sso login",
            id="token",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            always("GetObject", (400, "ExpiredToken")),
            "expired-token",
            4,
            "aws sso login",
            id="at once",
            marks=pytest.mark.slow,
        ),
        pytest.param(always("PutObject", (403, "AccessDenied")), "access-denied", 4, "s3:PutObject", id="forbidden"),
        pytest.param(always("PutObject", (404, "NoSuchBucket")), "no-such-bucket", 5, "no such bucket", id="bucket"),
        pytest.param(always("PutObject", (400, "BadDigest")), "wrong-checksum", 1, "other bytes", id="wrong checksum"),
        pytest.param(
            always("PutObject", (403, "AccessDenied"), ".quilt/packages/"),
            "access-denied",
            4,
            "PutObject",
            id="manifest",
        ),
        pytest.param(
            always("PutObject", (503, "SlowDown"), ".quilt/named_packages/"), "s3-failed", 5, "SlowDown", id="latest"
        ),
        pytest.param(
            always("PutObject", (403, "InvalidAccessKeyId")),
            "invalid-credentials",
            4,
            "AWS_PRO",
            id="key",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            always("PutObject", (403, "RequestTimeTooSkewed")),
            "clock-skew",
            4,
            "clock",
            id="clock",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_does_not_pass(
    run: Path, bucket: Bucket, package: Package, fault: Fault, code: str, exit_code: int, says: str
) -> None:
    """One clear error with its exit code; afterwards the same command makes the package, once."""
    bucket.proxy.fault = fault
    finished = package(run)
    outcome = finished.json
    assert (outcome["outcome"], outcome["code"], finished.code) == ("failed", code, exit_code)
    assert says in outcome["reason"]
    assert "Traceback" not in finished.err
    assert [key for key in published(bucket) if "named_packages" in key] == []
    bucket.proxy.fault = lambda _request: None
    assert package(run).json["outcome"] == "pushed"
    assert len(bucket.pointers(NAME)) == 1
    assert len(bucket.versions(f"{NAME}/")) == 3


def test_a_pointer_that_does_not_pass(run: Path, bucket: Bucket, package: Package) -> None:
    """The revision is the latest by then, and the error says so; the next run writes the pointer."""
    pointers = f".quilt/named_packages/{NAME}/1"
    bucket.proxy.fault = always("PutObject", (503, "SlowDown"), pointers)
    reason = package(run).json["reason"]
    assert "nothing was published" not in reason
    assert "is the latest already" in reason
    bucket.proxy.fault = lambda _request: None
    again = package(run).json
    assert again["outcome"] == "duplicate"
    assert list(bucket.pointers(NAME).values()) == [again["top_hash"]]


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        pytest.param("PutObject", "s3:PutObject", id="write"),
        pytest.param("GetObject", "s3:GetObject and s3:GetObjectVersion", id="read"),
        pytest.param("ListObjects", "s3:ListBucket", id="list"),
    ],
)
def test_what_credentials_need(run: Path, bucket: Bucket, package: Package, operation: str, action: str) -> None:
    """The sentence names actions of IAM, not operations of S3, so that they can go into a policy as they are."""
    bucket.proxy.fault = always(operation, (403, "AccessDenied"))
    assert f"The credentials need {action} there" in package(run).json["reason"]


def test_names_that_are_too_long(run: Path, bucket: Bucket, package: Package) -> None:
    """A key of more than 1,024 bytes is an error that names the file, before anything is read or uploaded."""
    deep = run.joinpath(*["é" * 100] * 6)
    deep.mkdir(parents=True)
    (deep / "file").write_text("1")
    finished = package(run, "--dry-run")
    assert (finished.code, finished.json["code"]) == (1, "key-too-long")
    assert str(deep / "file") in finished.json["reason"]
    bucket.proxy.requests.clear()
    assert package(run).json["code"] == "key-too-long"
    assert bucket.proxy.put() == []


class TestAnswers:
    """What S3 says it has is compared with what was sent."""

    def test_another_checksum(self, run: Path, bucket: Bucket, package: Package) -> None:
        """An answer with another checksum than ours publishes nothing."""
        bucket.proxy.headers["x-amz-checksum-sha256"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
        outcome = package(run).json
        assert outcome["code"] == "wrong-checksum"
        assert published(bucket) == []


class TestFiles:
    """Files that change or vanish while they are uploaded."""

    def meanwhile(self, bucket: Bucket, change: Callable[[], None]) -> None:
        """Do something as soon as the first object is being uploaded."""
        done: list[int] = []

        def fault(request: Request) -> None:
            if request.operation == "PutObject" and not done:
                done.append(1)
                change()

        bucket.proxy.fault = fault

    def test_a_file_that_changes_once(self, run: Path, bucket: Bucket, package: Package) -> None:
        """It is uploaded again, and the package has what is there then."""
        self.meanwhile(bucket, lambda: [path.write_text("new") for path in run.glob("*.txt")] and None)
        assert package(run).json["outcome"] == "pushed"
        assert (bucket.get(f"{NAME}/a.txt"), bucket.get(f"{NAME}/b.txt")) == (b"new", b"new")

    def test_a_folder_that_vanishes(self, run: Path, bucket: Bucket, package: Package) -> None:
        """A disk that is gone is an error that names the file or folder."""
        self.meanwhile(bucket, lambda: shutil.rmtree(run))
        finished = package(run)
        assert finished.json["outcome"] == "failed"
        assert str(run) in finished.json["reason"]
        assert published(bucket) == []

    def test_the_same_uploads_are_not_made_twice(self, run: Path, bucket: Bucket, package: Package) -> None:
        """What was uploaded before an error is not uploaded again."""
        bucket.proxy.fault = always("PutObject", (403, "AccessDenied"), ".quilt/")
        package(run)
        assert len(bucket.versions(f"{NAME}/")) == 3
        bucket.proxy.fault = lambda _request: None
        assert package(run).json["outcome"] == "pushed"
        assert len(bucket.versions(f"{NAME}/")) == 3

    def test_what_was_uploaded_but_is_gone(self, run: Path, bucket: Bucket, package: Package) -> None:
        """An object that somebody removed meanwhile is uploaded again."""
        bucket.proxy.fault = always("PutObject", (403, "AccessDenied"), ".quilt/")
        package(run)
        for version in bucket.client.list_object_versions(Bucket=bucket.name)["Versions"]:
            bucket.client.delete_object(Bucket=bucket.name, Key=version["Key"], VersionId=version["VersionId"])
        bucket.proxy.fault = lambda _request: None
        assert package(run).json["outcome"] == "pushed"
        assert bucket.get(f"{NAME}/a.txt") == b"a.txt"


class TestCredentials:
    """What is missing here is explained without asking AWS."""

    def test_none(self, run: Path, package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
        """No credentials at all."""
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        finished = package(run)
        assert (finished.code, finished.json["code"]) == (4, "no-credentials")
        assert "aws configure" in finished.json["reason"]

    def test_an_unknown_profile(self, run: Path, package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
        """A profile that is not configured."""
        monkeypatch.setenv("AWS_PROFILE", "nope")
        finished = package(run)
        assert (finished.code, finished.json["code"]) == (4, "no-such-profile")
        assert "nope" in finished.json["reason"]

    def test_an_sso_session_that_is_over(
        self, run: Path, package: Package, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """A profile of IAM Identity Center without a valid token."""
        config = tmp_path / "aws"
        config.write_text(
            "[profile lab]\nsso_session = lab\nsso_account_id = 123456789012\nsso_role_name = dev\nregion = us-east-1\n"
            "[sso-session lab]\nsso_start_url = https://example.awsapps.com/start\nsso_region = us-east-1\n"
        )
        monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
        monkeypatch.setenv("AWS_PROFILE", "lab")
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        finished = package(run)
        assert (finished.code, finished.json["code"]) == (4, "expired-token")
        assert "aws sso login" in finished.json["reason"]

    def test_a_proxy_that_is_not_there(self, run: Path, package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
        """HTTP_PROXY is honoured, and named where it fails."""
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://s3.example.com")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        finished = package(run)
        assert (finished.code, finished.json["code"]) == (5, "proxy")

    def test_a_ca_bundle_that_does_not_fit(
        self, run: Path, package: Package, monkeypatch: pytest.MonkeyPatch, bucket: Bucket
    ) -> None:
        """An endpoint that does not speak TLS is told apart from one that is not there."""
        monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.proxy.url.replace("http:", "https:"))
        finished = package(run)
        assert (finished.code, finished.json["code"]) == (5, "tls")
        assert "AWS_CA_BUNDLE" in finished.json["reason"]

    @pytest.mark.parametrize(
        ("operation", "permission"),
        [
            pytest.param("AssumeRole", "sts:AssumeRole", id="role"),
            pytest.param("UploadPart", "s3:PutObject", id="part"),
            pytest.param("GetObject", "s3:GetObject", id="read"),
        ],
    )
    def test_the_permission_that_is_missing(self, operation: str, permission: str) -> None:
        """What to ask an administrator for is named as policies name it."""
        answer = {"Error": {"Code": "AccessDenied", "Message": "not authorized"}}
        with pytest.raises(CredentialsError, match=permission) as caught, explained("s3://lab"):
            raise ClientError(answer, operation)
        assert caught.value.exit_code == 4


class TestOptions:
    """Encryption and requester pays are asked for with every request that knows them."""

    def test_checksums(self, run: Path, bucket: Bucket, package: Package) -> None:
        """Everything is written with its SHA-256, pointers and manifest too: buckets with object lock insist on it."""
        seen: list[str] = []
        bucket.proxy.watch = lambda headers: seen.append(headers.get("x-amz-checksum-sha256", ""))
        assert package(run).json["outcome"] == "pushed"
        assert len(list(filter(None, seen))) == len(bucket.proxy.put()) == 6

    def test_encryption(self, run: Path, bucket: Bucket, package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
        """Objects, manifest and pointers are encrypted as asked for."""
        monkeypatch.setenv("PROVWATCH_SSE", "aws:kms")
        monkeypatch.setenv("PROVWATCH_SSE_KMS_KEY", "alias/lab")
        assert package(run).json["outcome"] == "pushed"
        heads = [bucket.client.head_object(Bucket=bucket.name, Key=key) for key in bucket.keys("")]
        assert {(head["ServerSideEncryption"], head["SSEKMSKeyId"]) for head in heads} == {("aws:kms", "alias/lab")}
        assert package(run).json["outcome"] == "duplicate"

    def test_requester_pays(self, run: Path, bucket: Bucket, package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who agrees to pay says so with every request."""
        seen: list[str] = []
        monkeypatch.setenv("PROVWATCH_REQUESTER_PAYS", "true")
        bucket.proxy.watch = lambda headers: seen.append(headers.get("x-amz-request-payer", ""))
        assert package(run).json["outcome"] == "pushed"
        assert set(seen) == {"requester"}
