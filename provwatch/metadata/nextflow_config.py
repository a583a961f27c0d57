"""Read the resolved ``nextflow.config`` that nf-prov leaves beside a crate: names, values, nothing run.

The file is Nextflow's canonical print of its configuration: blocks, and ``name = value`` lines. Only what
can be read for certain is; everything else in it is passed over.
"""

from __future__ import annotations

import re
from contextlib import suppress

from provwatch.crate import Crate

CONFIG_NAME = "nextflow.config"
MAX_CONFIG_BYTES = 1 << 20
_BLOCK = re.compile(r"""^(?:'(?P<quoted>[^']*)'|(?P<name>[\w.\-:$]+))\s*\{$""")
_SETTING = re.compile(r"""^(?:'(?P<quoted>[^']*)'|(?P<name>[\w.\-$]+))\s*=\s*(?P<value>.*)$""")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def read_config(crate: Crate) -> dict[str, str]:
    """Return the settings in the ``nextflow.config`` beside a crate by dotted name; empty where there is none.

    Strings come without their quotes, everything else as it is written. Never raises: the file is an
    extra, and a crate without it is as good.
    """
    folder, data = crate.folder, crate.beside.get(CONFIG_NAME, b"")
    if folder is not None:
        with suppress(OSError):
            if (folder / CONFIG_NAME).is_file():  # opening a pipe would wait for its writer
                with (folder / CONFIG_NAME).open("rb") as file:
                    data = file.read(MAX_CONFIG_BYTES)
    return parse_config(data.decode("utf-8", errors="replace"))


def parse_config(text: str) -> dict[str, str]:
    """Return the settings of a resolved configuration by dotted name; the last of equal names counts."""
    settings: dict[str, str] = {}
    path: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        block = _BLOCK.match(stripped)
        if block is not None:
            path.append(block["quoted"] if block["quoted"] is not None else block["name"])
        elif stripped == "}":
            if path:
                path.pop()
        else:
            setting = _SETTING.match(stripped)
            if setting is not None:
                name = setting["quoted"] if setting["quoted"] is not None else setting["name"]
                settings[".".join((*path, name))] = _value(setting["value"].strip())
    return settings


def _value(written: str) -> str:
    """Return a string setting's text, or any other value as written."""
    for quote in ("'''", '"""', "'", '"'):
        if len(written) >= 2 * len(quote) and written.startswith(quote) and written.endswith(quote):
            inner = written[len(quote) : -len(quote)]
            return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), inner)
    return written
