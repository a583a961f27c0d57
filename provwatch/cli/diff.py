"""``provwatch diff``: what differs between two revisions, or between a folder and a package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from provwatch.cli import options

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from provwatch.publish.differences import Change, Changes, Difference

EPILOG = """\b
Examples:
  provwatch diff results/
  provwatch diff results/ lab/run-1
  provwatch diff lab/run-1@1a2b3c lab/run-1
  provwatch diff 'quilt+s3://my-bucket#package=lab/run-1@1a2b3c' lab/run-1 --json
"""
LINES = 50
VALUE_CHARACTERS = 60
WHAT = {"content": "other content", "hash-type": "hashes of two kinds, which do not compare", "metadata": "metadata"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("diff", epilog=EPILOG)(diff)


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A folder, or NAMESPACE/NAME[@TOPHASH].")],
    b: Annotated[
        str | None, typer.Argument(metavar="[B]", help="The same. Default: A's own package, which A is to change.")
    ] = None,
    registry: options.Registry = None,
    json_output: options.Json = False,
) -> None:
    """Show what turns A into B; with one folder, what packaging it would change."""
    from provwatch.cli.session import CACHE_FILE
    from provwatch.config import home, load_settings
    from provwatch.console import Progress, say, say_json
    from provwatch.publish.differences import compare
    from provwatch.publish.hash_cache import HashCache
    from provwatch.revisions import sides

    options.checked(None, registry)
    settings = load_settings().override({"registry": registry})
    cache = HashCache(home() / CACHE_FILE)
    try:
        difference = compare(*sides(a, b, settings, cache, Progress()))
    finally:
        cache.close()
    if json_output:
        say_json(difference.as_json())
    else:
        say("\n".join(_for_people(difference)))


def _for_people(difference: Difference) -> Iterator[str]:
    """Yield a difference line by line; nothing in it can forge a line, and each list is bounded."""
    from provwatch.console import human_bytes, plain, styled

    yield styled(f"{plain(difference.a)} -> {plain(difference.b)}", "bold")
    yield from _list("+", "green", (f"{plain(key)}  {human_bytes(size)}" for key, size in difference.added.items()))
    yield from _list("-", "red", (f"{plain(key)}  {human_bytes(size)}" for key, size in difference.removed.items()))
    yield from _list("~", "yellow", map(_changed, difference.changed))
    yield from _values("metadata", difference.metadata)
    for name, (old, new) in difference.header.items():
        yield f"{name}: {_cut(old)} -> {_cut(new)}"
    if difference.generated:
        yield f"files made by provwatch: {len(difference.generated)} differ"
    yield _total(difference)


def _list(mark: str, style: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield the first lines, then how many there are more."""
    from provwatch.console import styled

    more = 0
    for number, line in enumerate(lines):
        more += number >= LINES
        if number < LINES:
            yield f"  {styled(mark, style)} {line}"
    if more:
        yield f"  {styled(mark, style)} and {more} more"


def _changed(change: Change) -> str:
    """Return one changed entry."""
    from provwatch.console import human_bytes, plain

    sizes = f"{human_bytes(change.old_size)} -> {human_bytes(change.new_size)}"
    return f"{plain(change.logical_key)}  {WHAT.get(change.what, sizes)}"


def _values(title: str, changes: Changes) -> Iterator[str]:
    """Yield what differs between two sets of values."""
    from provwatch.console import plain

    if changes:
        yield f"{title}:"
    yield from _list("+", "green", (f"{plain(key)}  {_cut(value)}" for key, value in changes.added.items()))
    yield from _list("-", "red", (f"{plain(key)}  {_cut(value)}" for key, value in changes.removed.items()))
    both = changes.changed.items()
    yield from _list("~", "yellow", (f"{plain(key)}  {_cut(old)} -> {_cut(new)}" for key, (old, new) in both))


def _cut(value: object) -> str:
    """Return a value's JSON on one line, its end cut off where it is long."""
    import json

    from provwatch.console import plain

    text = json.dumps(value, ensure_ascii=False, default=str)
    return plain(text if len(text) <= VALUE_CHARACTERS else f"{text[:VALUE_CHARACTERS]}...")


def _total(difference: Difference) -> str:
    """Return all of it in one line."""
    from provwatch.console import human_bytes

    if not (difference.added or difference.removed or difference.changed):
        words = "no file differs"
    else:
        added, removed = (human_bytes(sum(one.values())) for one in (difference.added, difference.removed))
        words = f"{len(difference.added)} added ({added}), {len(difference.removed)} removed ({removed}), "
        words += f"{len(difference.changed)} changed"
    metadata = difference.metadata
    keys = len(metadata.added) + len(metadata.removed) + len(metadata.changed)
    return f"{words}; {keys} metadata keys differ" if keys else words
