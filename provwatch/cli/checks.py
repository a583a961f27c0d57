"""The checks of ``doctor``, in their order."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata

from provwatch.cli.bucket_checks import check_bucket
from provwatch.cli.check import Check, of_error
from provwatch.cli.session import ledger_path
from provwatch.config import SETTINGS, home, load_settings
from provwatch.console import human_bytes
from provwatch.description import normalise_registry
from provwatch.errors import ProvwatchError
from provwatch.filesystems import filesystem_type, is_network
from provwatch.ledger.sqlite import SqliteLedger
from provwatch.publish.local import LocalRegistry
from provwatch.publish.quilt import default_local_registry

OLDEST_PYTHON = (3, 11)
PACKAGES = ("provwatch", "quilt3", "msgspec", "typer")


def python(_registry: str | None) -> Iterator[Check]:
    """Look at Python and the packages that matter."""
    fine = sys.version_info[:2] >= OLDEST_PYTHON
    detail = f"{platform.python_version()} ({sys.executable})"
    yield Check("python", fine, detail, "Install Python 3.11 or newer")
    found = {name: _version(name) for name in PACKAGES}
    missing = [name for name, version in found.items() if not version]
    versions = ", ".join(f"{name} {version}" for name, version in found.items() if version)
    yield Check("packages", not missing, versions, f"pip install {' '.join(missing)}")


def _version(name: str) -> str:
    """Return an installed package's version, "" where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def configuration(_registry: str | None) -> Iterator[Check]:
    """Look at every setting, with its origin."""
    try:
        settings = load_settings()
    except ProvwatchError as error:
        yield of_error("configuration", error)
        return
    changed = [setting for setting in SETTINGS if settings.origins[setting.name] != "default"]
    if not changed:
        yield Check("configuration", ok=True, detail="all defaults")
    for setting in changed:
        origin = settings.origins[setting.name]
        yield Check("configuration", ok=True, detail=f"{setting.name} = {settings[setting.name]!r} ({origin})")


def ledger(_registry: str | None) -> Iterator[Check]:
    """Look at the folder of ledger and caches."""
    folder = home()
    kind = filesystem_type(folder)
    where = f"{folder} ({kind or 'unknown file system'}{', network: one host only' if is_network(kind) else ''})"
    try:
        with SqliteLedger(ledger_path(folder)) as opened:
            opened.last_done("", "", "")
    except ProvwatchError as error:
        yield of_error("ledger", error)
        return
    yield Check("ledger", ok=True, detail=where)


def registry(given: str | None) -> Iterator[Check]:
    """Look at the registry that packages would go to."""
    try:
        uri = normalise_registry(given or load_settings()["registry"] or default_local_registry())
    except ProvwatchError as error:
        yield of_error("registry", error)
        return
    if not uri.startswith("file://"):
        yield from check_bucket(uri, load_settings())
        return
    folder = LocalRegistry(uri).folder
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(existing, os.W_OK):
        yield Check("registry", ok=False, detail=f"{folder}: may not be written", fix="Give another --registry")
        return
    free = shutil.disk_usage(existing).free
    state = "" if folder.exists() else ", made with the first package"
    yield Check("registry", ok=True, detail=f"{folder} ({human_bytes(free)} free{state})")


def nextflow(_registry: str | None) -> Iterator[Check]:
    """Look for Nextflow, which is not needed here but often the next question."""
    found = shutil.which("nextflow")
    detail = f"{found}" if found else "not on the PATH here; only needed where pipelines run"
    yield Check("nextflow", ok=True, detail=detail)


CHECKS = (python, configuration, ledger, registry, nextflow)
