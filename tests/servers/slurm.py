"""Real Slurm clusters on loopback: own munge realm, own ports, own folder; nothing is shared.

    with SlurmCluster("alpha", folder, gpu_nodes=2, gpu="a100:8", cpu_nodes=2) as cluster: ...

Wants Debian's slurmctld, slurmd, slurm-client and munge, and root: `slurmd` starts jobs as
whoever submitted them.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.servers import keeper
from tests.servers.daemons import Server, free_ports

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
WITH_ACCOUNTING = (*PROGRAMS, "slurmdbd", "mariadbd")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

CONFIGURATION = """
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.sock
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/spool/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=512
GresTypes=gpu
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MinJobAge={job_age_s}
SlurmctldTimeout=10
SlurmdTimeout={node_timeout_s}
InactiveLimit=0
KillWait=2
WaitTime=0
"""

ACCOUNTING = """
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass=socket={folder}/run/munge.sock
"""

DBD = """
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.sock
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database_port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
LogFile={folder}/log/slurmdbd.log
PidFile={folder}/run/slurmdbd.pid
CommunicationParameters=NoInAddrAny
"""


def missing(programs: Sequence[str] = PROGRAMS) -> str:
    """Return in one line what is to be installed; nothing where clusters can be had."""
    if os.geteuid() != 0:
        return "needs root: slurmd starts jobs as whoever submitted them"
    lacking = [name for name in programs if shutil.which(name, path=PATH) is None]
    if not lacking:
        return ""
    return (
        f"no {', '.join(lacking)} here"
        " (Debian: apt-get install munge slurmctld slurmd slurm-client, and"
        " slurmdbd mariadb-server for accounting)"
    )


class SlurmCluster(Server):
    """One cluster: munged, slurmctld, and a slurmd for each node."""

    def __init__(
        self,
        name: str,
        *,
        gpu_nodes: int = 0,
        gpu: str = "a100:8",
        cpu_nodes: int = 0,
        spool_bytes: int = 0,
        node_timeout_s: int = 30,
        job_age_s: int = 300,
        dbd: bool = False,
    ) -> None:
        """`gpu` is TYPE:COUNT of each GPU node; a spool of some size is a disk that can be full.

        The controller gives up a node that is silent for about twice `node_timeout_s`, and
        forgets a job `job_age_s` after its end. `dbd`: with accounting, by slurmdbd and a
        MariaDB of its own.
        """
        self.name, self.gpu, self.spool_bytes = name, gpu, spool_bytes
        self.node_timeout_s, self.job_age_s, self.has_dbd = node_timeout_s, job_age_s, dbd
        super().__init__(Path(mkdtemp(prefix=f"intertie-slurm-{name}-")))
        self.shared = self.folder / "shared"  # what nodes and login host both see
        self.gpu_nodes = [f"{name}-gpu{number}" for number in range(1, gpu_nodes + 1)]
        self.cpu_nodes = [f"{name}-cpu{number}" for number in range(1, cpu_nodes + 1)]
        self.nodes = [*self.gpu_nodes, *self.cpu_nodes]
        self.conf = self.folder / "etc" / "slurm.conf"
        self.environment = {"PATH": PATH, "LANG": "C.UTF-8", "SLURM_CONF": str(self.conf)}
        self._lay_out()

    def start(self) -> None:
        """Start everything, and return when every node is idle."""
        self.start_munge()
        if self.has_dbd:
            self.start_accounting()
        self.start_controller()
        for node in self.nodes:
            self.start_node(node)
        self.until_idle(self.nodes)

    # Faults, and what undoes them.

    def kill_controller(self) -> None:
        self.end("slurmctld", signal.SIGKILL)

    def start_controller(self) -> None:
        self.begin("slurmctld", ["slurmctld", "-D", "-f", str(self.conf)])
        self.until(self._answers, "slurmctld answers")

    def start_accounting(self) -> None:
        """Start the database and slurmdbd, and make this cluster known to them."""
        data, socket_path = self.folder / "database", self.folder / "run" / "mysql.sock"
        plain = ["--no-defaults", f"--datadir={data}", "--user=mysql"]
        if not data.exists():
            data.mkdir()
            shutil.chown(data, "mysql", "mysql")
            made = ["mariadb-install-db", *plain, "--skip-test-db"]
            self.run(*made, "--auth-root-authentication-method=normal", timeout_s=60)
        port = [f"--port={self.database_port}", "--bind-address=127.0.0.1"]
        small = ["--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=2"]
        (self.folder / "run").chmod(0o1777)
        self.begin("mariadbd", ["mariadbd", *plain, f"--socket={socket_path}", *port, *small])
        grant = "grant all on *.* to slurm@'{}' identified by 'slurm'"
        grants = ";".join(grant.format(host) for host in ("127.0.0.1", "localhost"))
        ask = ["mariadb", "--no-defaults", f"--socket={socket_path}", "-uroot", "-e", grants]
        self.until(lambda: self._does(*ask), "the database answers")
        self.begin("slurmdbd", ["slurmdbd", "-D"])
        self.until(lambda: self._does("sacctmgr", "-n", "list", "cluster"), "slurmdbd answers")

    def kill_node(self, node: str) -> None:
        """Kill a node's daemon; its jobs run on, as if only its link were cut."""
        self.end(node, signal.SIGKILL)

    def kill_machine(self, node: str) -> None:
        """Kill a node's daemon and all that runs on it, as if its power were cut."""
        self.kill_node(node)
        for pid in keeper.marked(self.folder):
            with suppress(OSError):
                if self._is_step(pid, node):
                    keeper.kill_each({*keeper.below(pid), pid})

    def start_node(self, node: str) -> None:
        self.begin(node, ["slurmd", "-D", "-f", str(self.conf), "-N", node])

    def drain(self, node: str) -> None:
        self.run("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")

    def resume(self, node: str) -> None:
        self.run("scontrol", "update", f"nodename={node}", "state=resume")

    def stop_munge(self) -> None:
        self.end("munged", signal.SIGTERM)

    def start_munge(self) -> None:
        run, etc, log = (self.folder / name for name in ("run", "etc", "log"))
        argv = ["munged", "--foreground", "--force", f"--key-file={etc}/munge.key"]
        argv += [f"--socket={run}/munge.sock", f"--pid-file={run}/munged.pid"]
        argv += [f"--log-file={log}/munged.log", f"--seed-file={run}/munge.seed"]
        self.begin("munged", argv)
        self.until((run / "munge.sock").exists, "munged listens")

    def fill_spool(self) -> None:
        """Leave no byte of the spool; only of a cluster that was given a spool of its own."""
        assert self.spool_bytes, "give the cluster a spool of its own"
        with suppress(OSError), (self.folder / "spool" / "filler").open("wb", 0) as file:
            while file.write(bytes(4096)):
                pass

    def empty_spool(self) -> None:
        (self.folder / "spool" / "filler").unlink(missing_ok=True)

    # What a site's own user would type.

    def run(self, *argv: str, timeout_s: float = 20) -> str:
        done = subprocess.run(
            argv,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise subprocess.SubprocessError(f"{argv}: {done.stderr or done.stdout}")
        return done.stdout

    def submit(self, *options: str, command: str = "sleep 600") -> str:
        """Submit a job as the site's own user would; return its id."""
        where = f"--output={self.shared}/own-%j.out"
        return self.run("sbatch", "--parsable", where, *options, f"--wrap={command}").strip()

    def jobs(self) -> list[str]:
        """Return a row `id name state reason` for each job that the controller knows."""
        rows = self.run("squeue", "-h", "-r", "-t", "all", "-o", "%i %j %T %r").splitlines()
        return sorted(rows)

    def until_idle(self, nodes: list[str]) -> None:
        wanted = set(nodes)

        def are_idle() -> bool:
            rows = self.run("sinfo", "-h", "-N", "-p", "main", "-t", "idle", "-o", "%N")
            return wanted <= set(rows.split())

        self.until(are_idle, f"{nodes} idle")

    def _lay_out(self) -> None:
        self.folder.chmod(0o755)
        for name in ("etc", "run", "spool", "shared", "dev"):
            (self.folder / name).mkdir(mode=0o755)
        self.shared.chmod(0o1777)
        if self.spool_bytes:
            size = f"size={self.spool_bytes}"
            spool = str(self.folder / "spool")
            subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", spool], check=True)
        (self.folder / "spool" / "state").mkdir()
        key = self.folder / "etc" / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o600)
        cgroup = "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\nConstrainRAMSpace=no\n"
        (self.folder / "etc" / "cgroup.conf").write_text(cgroup)
        self._write_configuration()

    def _write_configuration(self) -> None:
        host = socket.gethostname().partition(".")[0]
        controller_port, *ports = free_ports(1 + len(self.nodes))
        text = CONFIGURATION.format(
            name=self.name,
            host=host,
            port=controller_port,
            folder=self.folder,
            node_timeout_s=self.node_timeout_s,
            job_age_s=self.job_age_s,
        )
        text += self._accounting(host)
        devices = []
        for node, port in zip(self.nodes, ports, strict=True):
            (self.folder / "spool" / node).mkdir()
            has = f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
            if node in self.gpu_nodes:
                text += f"{has} CPUs=64 RealMemory=512000 Gres=gpu:{self.gpu}\n"
                devices.append(self._make_devices(node))
            else:
                text += f"{has} CPUs=32 RealMemory=128000\n"
        everything = ",".join(self.nodes)
        text += f"PartitionName=main Nodes={everything} Default=YES PriorityTier=10\n"
        text += f"PartitionName=spot Nodes={everything} PriorityTier=1 PreemptMode=REQUEUE\n"
        self.conf.write_text(text)
        (self.folder / "etc" / "gres.conf").write_text("".join(devices))

    def _make_devices(self, node: str) -> str:
        """Make device files: Slurm drops GPUs that have none."""
        kind, count = self.gpu.split(":")
        folder = self.folder / "dev" / node
        folder.mkdir()
        for number in range(int(count)):
            os.mknod(folder / f"nvidia{number}", 0o20666, os.makedev(1, 3))
        last = int(count) - 1
        return f"NodeName={node} Name=gpu Type={kind} File={folder}/nvidia[0-{last}]\n"

    def _is_step(self, pid: int, node: str) -> bool:
        """A step holds the log of its node open."""
        about = Path(f"/proc/{pid}")
        if b"slurmstepd" not in (about / "cmdline").read_bytes():
            return False
        log = str(self.folder / "log" / f"slurmd.{node}.log")
        return log in [str(path.readlink()) for path in (about / "fd").iterdir()]

    def _accounting(self, host: str) -> str:
        """Return what slurm.conf says of accounting; slurmdbd's own file lies beside it."""
        if not self.has_dbd:
            return "AccountingStorageType=accounting_storage/none\n"
        port, self.database_port = free_ports(2)
        told = {"host": host, "port": port, "folder": self.folder}
        path = self.folder / "etc" / "slurmdbd.conf"
        path.write_text(DBD.format(database_port=self.database_port, **told))
        path.chmod(0o600)
        return ACCOUNTING.format(**told)

    def _does(self, *argv: str) -> bool:
        """Return whether a command succeeds."""
        try:
            self.run(*argv, timeout_s=10)
        except subprocess.SubprocessError:
            return False
        return True

    def _answers(self) -> bool:
        with suppress(subprocess.SubprocessError):
            return "UP" in self.run("scontrol", "ping", timeout_s=5)
        return False


@pytest.fixture(scope="session")
def slurm_alpha() -> Iterator[SlurmCluster]:
    """A cluster with two nodes of eight A100 and one without devices."""
    if why := missing():
        pytest.skip(why)
    with SlurmCluster("alpha", gpu_nodes=2, gpu="a100:8", cpu_nodes=1) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def slurm_beta() -> Iterator[SlurmCluster]:
    """A second cluster, of another trust realm, with one node of four RTX 3090."""
    if why := missing():
        pytest.skip(why)
    with SlurmCluster("beta", gpu_nodes=1, gpu="rtx3090:4") as cluster:
        yield cluster
