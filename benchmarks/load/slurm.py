"""A private Slurm cluster in a folder of its own: own munge key, loopback only, as root."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.load.postgres import Missing
from intertie.cli.embedded import free_port

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge", "slurm-wlm-basic-plugins")
NODES, CPUS = 2, 64
EAGER = (
    "batch_sched_delay=0",
    "sched_min_interval=0",
    "sched_interval=1",
    "default_queue_depth=5000",
)

CONFIGURATION = """\
ClusterName=load
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters={parameters}
MaxJobCount=200000
MaxArraySize=100001
MinJobAge=300
"""


class Slurm:
    """One controller and its nodes; every daemon is ended by the pid that it wrote."""

    def __init__(self) -> None:
        if os.geteuid() != 0:
            raise Missing("Slurm is not here: a private cluster wants root")
        if not all(map(shutil.which, ("slurmctld", "slurmd", "sbatch", "munged"))):
            _install()
        self.folder = Path(tempfile.mkdtemp(prefix="intertie-slurm-", dir="/tmp"))
        self.folder.chmod(0o755)
        (self.folder / "state").mkdir()
        self._start_munge()
        self._write_configuration()
        self.environment = os.environ | {"SLURM_CONF": str(self.folder / "slurm.conf")}
        self._daemon("slurmctld", "-c")
        for node in range(NODES):
            (self.folder / f"spool-n{node}").mkdir()
            self._daemon("slurmd", "-N", f"n{node}")
        ends = time.monotonic() + 60
        while len(self.run("sinfo", "-h", "-N", "-t", "idle").split("\n")) <= NODES:
            assert time.monotonic() < ends, self.log()
            time.sleep(0.2)

    def run(self, *command: str) -> str:
        """Return what a client command prints."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        )
        return done.stdout

    def controller_cpu_s(self) -> float:
        """Return the processor time that the controller has used, in seconds."""
        pid = int((self.folder / "slurmctld.pid").read_text())
        return sum(psutil.Process(pid).cpu_times()[:2])

    def log(self) -> str:
        """Return what the controller said last."""
        return (self.folder / "slurmctld.log").read_text(errors="replace")[-2000:]

    def close(self) -> None:
        """Cancel what runs, end the daemons, remove the folder."""
        self.run("scancel", "--quiet", "-u", "root")
        for path in [*self.folder.glob("slurm*.pid"), self.folder / "munged.pid"]:
            with suppress(OSError, ValueError, psutil.Error):
                process = psutil.Process(int(path.read_text()))
                process.send_signal(signal.SIGTERM)
                process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(1024))
        told = {"key-file": key, "socket": self.folder / "munge.sock"}
        told |= {"pid-file": self.folder / "munged.pid", "log-file": self.folder / "munged.log"}
        told |= {"seed-file": self.folder / "munge.seed"}
        words = [f"--{name}={value}" for name, value in told.items()]
        self._call(["munged", "--force", *words])

    def _write_configuration(self) -> None:
        host = socket.gethostname().split(".")[0]
        text = CONFIGURATION.format(
            host=host, port=free_port(), folder=self.folder, parameters=",".join(EAGER)
        )
        for node in range(NODES):
            text += f"NodeName=n{node} NodeHostname={host} NodeAddr=127.0.0.1"
            text += f" Port={free_port()} CPUs={CPUS} RealMemory=100000 State=UNKNOWN\n"
        text += "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n"
        (self.folder / "slurm.conf").write_text(text)

    def _daemon(self, program: str, *words: str) -> None:
        conf = str(self.folder / "slurm.conf")
        self._call([program, "-f", conf, *words], {"SLURM_CONF": conf})

    def _call(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        """Start a daemon that goes into the background by itself."""
        with (self.folder / "out").open("ab") as out:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=os.environ | (environment or {}),
                start_new_session=True,
                check=False,
            )
        assert done.returncode == 0, (self.folder / "out").read_text()[-2000:]


def _install() -> None:
    """Install Slurm from Debian's packages; its services are not started."""
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", *PACKAGES]):
        command = ["apt-get", *words]
        try:
            done = subprocess.run(command, env=quiet, capture_output=True, check=False)
        except FileNotFoundError:
            raise Missing("Slurm is not here, nor is apt-get") from None
        if done.returncode:
            raise Missing(f"Slurm is not here: {' '.join(command)} failed")
