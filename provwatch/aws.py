"""The one module that loads boto3: S3 clients, S3 addresses, and AWS errors as sentences with a next step."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from provwatch.config import Settings
from provwatch.errors import CredentialsError, PackagingError, ProvwatchError, UnreachableError

CONNECTIONS = 32
ATTEMPTS = 8
CONNECT_SECONDS = 10
READ_SECONDS = 60
READS = 4
NO_VERSION = "null"
ABSENT = frozenset({"NoSuchKey", "404", "NotFound", "NoSuchVersion"})
LOST_RACE = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409", "NoSuchKey"})
"""What a conditional write answers when the object is not what it was; If-Match on an absent one is NoSuchKey."""
ACTIONS = {
    "HeadObject": "s3:GetObject and s3:GetObjectVersion",
    "GetObject": "s3:GetObject and s3:GetObjectVersion",
    "HeadBucket": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "ListParts": "s3:ListMultipartUploadParts",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
}
"""IAM actions of operations that are called otherwise
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html)."""
UNCONDITIONAL = frozenset({"NotImplemented", "501"})


@dataclass(frozen=True, slots=True)
class S3Options:
    """How objects are read and written.

    Attributes:
        sse: server-side encryption to ask for, such as ``aws:kms``; "" leaves it to the bucket.
        sse_kms_key: id or ARN of the KMS key, "" for the bucket's or the account's.
        requester_pays: whether to agree to pay for requests to the buckets of others.
    """

    sse: str = ""
    sse_kms_key: str = ""
    requester_pays: bool = False

    @classmethod
    def of(cls, settings: Settings) -> S3Options:
        """Return the options that the settings ask for."""
        return cls(settings["sse"], settings["sse_kms_key"], settings["requester_pays"])


class S3Address(NamedTuple):
    """Where an object lies; ``version`` is "" where it has none."""

    bucket: str
    key: str
    version: str = ""

    @classmethod
    def parse(cls, uri: str) -> S3Address:
        """Return the address in an ``s3://bucket/key?versionId=...`` URI, percent-decoded."""
        parts = urlsplit(uri)
        version = parse_qs(parts.query).get("versionId", [""])[0]
        return cls(parts.netloc, unquote(parts.path).removeprefix("/"), version)

    @property
    def uri(self) -> str:
        """The URI, spelled as quilt3 spells physical keys."""
        query = f"?{urlencode({'versionId': self.version})}" if self.version else ""
        return f"s3://{self.bucket}/{quote(self.key)}{query}"

    @property
    def parameters(self) -> dict[str, str]:
        """Parameters of the operations that read it."""
        version = {"VersionId": self.version} if self.version else {}
        return {"Bucket": self.bucket, "Key": self.key, **version}


def version_of(answer: dict[str, Any]) -> str:
    """Return the version in an answer, "" for an unversioned or suspended bucket, which says ``null`` or nothing."""
    version = answer.get("VersionId") or ""
    return "" if version == NO_VERSION else str(version)


