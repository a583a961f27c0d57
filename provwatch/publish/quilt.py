"""The one place that loads quilt3, and only for an actual build: it costs over a second to import."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import threading
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from provwatch.aws import S3Address
from provwatch.errors import PackagingError
from provwatch.publish.entries import HASH_TYPE
from provwatch.publish.registry import Revision


def preload() -> None:
    """Begin to load quilt3 beside other work, such as hashing that is sure to end in a build."""
    _quieten()
    threading.Thread(target=importlib.import_module, args=("quilt3",), name="quilt3", daemon=True).start()


def _quieten() -> None:
    """Set what quilt3 reads from the environment when it is loaded."""
    os.environ["QUILT_DISABLE_USAGE_METRICS"] = "1"  # a blocked network would hang the exit otherwise
    os.environ.setdefault("QUILT_MINIMIZE_STDOUT", "true")


def build_in_folder(revision: Revision, folder: Path) -> str:
    """Build a package in a local folder with quilt3's public ``Package.build`` and return its top hash.

    Args:
        revision: what to build.
        folder: the registry to build into.

    Raises:
        PackagingError: quilt3 refused; its own words are kept.
    """
    return _build(revision, str(folder))


def build_in_bucket(revision: Revision, registry: str, client: Any) -> str:
    """Build a package in a bucket with quilt3's public ``Package.build`` and return its top hash.

    Args:
        revision: what to build; its bytes lie in S3.
        registry: ``s3://bucket``.
        client: the S3 client that quilt3 is to use.

    Raises:
        PackagingError: quilt3 refused; its own words are kept.
    """
    _quieten()
    from quilt3.hooks import set_build_s3_client_hook  # noqa: PLC0415 - over a second; only a build needs it

    before = set_build_s3_client_hook(lambda *_, **__: client)
    try:
        return _build(revision, registry)
    finally:
        set_build_s3_client_hook(before)


def _build(revision: Revision, registry: str) -> str:
    """Build a package; its entries have their hashes, so that nothing is read."""
    _quieten()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        import quilt3  # noqa: PLC0415 - over a second; only a build needs it
        from quilt3.packages import PackageEntry  # noqa: PLC0415 - see above
        from quilt3.util import QuiltException  # noqa: PLC0415 - see above

        package = quilt3.Package()
        package.set_meta(dict(revision.metadata))
        workflow = ... if revision.quilt_workflow is None else revision.quilt_workflow or None
        try:
            for entry in revision.entries:
                known = {"type": HASH_TYPE, "value": entry.hash}
                place = _physical_key(entry.physical_key)
                package.set(entry.logical_key, PackageEntry(place, entry.size, known, entry.meta))
            name, message = revision.package, revision.message
            top_hash: str = package.build(name, registry=registry, message=message, workflow=workflow)
        except QuiltException as error:
            where = revision.package
            raise PackagingError(f"quilt3 refused the package: {error}", where=where, code="quilt-refused") from error
    return top_hash


def _physical_key(uri: str) -> Any:
    """Return quilt3's own form of a URI."""
    from quilt3.util import PhysicalKey  # noqa: PLC0415 - loaded with quilt3

    if uri.startswith("s3://"):
        address = S3Address.parse(uri)
        return PhysicalKey(address.bucket, address.key, address.version or None)
    return PhysicalKey(None, unquote(urlsplit(uri).path), None)


def default_local_registry() -> str:
    """Return the URI of the registry that quilt3 uses by default, without loading quilt3."""
    configured = quilt_setting("default_local_registry").rstrip("/")
    return configured or (_quilt_folder() / "packages").absolute().as_uri()


def quilt_setting(name: str) -> str:
    """Return a setting of quilt3's own configuration, such as ``navigator_url``, without loading quilt3; or ""."""
    try:
        lines = (_quilt_folder() / "config.yml").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == name:
            return "" if value.strip() == "null" else value.strip().strip("'\"")
    return ""


def _quilt_folder() -> Path:
    """Return where quilt3 keeps what it knows."""
    from platformdirs import user_data_dir  # noqa: PLC0415 - only where no registry was given

    return Path(user_data_dir("Quilt", "QuiltData"))
