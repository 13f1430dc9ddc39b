"""The host engine: sandboxed processes here, each under a shim that outlives the agent.

A program with an image runs in the same way, in another root (`images.py`).
"""

import hashlib
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

from intertie.engines.host import facts, limits, sandbox, seccomp
from intertie.engines.host.images import PULLS, Image, Images, find_podman
from intertie.engines.protocol import SESSIONS, EngineFacts, EngineUnavailable, Observed, Room
from intertie.engines.registry import EngineSettings
from intertie.engines.shim import attempts, laying
from intertie.engines.shim.ear import Ear
from intertie.engines.shim.laying import remove_tree
from intertie.engines.shim.procfs import boot_ms, write_new
from intertie.model.images import check_image
from intertie.wire.sync import LeaseBody

SHIM = Path(attempts.__file__).with_name("__main__.py")


@dataclass(frozen=True)
class HostSettings:
    """What the owner says of the host; sizes of 0 are measured.

    `speed_percent` scales the CPU quota of every task: at 50 a promised core runs at half speed.
    `grace_s` is for stops of the engine's own: time limit, the lease's end, a silent network.
    `pull` says whether images that are not here are fetched: "never" or "missing".
    """

    folder: Path
    node: str = ""
    cpus_milli: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0
    speed_percent: int = 100
    pids_max: int = 1024
    log_bytes_max: int = 256 << 20
    grace_s: int = 5
    is_sandboxed: bool = True
    is_limited: bool = True
    pull: str = "never"