def sha256_checksum(data: bytes | BufferedIOBase) -> dict[str, str]:
    """Return what lets S3 check bytes, or a file from where it stands; buckets with object lock insist on it."""
    digest = hashlib.sha256(data) if isinstance(data, bytes) else hashlib.file_digest(data, "sha256")
    return {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": base64.b64encode(digest.digest()).decode()}


def s3_client(options: S3Options) -> Any:
    """Return a client for S3, made the way the environment asks: profile, role, region, endpoint, proxy, CA bundle.

    Bodies are not signed, as the checksum that goes with each of them is.

    Raises:
        CredentialsError: there are no credentials.
    """
    import boto3  # noqa: PLC0415 - a third of a second; only what talks to AWS loads it
    from botocore.config import Config  # noqa: PLC0415 - see above

    retries = {"mode": "standard", "total_max_attempts": ATTEMPTS}
    config = Config(
        max_pool_connections=CONNECTIONS,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        s3={"payload_signing_enabled": False},
        request_checksum_calculation="when_required",
        retries=None if os.environ.get("AWS_MAX_ATTEMPTS") else retries,
    )
    with explained("AWS credentials"):
        session = boto3.Session()
        if session.get_credentials() is None:
            hint = "Run 'aws configure' or 'aws sso login', or set AWS_PROFILE or AWS_ACCESS_KEY_ID"
            raise CredentialsError("no AWS credentials were found", where="S3", hint=hint, code="no-credentials")
        client = session.client("s3", config=config, region_name=session.region_name or "us-east-1")
    client.meta.events.register("before-parameter-build.s3", _adds_options(options))
    return client


def read_object(client: Any, address: S3Address, *, max_bytes: int) -> tuple[bytes, dict[str, Any]] | None:
    """Return an object's bytes and the rest of the answer, or None where there is none; short reads are repeated.

    Args:
        client: an S3 client.
        address: where it lies.
        max_bytes: a larger object is refused.

    Raises:
        ProvwatchError: it cannot be read.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded with boto3

    with explained(address.uri):
        for reads_left in reversed(range(READS)):
            try:
                answer = client.get_object(**address.parameters)
                if answer["ContentLength"] > max_bytes:
                    message = f"takes {answer['ContentLength']} bytes, and {max_bytes} are the most that is read"
                    raise PackagingError(message, where=address.uri, code="too-large")
                return answer.pop("Body").read(), answer
            except ClientError as error:
                if error_code(error) in ABSENT:
                    return None
                raise
            except BotoCoreError:
                if not reads_left:
                    raise
    return None


def _adds_options(options: S3Options) -> Any:
    """Return what adds the options to every operation that knows them."""
    wanted = {"RequestPayer": "requester"} if options.requester_pays else {}
    if options.sse:
        wanted["ServerSideEncryption"] = options.sse
    if options.sse_kms_key:
        wanted["SSEKMSKeyId"] = options.sse_kms_key

    def add(params: dict[str, Any], model: Any, **_unused: Any) -> None:
        shape = model.input_shape
        for name, value in wanted.items():
            if shape is not None and name in shape.members:
                params.setdefault(name, value)

    return add


def error_code(error: Exception) -> str:
    """Return the code of an AWS error, "" for any other."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn what boto3 raises in the block into errors with a place, a next step and the right exit code."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loaded with boto3

    try:
        yield
    except ClientError as error:
        raise _of_answer(error, where) from error
    except BotoCoreError as error:
        raise _of_no_answer(error, where) from error


def _of_answer(error: Exception, where: str) -> ProvwatchError:
    """Return the error for an answer of AWS that is a refusal."""
    code = error_code(error)
    said = str(getattr(error, "response", {}).get("Error", {}).get("Message", "")) or code
    operation = getattr(error, "operation_name", "")
    known = {name: problem for names, problem in ANSWERS for name in names}
    problem = known.get("KMS" if code.startswith("KMS.") else code, OTHER_ANSWER)
    words = {"said": said, "code": code, "operation": operation, "action": _action(operation)}
    message, hint = problem.message.format(**words), problem.hint.format(**words)
    return problem.kind(message, where=where, hint=hint, code=problem.code)


def _action(operation: str) -> str:
    """Return the IAM action that an operation needs; half of them are called otherwise."""
    return ACTIONS.get(operation) or (f"sts:{operation}" if operation.startswith("AssumeRole") else f"s3:{operation}")


def _of_no_answer(error: Exception, where: str) -> ProvwatchError:
    """Return the error for credentials that cannot be had, or a network that does not answer."""
    names = {kind.__name__ for kind in type(error).__mro__}
    problem = next(problem for known, problem in NO_ANSWER if known & names)
    return problem.kind(f"{problem.message}: {error}", where=where, hint=problem.hint, code=problem.code)


class _Problem(NamedTuple):
    """What an error of AWS is to a person."""

    kind: type[ProvwatchError]
    message: str
    hint: str
    code: str


_AGAIN = "Run it again; nothing was published"
_NETWORK = "Check the network and AWS_ENDPOINT_URL; nothing was published"
_EXPIRED = _Problem(
    CredentialsError,
    "the AWS session has expired ({code})",
    "Get new credentials: 'aws sso login', or what your lab uses",
    "expired-token",
)
_UNKNOWN = _Problem(
    CredentialsError,
    "AWS does not know these credentials: {said}",
    "Check AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "invalid-credentials",
)
_REFUSED = _Problem(
    CredentialsError,
    "AWS refuses {operation}: {said}",
    "The credentials need {action} there; without s3:ListBucket what is absent is forbidden too",
    "access-denied",
)
_CORRUPT = _Problem(PackagingError, "S3 received other bytes than were sent ({code})", _AGAIN, "wrong-checksum")
_NO_BUCKET = _Problem(
    UnreachableError, "there is no such bucket", "Check its name; nothing was published", "no-such-bucket"
)
_ABORTED = _Problem(
    UnreachableError, "the upload was aborted by somebody else, or by a rule of the bucket", _AGAIN, "aborted"
)
_REGION = _Problem(
    UnreachableError, "the bucket is in another region: {said}", "Set AWS_REGION to its region", "wrong-region"
)
OTHER_ANSWER = _Problem(UnreachableError, "{operation} failed: {said} ({code})", _AGAIN, "s3-failed")
ANSWERS: tuple[tuple[frozenset[str], _Problem], ...] = (
    (frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken"}), _EXPIRED),
    (frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidSecurity", "NotSignedUp"}), _UNKNOWN),
    (frozenset({"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "401", "403", "KMS"}), _REFUSED),
    (
        frozenset({"RequestTimeTooSkewed", "RequestExpired"}),
        _Problem(CredentialsError, "this machine's clock is wrong", "Set it", "clock-skew"),
    ),
    (frozenset({"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}), _CORRUPT),
    (frozenset({"NoSuchBucket"}), _NO_BUCKET),
    (frozenset({"NoSuchUpload"}), _ABORTED),
    (frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "301"}), _REGION),
    (ABSENT, _Problem(PackagingError, "there is no such object", "", "no-such-object")),
)
"""What S3's error codes mean to a person."""

_LOGIN = "Run 'aws configure' or 'aws sso login', or set AWS_PROFILE"
_PROFILES = "See 'aws configure list-profiles', and AWS_PROFILE"
_CERTIFICATE = "Behind a proxy that opens TLS, set AWS_CA_BUNDLE to its certificate"
_NO_CREDENTIALS = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "NoAuthTokenError"}
)
NO_ANSWER: tuple[tuple[frozenset[str], _Problem], ...] = (
    (
        frozenset({"ProfileNotFound"}),
        _Problem(CredentialsError, "no such AWS profile", _PROFILES, "no-such-profile"),
    ),
    (
        frozenset({"SSOError", "TokenRetrievalError"}),
        _Problem(CredentialsError, "the SSO session is over", "Run 'aws sso login'", "expired-token"),
    ),
    (_NO_CREDENTIALS, _Problem(CredentialsError, "no usable AWS credentials", _LOGIN, "no-credentials")),
    (
        frozenset({"ProxyConnectionError"}),
        _Problem(UnreachableError, "the proxy does not answer", "Check HTTPS_PROXY and NO_PROXY", "proxy"),
    ),
    (frozenset({"SSLError"}), _Problem(UnreachableError, "TLS failed", _CERTIFICATE, "tls")),
    (
        frozenset({"HTTPClientError", "ConnectionError", "IncompleteReadError"}),
        _Problem(UnreachableError, "S3 does not answer", _NETWORK, "unreachable"),
    ),
    (
        frozenset({"BotoCoreError"}),
        _Problem(UnreachableError, "AWS cannot be used", "Check the AWS configuration", "s3-failed"),
    ),
)
"""What botocore's exceptions mean to a person, by their names or those of what they derive from."""
