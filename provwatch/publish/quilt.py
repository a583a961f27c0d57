"""The one place that loads quilt3, and only for an actual build: it costs over a second to import."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from provwatch.errors import PackagingError
from provwatch.publish.entries import HASH_TYPE, Entry


def preload() -> None:
    """Begin to load quilt3 beside other work, such as hashing that is sure to end in a build."""
    _quieten()
    threading.Thread(target=importlib.import_module, args=("quilt3",), name="quilt3", daemon=True).start()


def _quieten() -> None:
    """Set what quilt3 reads from the environment when it is loaded."""
    os.environ["QUILT_DISABLE_USAGE_METRICS"] = "1"  # a blocked network would hang the exit otherwise
    os.environ.setdefault("QUILT_MINIMIZE_STDOUT", "true")


def build_package(
    name: str, registry: Path, entries: Iterable[Entry], metadata: Mapping[str, Any], message: str | None
) -> str:
    """Build a package with quilt3's public ``Package.build`` and return its top hash.

    Args:
        name: the package's name.
        registry: folder to build into.
        entries: the entries, hashes included, so that nothing is read.
        metadata: the package's metadata.
        message: the commit message.

    Raises:
        PackagingError: quilt3 refused; its own words are kept.
    """
    _quieten()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        import quilt3  # noqa: PLC0415 - over a second; only a build needs it
        from quilt3.packages import PackageEntry  # noqa: PLC0415 - see above
        from quilt3.util import PhysicalKey, QuiltException  # noqa: PLC0415 - see above

        package = quilt3.Package()
        package.set_meta(dict(metadata))
        try:
            for entry in entries:
                place = PhysicalKey(None, unquote(urlsplit(entry.physical_key).path), None)
                known = {"type": HASH_TYPE, "value": entry.hash}
                package.set(entry.logical_key, PackageEntry(place, entry.size, known, entry.meta))
            top_hash: str = package.build(name, registry=str(registry), message=message)
        except QuiltException as error:
            raise PackagingError(f"quilt3 refused the package: {error}", where=name, code="quilt-refused") from error
    return top_hash


def default_local_registry() -> str:
    """Return the URI of the registry that quilt3 uses by default, without loading quilt3."""
    from platformdirs import user_data_dir  # noqa: PLC0415 - only where no registry was given

    base = Path(user_data_dir("Quilt", "QuiltData"))
    try:
        lines = (base / "config.yml").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "default_local_registry" and value.strip(" '\""):
            return value.strip().strip("'\"").rstrip("/")
    return (base / "packages").absolute().as_uri()
