"""One thing that ``doctor`` looked at."""

from __future__ import annotations

from dataclasses import dataclass

from provwatch.errors import EXIT_CONFIGURATION, ProvwatchError


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what it is.
        ok: whether it will do.
        detail: what was found.
        fix: what to do where it will not.
        exit_code: what it asks of the process where it will not.
    """

    name: str
    ok: bool
    detail: str
    fix: str = ""
    exit_code: int = EXIT_CONFIGURATION

    def as_json(self) -> dict[str, object]:
        """Return the fields of the JSON contract."""
        return {"name": self.name, "ok": self.ok, "detail": self.detail, "fix": "" if self.ok else self.fix}


def of_error(name: str, error: ProvwatchError) -> Check:
    """Return the check that an error failed."""
    return Check(name, ok=False, detail=f"{error.where}: {error.message}", fix=error.hint, exit_code=error.exit_code)
