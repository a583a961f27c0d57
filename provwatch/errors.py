"""The one tree of errors: what happened, where, what to try next, and the exit code.

Codes are short and stable: they appear in outcomes, in the ledger and in logs, so that a program can
act on them; the sentence beside a code is for people.
"""

from __future__ import annotations

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CONFIGURATION = 3
EXIT_CREDENTIALS = 4
EXIT_UNREACHABLE = 5
EXIT_INTERRUPTED = 130

EXIT_CODES: dict[int, str] = {
    EXIT_DONE: "done; duplicate, skipped, superseded, ignored and not_a_run are fine",
    EXIT_FAILED: "at least one crate or package failed, is incomplete or quarantined",
    EXIT_USAGE: "wrong usage",
    EXIT_CONFIGURATION: "wrong configuration",
    EXIT_CREDENTIALS: "missing credentials or permission",
    EXIT_UNREACHABLE: "source or registry cannot be reached",
    EXIT_INTERRUPTED: "second Ctrl-C",
}


class ProvwatchError(Exception):
    """Anything that provwatch can explain to the person who ran it.

    Args:
        message: what happened, one sentence without a final full stop.
        where: file, ``file:line:column``, URI or entity ``@id`` it happened at; may be empty.
        hint: what to try next, one sentence; may be empty.
        code: the stable code of this problem; the class's own one by default.
    """

    exit_code: int = EXIT_FAILED
    code: str = "failed"

    def __init__(self, message: str, *, where: str = "", hint: str = "", code: str = "") -> None:
        """Keep the parts apart, so that each output can lay them out its own way."""
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint
        if code:
            self.code = code

    def __str__(self) -> str:
        """One line: where, what, what to try."""
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}. {self.hint}" if self.hint else text


class CrateError(ProvwatchError):
    """A crate that cannot be read as one; ``where`` says at which line or entity."""

    code = "invalid-crate"


class DescriptionError(ProvwatchError):
    """A package description, package name or user metadata that cannot be used."""

    code = "invalid-description"


class PackagingError(ProvwatchError):
    """A package that could not be made; nothing of it is visible in the registry."""

    code = "packaging"


class UsageError(ProvwatchError):
    """A command line that does not make sense."""

    exit_code = EXIT_USAGE
    code = "usage"


class ConfigurationError(ProvwatchError):
    """A setting, environment variable or ledger that cannot be used as it is."""

    exit_code = EXIT_CONFIGURATION
    code = "configuration"


class CredentialsError(ProvwatchError):
    """Credentials are missing, or do not allow what was asked."""

    exit_code = EXIT_CREDENTIALS
    code = "credentials"


class UnreachableError(ProvwatchError):
    """A source or registry that does not answer, or is not there."""

    exit_code = EXIT_UNREACHABLE
    code = "unreachable"
