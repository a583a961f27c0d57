"""``provwatch verify``: every entry's bytes against its hash, and the manifest against its top hash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from provwatch.cli import options

if TYPE_CHECKING:
    from provwatch.config import Settings
    from provwatch.publish.revisions import Found
    from provwatch.publish.verify import Verification

EPILOG = """\b
Examples:
  provwatch verify lab/run-1
  provwatch verify lab/run-1@1a2b3c --registry s3://my-bucket
  provwatch verify 'quilt+s3://my-bucket#package=lab/run-1@1a2b3c' --json
"""
LINES = 50


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify", epilog=EPILOG)(verify)


def verify(
    package: Annotated[str, typer.Argument(help="NAMESPACE/NAME[@TOPHASH] or a quilt+s3:// URI.")],
    registry: options.Registry = None,
    again: Annotated[bool, typer.Option("--again", help="Begin anew instead of going on.")] = False,
    json_output: options.Json = False,
) -> int:
    """Read all bytes of a package and check them against its manifest; a second call goes on where one was ended."""
    from provwatch.config import load_settings
    from provwatch.console import say_json
    from provwatch.revisions import find_package, parse_package

    options.checked(None, registry)
    settings = load_settings().override({"registry": registry})
    found = find_package(parse_package(package, settings), settings)
    verification = _verified(found, settings, again=again)
    if json_output:
        say_json(_as_json(found, verification))
    else:
        _tell_people(found, verification)
    return verification.exit_code


def _verified(found: Found, settings: Settings, *, again: bool) -> Verification:
    """Check a revision, showing progress and remembering what was right."""
    import gc

    from provwatch.aws import S3Options, s3_client
    from provwatch.config import home
    from provwatch.console import Progress, talk
    from provwatch.publish.checkpoint import Checkpoint
    from provwatch.publish.manifest import computed_top_hash
    from provwatch.publish.places import Places
    from provwatch.publish.verify import Verifier, wrong_manifest

    gc.enable()  # this may take hours
    head = found.head
    wrong = wrong_manifest(head.top_hash, found.uri, computed_top_hash(found.manifest))
    places = Places(found.registry, lambda: s3_client(S3Options.of(settings)))
    with Checkpoint(home(), f"{found.registry} {head.top_hash}") as checkpoint:
        if again:
            checkpoint.forget()
        verifier = Verifier(places, checkpoint, threads=settings["threads"])
        total = sum(entry.size or 0 for entry in head.entries)
        try:
            with Progress().showing("Verifying", total) as bar:
                verification = verifier.check(head.entries, bar.advance)
        except KeyboardInterrupt:
            talk("stopped; the same command goes on from here")
            raise
        checkpoint.forget()
    verification.wrong[:0] = wrong
    return verification


def _as_json(found: Found, verification: Verification) -> dict[str, object]:
    """Return the fields of the JSON contract."""
    return {
        "package": found.package,
        "registry": found.registry,
        "top_hash": found.head.top_hash,
        "entries": verification.entries,
        "bytes": verification.bytes,
        "checked": verification.checked,
        "resumed": verification.resumed,
        "wrong": [wrong.as_json() for wrong in verification.wrong],
    }


def _tell_people(found: Found, verification: Verification) -> None:
    """Tell what is wrong, and how much there was to check."""
    from provwatch.console import human_bytes, plain, say, styled, table

    wrong = verification.wrong
    word = styled("wrong", "red") if wrong else styled("right", "green")
    say(f"{word} {styled(plain(found.package), 'bold')}")
    for one in wrong[:LINES]:
        say(f"  {plain(one.logical_key) or 'manifest'}: {plain(one.problem)}  {plain(one.physical_key)}")
    if len(wrong) > LINES:
        say(f"  and {len(wrong) - LINES} more; --json tells them all")
    earlier = f", {verification.resumed} of them earlier" if verification.resumed else ""
    rows = {
        "top hash": found.head.top_hash,
        "files": f"{verification.entries}, {human_bytes(verification.bytes)}{earlier}",
        "differ": str(len(wrong)) if wrong else "",
        "registry": plain(found.registry),
    }
    say(table({label: value for label, value in rows.items() if value}))
