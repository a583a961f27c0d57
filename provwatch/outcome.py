"""What became of one source, as printed, and the exit code that follows from several."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from provwatch.errors import (
    EXIT_CONFIGURATION,
    EXIT_CREDENTIALS,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_UNREACHABLE,
    ProvwatchError,
)


class Result(StrEnum):
    """The word for what became of a source."""

    PUSHED = "pushed"
    EMITTED = "emitted"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    SKIPPED = "skipped"
    INCOMPLETE = "incomplete"
    NOT_A_RUN = "not_a_run"
    FAILED = "failed"
    IGNORED = "ignored"
    QUARANTINED = "quarantined"
    PLANNED = "planned"


BAD = frozenset({Result.FAILED, Result.INCOMPLETE, Result.QUARANTINED})


@dataclass(frozen=True, slots=True)
class Outcome:
    """One source's outcome.

    Attributes:
        id: id of its job in the ledger.
        source, package, registry: what was to be packaged, as what, where.
        outcome: the word.
        top_hash: Quilt's hash of the revision that was made or found, hex.
        fingerprint: provwatch's hash of the content, hex.
        entries, bytes: entries of the package and their bytes.
        warnings: codes of what was odd.
        seconds: wall-clock seconds it took.
        code, reason: why, where there is a why.
        plan: with ``--dry-run``, what would happen.
        metadata: the package's metadata, for people; not part of the JSON.
        exit_code: what it asks of the process.
        catalog: address of the Quilt catalog that shows the package, or "".
    """

    source: str
    outcome: Result
    id: str = ""
    package: str = ""
    registry: str = ""
    top_hash: str = ""
    fingerprint: str = ""
    entries: int = 0
    bytes: int = 0
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    code: str = ""
    reason: str = ""
    plan: dict[str, Any] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    exit_code: int = EXIT_DONE
    catalog: str = ""

    @property
    def uri(self) -> str:
        """The revision's ``quilt+s3`` URI, "" where it lies in no bucket."""
        if not self.top_hash or not self.registry.startswith("s3://"):
            return ""
        return f"quilt+{self.registry}#package={self.package}@{self.top_hash}"

    @property
    def catalog_url(self) -> str:
        """Where the Quilt catalog shows the revision, "" where no catalog is known."""
        if not self.uri or not self.catalog:
            return ""
        site = self.catalog if "://" in self.catalog else f"https://{self.catalog}"
        bucket = self.registry.removeprefix("s3://")
        return f"{site.rstrip('/')}/b/{bucket}/packages/{self.package}/tree/{self.top_hash}"

    def as_json(self) -> dict[str, Any]:
        """Return the fields of the JSON contract."""
        fields = {
            "id": self.id,
            "source": self.source,
            "package": self.package,
            "registry": self.registry,
            "outcome": str(self.outcome),
            "top_hash": self.top_hash,
            "fingerprint": self.fingerprint,
            "entries": self.entries,
            "bytes": self.bytes,
            "warnings": list(self.warnings),
            "seconds": round(self.seconds, 3),
            "code": self.code,
            "reason": self.reason,
            "uri": self.uri,
            "catalog_url": self.catalog_url,
        }
        return fields if self.plan is None else {**fields, "plan": self.plan}


def failed(error: ProvwatchError, **known: Any) -> Outcome:
    """Return the outcome of a source that an error ended; *known* is what is known of it, ``source`` at least."""
    return Outcome(
        outcome=Result.FAILED,
        code=error.code,
        reason=str(error),
        exit_code=error.exit_code if error.exit_code != EXIT_DONE else EXIT_FAILED,
        **known,
    )


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """Return the process's exit code: the highest of 3, 4 and 5 that any outcome asks for, else 1 or 0."""
    codes = {outcome.exit_code or (EXIT_FAILED if outcome.outcome in BAD else EXIT_DONE) for outcome in outcomes}
    hard = codes & {EXIT_CONFIGURATION, EXIT_CREDENTIALS, EXIT_UNREACHABLE}
    if hard:
        return max(hard)
    return max(codes, default=EXIT_DONE)
