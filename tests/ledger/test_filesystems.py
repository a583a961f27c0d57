"""Telling which file system a path lies on, from the kernel's table of mounts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from provwatch.filesystems import filesystem_type, is_network

MOUNTS = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
31 27 0:31 / /home rw,relatime - autofs systemd-1 rw
32 31 0:40 / /home/ann rw,relatime shared:2 master:3 - nfs4 server:/home rw
33 27 0:41 / /data rw,relatime - xfs /dev/sdb rw
34 33 0:42 / /data/with\040space rw,relatime - cifs //server/share rw
35 33 0:43 / /data/back\134slash rw,relatime - fuse.sshfs me@there:/ rw
36 27 0:44 / /stacked rw,relatime - ext4 /dev/sdc rw
37 27 0:45 / /stacked rw,relatime - lustre mgs:/work rw
a line of another world
38 27 0:46 / /torn
""".strip()


@pytest.fixture
def mountinfo(tmp_path: Path) -> Path:
    """Return a file with the table above."""
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS)
    return table


PATHS = (
    pytest.param("/", "ext4", id="root"),
    pytest.param("/usr/lib", "ext4", id="below the root"),
    pytest.param("/data", "xfs", id="the mount point itself"),
    pytest.param("/data/runs/not/there/yet", "xfs", id="a path that is not there"),
    pytest.param("/database", "ext4", id="a name that only begins like a mount point"),
    pytest.param("/home/ann/work", "nfs4", id="the longest mount point"),
    pytest.param("/home/bob", "autofs", id="beside the longest mount point"),
    pytest.param("/data/with space/x", "cifs", id="a space in the mount point"),
    pytest.param("/data/back\\slash/x", "fuse.sshfs", id="a backslash in the mount point"),
    pytest.param("/stacked/x", "lustre", id="two mounts on one point"),
    pytest.param("/torn/x", "ext4", id="a torn line"),
)


@pytest.mark.skipif(sys.platform == "win32", reason="the paths of the table are POSIX paths")
@pytest.mark.parametrize(("path", "kind"), PATHS)
def test_the_longest_mount_point_above_a_path_counts(mountinfo: Path, path: str, kind: str) -> None:
    """Whole components are compared, escapes are decoded, and lines that make no sense are passed over."""
    assert filesystem_type(path, mountinfo=mountinfo) == kind


def test_without_a_table_the_type_is_unknown(tmp_path: Path) -> None:
    """On macOS and Windows there is none, and unknown counts as local."""
    kind = filesystem_type(tmp_path, mountinfo=tmp_path / "none")
    assert kind == ""
    assert not is_network(kind)


def test_symbolic_links_are_followed(tmp_path: Path) -> None:
    """A folder linked into the home directory lies where the link leads."""
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    table = tmp_path / "mountinfo"
    table.write_text(f"27 1 0:1 / / rw - ext4 d rw\n28 27 0:2 / {tmp_path.resolve()}/there rw - nfs s rw\n")
    assert filesystem_type(tmp_path / "link" / "ledger.db", mountinfo=table) == "nfs"


def test_mount_points_need_not_be_text(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 in one line do not spoil the others."""
    table = tmp_path / "mountinfo"
    table.write_bytes(b"26 1 0:0 / /m\xff rw - nfs s rw\n27 1 0:1 / / rw - ext4 d rw\n")
    assert filesystem_type("/", mountinfo=table) == "ext4"


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="only Linux has this table")
def test_this_machine_has_an_answer() -> None:
    """The real table is read."""
    assert filesystem_type("/proc/self") == "proc"


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "apfs", "fuseblk", ""])
def test_local_file_systems(kind: str) -> None:
    """Disks of this machine, an NTFS disk through FUSE and the unknown are local."""
    assert not is_network(kind)


@pytest.mark.parametrize(
    "kind",
    [
        *("9p", "afs", "beegfs", "ceph", "cifs", "fuse.s3fs", "fuse.sshfs", "glusterfs", "gpfs", "lustre"),
        *("nfs", "nfs4", "smb3", "smbfs"),
    ],
)
def test_network_file_systems(kind: str) -> None:
    """What other machines may change behind our back is a network file system."""
    assert is_network(kind)
