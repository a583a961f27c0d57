"""Send a package description instead of making the package."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from provwatch.console import say_json
from provwatch.errors import UsageError
from provwatch.publish.objects import write_error

STDOUT = "-"
QUEUE_PREFIXES = ("https://", "http://", "eventbridge:")


def check_target(target: str, *, local_source: bool) -> None:
    """Refuse a target that cannot take a description from this source.

    Raises:
        UsageError: a queue, for a local folder that nobody else can read; or a queue at all, so far.
    """
    if target.startswith(QUEUE_PREFIXES):
        if local_source:
            hint = "Publish it with --registry s3://BUCKET, or emit to '-' or a file"
            raise UsageError(
                "a local folder cannot be emitted to a queue: nobody else can read it", where=target, hint=hint
            )
        raise UsageError("emitting to queues is not there yet", where=target, hint="Emit to '-' or a file")


def emit(message: dict[str, Any], target: str) -> None:
    """Send one description: to stdout, or appended to a file, as one line of JSON.

    Raises:
        ProvwatchError: the file cannot be written.
    """
    if target == STDOUT:
        say_json(message)
        return
    line = json.dumps(message, ensure_ascii=False) + "\n"
    try:
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise write_error(error, target) from error
