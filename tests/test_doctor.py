"""Doctor looks at what could keep provwatch from working, and says how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Finished


def checks(done: Finished) -> dict[str, dict[str, object]]:
    """Return the checks by name."""
    return {check["name"]: check for check in done.json["checks"]}


def test_all_is_well(provwatch: Callable[..., Finished]) -> None:
    """On a machine where all is well every check passes and the code is 0."""
    done = provwatch("doctor", "--json")
    assert done.code == 0
    found = checks(done)
    assert set(found) == {"python", "packages", "configuration", "ledger", "registry", "nextflow"}
    assert all(check["ok"] for check in found.values())


def test_for_people(provwatch: Callable[..., Finished]) -> None:
    """Without --json it is a line a check."""
    lines = provwatch("doctor").out.splitlines()
    assert [line.split()[0] for line in lines] == ["ok"] * 6


def test_a_wrong_setting(provwatch: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong setting fails the check, with its fix; the other checks are still made."""
    monkeypatch.setenv("PROVWATCH_DEDUPE", "off")
    done = provwatch("doctor", "--json")
    assert done.code == 3
    assert checks(done)["configuration"]["fix"] == "Did you mean 'dedup'?"
    assert checks(done)["python"]["ok"]


def test_a_broken_ledger(provwatch: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A ledger that is no database fails the check, with its fix."""
    (tmp_path / "ledger.sqlite").write_text("this is no database, but a text of some length" * 100)
    monkeypatch.setenv("PROVWATCH_HOME", str(tmp_path))
    done = provwatch("doctor", "--json")
    assert done.code == 3
    assert checks(done)["ledger"]["fix"]


def test_a_registry_that_is_none(provwatch: Callable[..., Finished]) -> None:
    """A registry that cannot be one fails the check."""
    done = provwatch("doctor", "--json", "--registry", "s3://bucket/folder")
    assert done.code == 1
    assert checks(done)["registry"]["fix"] == "A Quilt registry is a whole bucket: s3://bucket"
