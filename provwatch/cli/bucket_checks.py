"""What ``doctor`` looks at in a bucket: may it be read and written, does it keep versions, is anything left behind."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from provwatch.aws import LOST_RACE, UNCONDITIONAL, S3Options, error_code, explained, s3_client
from provwatch.cli.check import Check, of_error
from provwatch.config import Settings
from provwatch.errors import CredentialsError, ProvwatchError
from provwatch.publish.storage import HOUSE

ABANDONED = timedelta(days=2)
LIFECYCLE = "Add a lifecycle rule AbortIncompleteMultipartUpload, or abort them with 'aws s3api abort-multipart-upload'"


def check_bucket(uri: str, settings: Settings) -> Iterator[Check]:
    """Look at a registry in a bucket; what is written for that is removed again.

    Args:
        uri: ``s3://bucket``.
        settings: the settings in force.
    """
    bucket = uri.removeprefix("s3://")
    try:
        client = s3_client(S3Options.of(settings))
        yield Check("aws", ok=True, detail=_identity(client))
        with explained(uri):
            client.list_objects_v2(Bucket=bucket, MaxKeys=1)
    except ProvwatchError as error:
        yield of_error("registry", error)
        return
    yield Check("registry", ok=True, detail=f"{uri} at {client.meta.endpoint_url}")
    for look in (_versions, _writes, _left_behind):
        try:
            yield look(client, bucket)
        except CredentialsError as error:
            yield of_error(look.__name__.lstrip("_").replace("_", " "), error)
        except ProvwatchError as error:
            yield of_error("registry", error)


def _identity(client: Any) -> str:
    """Return what credentials are used, without the secret."""
    credentials = client._request_signer._credentials  # noqa: SLF001 - the session that made it is gone
    return f"credentials from {credentials.method}, access key {credentials.access_key[:4]}..."


def _versions(client: Any, bucket: str) -> Check:
    """Look whether older revisions keep their bytes."""
    with explained(f"s3://{bucket}"):
        state = client.get_bucket_versioning(Bucket=bucket).get("Status", "never enabled")
    fix = f"aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"
    detail = "older revisions keep their bytes" if state == "Enabled" else f"{state}: older revisions lose their bytes"
    return Check("versions", state == "Enabled", detail, fix)


def _writes(client: Any, bucket: str) -> Check:
    """Look whether objects may be written, and whether conditions of writes are honoured."""
    where = {"Bucket": bucket, "Key": f"{HOUSE}/doctor/{uuid.uuid4().hex}"}
    with explained(f"s3://{bucket}/{where['Key']}"):
        try:
            client.put_object(**where, Body=b"1", IfNoneMatch="*")
            honoured = False
            try:
                client.put_object(**where, Body=b"2", IfNoneMatch="*")
            except Exception as error:
                if error_code(error) not in LOST_RACE:
                    raise
                honoured = True
        except Exception as error:
            if error_code(error) not in UNCONDITIONAL:
                raise
            honoured = False
        finally:
            client.delete_object(**where)
    detail = "allowed, and only in place of what was expected" if honoured else "without conditions"
    fix = "Let only one process at a time publish a package: this server cannot compare and set"
    return Check("writes", honoured, detail, fix)


def _left_behind(client: Any, bucket: str) -> Check:
    """Look for multipart uploads that nobody will complete; they cost money and cannot be seen."""
    with explained(f"s3://{bucket}"):
        uploads = client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())
    old = [upload for upload in uploads if upload["Initiated"] < datetime.now(UTC) - ABANDONED]
    detail = f"{len(old)} multipart uploads of more than {ABANDONED.days} days ago" if old else "no abandoned uploads"
    return Check("left behind", not old, detail, LIFECYCLE)
