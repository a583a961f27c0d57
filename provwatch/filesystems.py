"""Which file system a path lies on: where locks and change notices may not be trusted.

SQLite's write-ahead log needs memory shared by all its users, and inotify sees only what this machine
changes. Neither holds across machines, so the ledger, the folder watcher and ``doctor`` ask here first.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")

NETWORK_TYPES: dict[str, str] = {
    "9p": "Plan 9 share, WSL's view of Windows drives",
    "afs": "Andrew file system",
    "beegfs": "BeeGFS",
    "ceph": "CephFS",
    "cifs": "SMB share",
    "fuse": "FUSE without a subtype: what lies behind it is unknown",
    "glusterfs": "GlusterFS",
    "gpfs": "IBM Storage Scale",
    "lustre": "Lustre",
    "nfs": "NFS 2 and 3, Amazon FSx",
    "nfs4": "NFS 4, Amazon EFS",
    "orangefs": "OrangeFS",
    "panfs": "Panasas",
    "smb3": "SMB 3 share",
    "smbfs": "SMB share, old driver",
    "vboxsf": "VirtualBox shared folder",
    "virtiofs": "folder of a virtual machine's host, Docker Desktop",
    "wekafs": "WEKA",
}
NETWORK_PREFIX = "fuse."
"""``fuse.sshfs``, ``fuse.s3fs`` and the like; ``fuseblk`` (a local NTFS disk) is none of them."""

_OCTAL = re.compile(r"\\([0-7]{3})")


def filesystem_type(path: str | os.PathLike[str], *, mountinfo: Path = MOUNTINFO) -> str:
    """Return the type of the file system a path lies on, such as ``ext4`` or ``nfs4``.

    Args:
        path: a file or folder; it need not exist yet, symbolic links are followed.
        mountinfo: the table of mounts, in the format of proc(5).

    Returns:
        The kernel's name of the type; empty where there is no such table (macOS, Windows).
    """
    try:
        lines = os.fsdecode(mountinfo.read_bytes()).splitlines()
    except OSError:
        return ""
    wanted = os.path.realpath(path)
    best_point, best_type = "", ""
    for line in lines:
        point, kind = _mount(line)
        # Of two mounts on the same point the later one hides the earlier one, hence ``>=``.
        if _holds(point, wanted) and len(point) >= len(best_point):
            best_point, best_type = point, kind
    return best_type


def is_network(kind: str) -> bool:
    """Tell whether a file-system type is shared by machines (or may be); unknown ("") counts as local."""
    return kind in NETWORK_TYPES or kind.startswith(NETWORK_PREFIX)


def _mount(line: str) -> tuple[str, str]:
    """Return mount point and type of one line of mountinfo; empty strings when it is no such line."""
    before, _, after = line.partition(" - ")
    fields, kinds = before.split(" "), after.split(" ")
    if len(fields) < 5 or not kinds[0]:  # noqa: PLR2004 - the mount point is the fifth field, see proc(5)
        return "", ""
    return _OCTAL.sub(lambda escape: chr(int(escape[1], 8)), fields[4]), kinds[0]


def _holds(point: str, path: str) -> bool:
    """Tell whether a path is a mount point or lies below it."""
    return bool(point) and (path == point or path.startswith(point.rstrip("/") + "/"))
