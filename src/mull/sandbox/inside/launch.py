"""Executes bubblewrap as an unprivileged user; run as root, outside the box.

Folders that this user cannot reach, such as a Python under `/root`, are first bound to places that it can reach, in
a mount namespace of this process. Then the privileges are dropped for good.
"""

from __future__ import annotations

import json
import os
import sys

from mull.sandbox.inside import kernel

STAGE = "/tmp"
"""Covered by a separate file system here, so that nothing is written to the machine's."""


def main() -> None:
    """Arguments: a plan in JSON with the keys `user`, `folders` and `argv`. Raises `OSError`."""
    plan = json.loads(sys.argv[1])
    kernel.unshare(kernel.NEW_MOUNTS)
    kernel.mount(None, b"/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    opened = [os.open(folder, os.O_PATH | os.O_CLOEXEC) for folder in plan["folders"]]
    kernel.mount(b"tmpfs", STAGE.encode(), b"tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, b"mode=755,size=64k")
    for place, descriptor in enumerate(opened):
        os.mkdir(f"{STAGE}/{place}")
        kernel.mount(
            b"/proc/self/fd/%d" % descriptor, b"%s/%d" % (STAGE.encode(), place), None, kernel.MS_BIND | kernel.MS_REC
        )
    os.setgroups([])
    os.setresgid(plan["user"], plan["user"], plan["user"])
    os.setresuid(plan["user"], plan["user"], plan["user"])
    os.chdir("/")
    os.execve(plan["argv"][0], plan["argv"], {})