class HostEngine:
    """Starts and stops attempts as processes of this host; implements `Engine`."""

    def __init__(self, settings: HostSettings) -> None:
        self.settings = settings
        self.root = settings.folder.resolve()
        self.root.mkdir(mode=0o711, parents=True, exist_ok=True)
        self.limits = limits.find() if settings.is_limited else limits.NO_LIMITS
        self.bubblewrap = sandbox.find_bubblewrap() if settings.is_sandboxed else ""
        self.seccomp = self._write_seccomp()
        podman = find_podman() if self.bubblewrap else ""
        self.images = Images(podman, self.root / "images", settings.pull) if podman else None
        self.id = hashlib.sha256(str(self.root).encode()).hexdigest()[:12]
        self.poke = f"intertie-{self.id}"
        self._shims: dict[str, int] = {}
        self._over: dict[str, Observed] = {}
        self._preparing: set[str] = set()
        self._digests: dict[str, str] = {}
        self._ear = Ear(self.poke)
        self.listen()

    def facts(self) -> EngineFacts:
        own = self.settings
        node = facts.node_facts(
            own.node, self.root, own.cpus_milli, own.memory_bytes, own.disk_bytes
        )
        abilities = self.limits.abilities
        if self.bubblewrap:
            abilities = ("sandbox", "network_off", *abilities)
        missing = tuple(word for word in facts.ALL_ABILITIES if word not in abilities)
        abilities += (SESSIONS, "gangs", *(("containers",) if self.images else ()))
        return EngineFacts("host", (node,), facts.stacks(self.bubblewrap), abilities, missing)

    def room(self) -> Room | None:
        return None

    def waits(self) -> dict[str, int]:
        return {}

    def folder(self, lease: str, token: int) -> Path:
        return self.root / attempts.name_of(lease, token)

    def start(self, lease: str, token: int, body: LeaseBody) -> None:
        """Start the attempt unless it was started before; ValueError says what is wrong with it.

        One with an image is pending until the image is ready: fetching one may take minutes.
        """
        folder = self.folder(lease, token)
        is_known = folder.name in self._shims or folder.name in self._preparing
        if is_known or attempts.read_status(folder) is not None:
            return
        laying.check_variables(body.environment)
        folder.mkdir(mode=0o711, exist_ok=True)
        if not body.image:
            self._launch(folder, body, None)
            return
        if self.images is None:
            raise ValueError("image: this pool runs no containers; it has no podman that works")
        check_image(body.image)
        self._preparing.add(folder.name)
        write_new(folder / "spec.json", json.dumps({"groups": {}}))
        Thread(target=self._prepare, args=(self.images, folder, body), daemon=True).start()

    def extend(self, lease: str, token: int, left_ms: int) -> None:
        """Set how long the lease lasts; the shim keeps to it even if the agent is gone."""
        folder = self.folder(lease, token)
        folder.mkdir(mode=0o711, exist_ok=True)
        write_new(folder / "until", str(boot_ms() + left_ms))
        attempts.wake_shim(folder)

    def renew(self, left_ms: int) -> None:
        """Say how long attempts that may move run on if nothing more is heard of the network."""
        write_new(self.root / "session", str(boot_ms() + left_ms))

    def stop(self, lease: str, token: int, cause: str, grace_s: int) -> None:
        folder = self.folder(lease, token)
        if not folder.is_dir():
            return
        if attempts.read_status(folder) is None and attempts.withdraw(folder, self.poke, cause):
            attempts.remove_groups(folder)
            return
        attempts.order_stop(folder, cause, grace_s)

    def observe(self) -> list[Observed]:
        return [seen for path in sorted(self.root.iterdir()) if (seen := self._observe(path))]

    def forget(self, lease: str, token: int) -> None:
        folder = self.folder(lease, token)
        status = attempts.read_status(folder)
        if not folder.is_dir() or (status is not None and status["state"] != "over"):
            return
        attempts.remove_groups(folder)
        remove_tree(folder)
        self._over.pop(folder.name, None)
        self._digests.pop(folder.name, None)
        self._rest(folder.name)

    def listen(self) -> None:
        """Hear of changes at once, unless another engine of this folder does; `wait` polls then."""
        self._ear.open()

    def wait(self, timeout_s: float) -> None:
        """Return when an attempt may have changed, when woken, or when the time is up."""
        self._ear.wait(timeout_s)

    def wake(self) -> None:
        """Make `wait` return now."""
        self._ear.wake()

    def close(self) -> None:
        """Let go of the engine; what runs, runs on."""
        self._ear.close()

    def _prepare(self, images: Images, folder: Path, body: LeaseBody) -> None:
        """Get the image and launch; where that cannot be, the attempt ends and says why."""
        try:
            image = images.prepare(body.image, self._digests_in_use())
            if attempts.read_status(folder) is None:
                self._launch(folder, body, image)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody else can end the attempt
            with suppress(OSError):
                attempts.withdraw(folder, self.poke, "start_failed", str(error))
        finally:
            self._preparing.discard(folder.name)

    def _digests_in_use(self) -> set[str]:
        return {self._digest_of(path) for path in self.root.iterdir() if path.is_dir()} - {""}

    def _digest_of(self, folder: Path) -> str:
        """Return the digest of the image that an attempt runs in; empty for none."""
        if folder.name not in self._digests:
            try:
                spec = json.loads((folder / "spec.json").read_text())
                self._digests[folder.name] = str(spec["image"])
            except (OSError, ValueError, KeyError):  # it has none yet, or it is no attempt
                return ""
        return self._digests[folder.name]

    def _launch(self, folder: Path, body: LeaseBody, image: Image | None) -> None:
        write_new(folder / "spec.json", json.dumps(self._spec(folder, body, image)))
        self._shims[folder.name] = self._spawn(folder)

    def _spec(self, folder: Path, body: LeaseBody, image: Image | None) -> dict[str, Any]:
        is_sandboxed = bool(self.bubblewrap)
        root = image.root if image else None
        box = sandbox.Box(folder, body.job, body.memory_bytes, body.network, self.seccomp, root)
        home = "/work" if is_sandboxed else str(folder / "work")
        values = sandbox.environment_of_job(home, is_sandboxed)
        if image is not None:
            values = sandbox.image_environment(_only_variables(image.environment))
        values |= laying.told(body)
        sandbox.prepare(box, values, body.script)
        script = "/job/script" if is_sandboxed else str(folder / "job" / "script")
        program = laying.program(body, script)
        if is_sandboxed:
            sandbox.own(box)
        argv = sandbox.direct_command(box, program)
        if is_sandboxed:
            argv = sandbox.command(self.bubblewrap, box, program)
        told = laying.spec(folder, body, self.settings.log_bytes_max, self.settings.grace_s)
        return told | {
            "argv": argv,
            "environment": sandbox.LAUNCH_ENVIRONMENT,
            "cwd": "/" if is_sandboxed else home,
            "seccomp": str(self.seccomp) if is_sandboxed and self.seccomp else "",
            "is_sandboxed": is_sandboxed,
            "groups": self._groups(folder, body),
            "poke": self.poke,
            "image": image.digest if image else "",
        }

    def _groups(self, folder: Path, body: LeaseBody) -> dict[str, Any]:
        own = self.settings
        caps = limits.Caps(body.cpus_milli, own.speed_percent, body.memory_bytes, own.pids_max)
        try:
            return self.limits.create(f"{self.id}-{folder.name}", caps)
        except OSError as error:
            raise EngineUnavailable(f"no control group could be made: {error}") from error

    def _spawn(self, folder: Path) -> int:
        """Start the shim in a session of its own; return its process number."""
        # Not sys.executable: a virtual environment's Python looks for its packages as it starts.
        python = os.path.realpath(sys.executable)
        null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
        argv = [python, "-I", "-S", str(SHIM), str(folder)]
        try:
            return os.posix_spawn(
                python, argv, sandbox.LAUNCH_ENVIRONMENT, file_actions=null, setsid=True
            )
        except OSError as error:
            raise EngineUnavailable(f"no shim could be started: {error}") from error

    def _rest(self, name: str) -> None:
        """Let a shim that has written its last word end."""
        if pid := self._shims.pop(name, 0):
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)

    def _is_shim_gone(self, name: str) -> bool:
        """Return whether a shim that this engine started has ended, and let it rest."""
        pid = self._shims.get(name)
        if not pid:
            return pid == 0
        with suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                return False
        self._shims[name] = 0
        return True

    def _observe(self, folder: Path) -> Observed | None:
        if folder.name in self._over:
            return self._over[folder.name]
        match = attempts.NAME.match(folder.name)
        if match is None or not (folder / "spec.json").exists():
            return None
        is_shim_gone = self._is_shim_gone(folder.name)
        status = attempts.read_status(folder)
        if status is None and is_shim_gone:
            attempts.withdraw(folder, self.poke, "start_failed", "the shim did not start")
            status = attempts.read_status(folder)
        if status is not None and status["state"] != "over" and not attempts.shim_of(status):
            status = attempts.read_status(folder)  # it may have ended while we looked
            if status is not None and status["state"] != "over":
                status = attempts.bury(folder, status, self.poke)
        seen = attempts.observed(match[1], int(match[2]), status)
        if status is not None:
            seen = replace(seen, image=self._digest_of(folder))
        if seen.state == "over":
            self._over[folder.name] = seen
        return seen

    def _write_seccomp(self) -> Path | None:
        program = seccomp.program()
        if not program or not self.bubblewrap:
            return None
        path = self.root / "seccomp.bpf"
        if not path.exists() or path.read_bytes() != program:
            new = path.with_suffix(f".{os.getpid()}")
            new.write_bytes(program)
            new.replace(path)
        return path


def _only_variables(environment: dict[str, str]) -> dict[str, str]:
    """Return what a shell can set of an image's environment."""
    return {name: value for name, value in environment.items() if laying.VARIABLE.match(name)}


def open_engine(own: EngineSettings) -> HostEngine:
    """Return the engine for an owner's settings; its table may say `pull`."""
    pull = own.table.get("pull", "never")
    if unknown := sorted(set(own.table) - {"pull"}):
        raise ValueError(f"{unknown[0]}: no such setting of the host engine; remove it")
    if pull not in PULLS:
        raise ValueError(f"pull: {pull!r} is neither of {', '.join(PULLS)}; write one of them")
    return HostEngine(
        HostSettings(
            folder=own.folder,
            cpus_milli=own.cpus_milli,
            memory_bytes=own.memory_bytes,
            disk_bytes=own.disk_bytes,
            speed_percent=own.speed_percent,
            log_bytes_max=own.log_bytes_max,
            grace_s=own.grace_s,
            is_sandboxed=own.is_sandboxed,
            is_limited=own.is_limited,
            pull=pull,
        )
    )
