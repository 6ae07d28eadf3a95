"""Sandboxes of an OCI runtime: gVisor's own kernel (`runsc`), or a container without image and daemon (`crun`)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from mull.errors import SandboxError
from mull.sandbox import protocol
from mull.sandbox.base import Job, JobLimits, JobResult, Level

_UID = 1000


@dataclass(frozen=True)
class Oci:
    """A sandbox of an OCI runtime: `Level.KERNEL` for `runsc` (gVisor), `Level.CONTAINER` for the others.

    The root of a box contains only the machine's `/usr`, Python and `readable`, all read-only. It has no network, no
    capabilities and no new privileges, and runs the same harness as the other sandboxes. Starting one takes tenths of
    a second. `user` is the user id outside if root starts it; `at_once` is the most boxes that exist at a time.
    """

    runtime: Literal["runsc", "crun", "runc"] = "runsc"
    readable: tuple[str, ...] = ()
    user: int = 65534
    at_once: int | None = None

    @property
    def level(self) -> Level:
        return Level.KERNEL if self.runtime == "runsc" else Level.CONTAINER

    async def __aenter__(self) -> Self:
        if shutil.which(self.runtime) is None:
            raise SandboxError(f"{self.runtime} is not installed")
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Does nothing: every box ends with its run."""

    async def run(self, job: Job) -> JobResult:
        """Runs a job in a box of its own; see `Sandbox.run`."""
        protocol.check(job)
        async with protocol.slots(self, self.at_once), self._started(job.limits) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(protocol.bundle(compiled=True))
            try:
                return await protocol.converse(process.stdout, process.stdin, job, self.level, process.kill)
            finally:
                process.stdin.close()

    @contextlib.asynccontextmanager
    async def _started(self, limits: JobLimits) -> AsyncIterator[asyncio.subprocess.Process]:
        name = f"mull-{secrets.token_hex(8)}"
        with tempfile.TemporaryDirectory(prefix="mull-box-") as folder:
            _write_bundle(folder, self._config(limits))
            command = [self.runtime, "--root", f"{folder}/state"]
            if self.runtime == "runsc":
                command += ["--network=none", "--ignore-cgroups"] + (["--rootless"] if os.geteuid() else [])
            elif self.runtime == "crun":
                command += ["--cgroup-manager=disabled"]
            process = await asyncio.create_subprocess_exec(
                *(*command, "run", "--bundle", folder, name),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                limit=1 << 20,
            )
            try:
                yield process
            finally:
                await protocol.finish(_deleted(command, name, process))

    def _config(self, limits: JobLimits) -> dict[str, Any]:
        """The bundle's configuration, according to version 1.0.2 of the OCI runtime specification."""
        python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
        folders = ["/usr"] + [f for f in (sys.base_prefix, *self.readable) if f != "/usr" and not f.startswith("/usr/")]
        binds = [_bind(folder) for folder in dict.fromkeys(folders)]
        binds += [_bind(name) for name in ("/bin", "/lib", "/lib64") if Path(name).exists()]
        inside = _UID if self.runtime == "runsc" or os.geteuid() == 0 else 0
        shm = [_memory("/dev/shm", 4 << 20)] if self.runtime != "runsc" else []
        container: dict[str, Any] = {
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
            "readonlyPaths": ["/proc/sys", "/proc/irq", "/proc/bus", "/proc/sysrq-trigger"],
        }
        if self.runtime != "runsc":
            container["namespaces"].append({"type": "user"})
            container["uidMappings"] = container["gidMappings"] = self._mapping()
        return {
            "ociVersion": "1.0.2",
            "hostname": "box",
            "root": {"path": "root", "readonly": True},
            "process": {
                "terminal": False,
                "cwd": "/",
                "user": {"uid": inside, "gid": inside},
                "args": [python, *protocol.PYTHON, protocol.BOOT, "once", "0", "1"],
                "env": ["PATH=/usr/bin", "PYTHONHASHSEED=0"],
                "noNewPrivileges": True,
                "capabilities": {kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")},
            },
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
                _memory("/dev", 65536, "mode=755"),
                *shm,
                _memory("/tmp", limits.disk_bytes),
                *binds,
            ],
            "linux": container,
        }

    def _mapping(self) -> list[dict[str, int]]:
        """User ids inside and outside. The runtimes need a root inside; outside it has only the rights of `user`."""
        if os.geteuid() != 0:
            return [{"containerID": 0, "hostID": os.geteuid(), "size": 1}]
        return [
            {"containerID": 0, "hostID": self.user - 1, "size": 1},
            {"containerID": _UID, "hostID": self.user, "size": 1},
        ]


def _write_bundle(folder: str, config: dict[str, Any]) -> None:
    """Creates a root that contains only mount points; a runtime that is root only inside could not create them."""
    root = Path(folder, "root")
    for mount in config["mounts"]:
        (root / mount["destination"].lstrip("/")).mkdir(parents=True, exist_ok=True)
    for path in (Path(folder), root, *root.rglob("*")):
        path.chmod(0o1777 if path.name in ("tmp", "shm") else 0o755)  # runc keeps the mode of the mount point
    Path(folder, "config.json").write_text(json.dumps(config))


async def _deleted(command: list[str], name: str, process: asyncio.subprocess.Process) -> None:
    """Deletes a box by force, and waits until its runtime has ended."""
    gone = await asyncio.create_subprocess_exec(
        *(*command, "delete", "--force", name), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    await gone.wait()
    if process.returncode is None:
        process.kill()
    await process.communicate()


def _bind(path: str) -> dict[str, Any]:
    source = str(Path(path).resolve())
    return {"destination": path, "type": "bind", "source": source, "options": ["rbind", "ro", "nosuid", "nodev"]}


def _memory(path: str, size: int, *options: str) -> dict[str, Any]:
    chosen = ["nosuid", "nodev", f"size={size}", *(options or ("mode=1777",))]
    return {"destination": path, "type": "tmpfs", "source": "tmpfs", "options": chosen}
