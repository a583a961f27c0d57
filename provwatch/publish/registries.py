"""The kinds of registries there are, by the scheme of their URIs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from provwatch.aws import S3Options, s3_client
from provwatch.config import Settings, home
from provwatch.publish.folder import FolderOptions
from provwatch.publish.local import LocalRegistry
from provwatch.publish.registry import Registry
from provwatch.publish.s3 import S3Registry
from provwatch.publish.s3_storage import S3Storage
from provwatch.publish.upload_records import UploadRecords


@contextmanager
def open_registry(uri: str, package: str, settings: Settings, options: FolderOptions) -> Iterator[Registry]:
    """Open the registry at a URI, to look at or make one package.

    Args:
        uri: ``file://`` or ``s3://bucket``.
        package: name of the package.
        settings: the settings in force.
        options: how a folder becomes a package.

    Raises:
        ProvwatchError: it cannot be used.
    """
    if uri.startswith("file://"):
        yield LocalRegistry(uri, options)
        return
    client, bucket = s3_client(S3Options.of(settings)), uri.removeprefix("s3://")
    with closing(UploadRecords(home(), client.meta.endpoint_url, bucket)) as records:
        storage = S3Storage(client, bucket, package, records, bwlimit=settings["bwlimit"])
        yield S3Registry(uri, client, storage)
