"""Named places where tests may end the process at once, to show that nothing is lost there.

``PROVWATCH_FAILPOINT=after_claim`` makes the process kill itself when it reaches that place; without the
variable nothing happens. The places of one packaging are listed here in their order.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "PROVWATCH_FAILPOINT"
FAILPOINTS = (
    "after_receive",
    "after_claim",
    "after_hash",
    "after_store",
    "after_build",
    "after_manifest",
    "after_latest",
    "after_pointer",
    "before_done",
)


def reach(name: str) -> None:
    """End the process if the environment asks for it at this place."""
    if os.environ.get(VARIABLE) == name:
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
