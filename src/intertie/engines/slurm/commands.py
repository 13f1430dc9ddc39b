"""Argument lists for Slurm's own commands, made from values; pure, and never a shell string."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from intertie.engines.slurm.settings import SlurmSettings
from intertie.model.units import ceil_div

OWN_FORMAT = "%F|%K|%T|%S|%e|%N|%r|%j"  # the name comes last, it may hold anything
QUEUE_FORMAT = "%T|%C|%m|%D|%b|%r|%j"
NODE_FORMAT = (
    "NodeList:80,StateComplete:60,CPUsState:40,Memory:20,AllocMem:20,Gres:200,GresUsed:300,"
    "Partition:80"
)
SACCT_FIELDS = "JobID,State,ElapsedRaw,Start,End,NodeList,JobName"
COMMENT_CHARACTERS = 1000


@dataclass(frozen=True)
class Ask:
    """What one attempt needs of the site; attempts that need the same go into one array.

    The `members` of a gang are the tasks of one job on so many `machines`, as evenly as they go;
    0 where each attempt is a job of its own.
    """

    partitions: tuple[str, ...]
    cpus: int
    memory_mib: int
    gres_type: str
    gres_count: int
    minutes: int
    members: int = 0
    machines: int = 1

    @property
    def per_machine(self) -> int:
        """Return how many tasks of the job one machine holds at most."""
        return max(1, ceil_div(self.members, self.machines))


@dataclass(frozen=True)
class Submission:
    """One sbatch: `names` are the attempts, in the order of the array's indices or tasks."""

    job_name: str
    names: tuple[str, ...]
    ask: Ask
    folder: str
    output: str


def sbatch(settings: SlurmSettings, submission: Submission) -> list[str]:
    """Return the command that submits the script that is given on its standard input."""
    argv = ["sbatch", "--parsable", "--no-requeue", "--export=ALL", "--input=/dev/null"]
    argv += [f"--job-name={submission.job_name}", f"--comment={comment(submission.names)}"]
    argv += [f"--chdir={submission.folder}"]
    argv += [f"--output={submission.output}", "--open-mode=append"]
    if len(submission.names) > 1 and not submission.ask.members:
        argv.append(f"--array=0-{len(submission.names) - 1}")
    return argv + _needs(settings, submission.ask)


def sbatch_test(settings: SlurmSettings, ask: Ask) -> list[str]:
    """Return the command that asks when such a job would start, without submitting it."""
    return ["sbatch", "--test-only", *_needs(settings, ask)]


def script(words: Sequence[str]) -> str:
    """Return the batch script: it becomes these words, so that signals for it reach them."""
    return f"#!/bin/sh\nexec {shlex.join(words)}\n"


def srun(ask: Ask) -> list[str]:
    """Return what starts every task of a gang's job at once, and leaves each its own end.

    It is told the cores again: since Slurm 22.05 it does not take them from the job.
    """
    argv = ["srun", "--wait=0", "--kill-on-bad-exit=0", "--input=none", "--mpi=none"]
    argv.append(f"--cpus-per-task={ask.cpus}")
    if ask.gres_count and ask.per_machine > 1:  # each is to see its own devices only
        argv.append(f"--gpus-per-task={ask.gres_count}")  # 22.05 binds none if told the type
    return argv


def comment(names: Sequence[str]) -> str:
    """Return what the site's own people see: the leases with their tokens, as many as fit."""
    text = ",".join(names)
    if len(text) <= COMMENT_CHARACTERS:
        return text
    return f"{text[:COMMENT_CHARACTERS].rpartition(',')[0]},…"


def squeue_own(user: str) -> list[str]:
    """Return the command that lists a user's jobs, those that ended lately too."""
    argv = ["squeue", "--noheader", "--array", "--all", "--states=all"]
    return [*argv, f"--user={user}", f"--format={OWN_FORMAT}"]


def squeue_waiting(partitions: Sequence[str]) -> list[str]:
    """Return the command that lists what everybody has waiting or running in some partitions."""
    # What completes still has its cores, and so does what is being configured.
    states = "PENDING,CONFIGURING,RUNNING,SUSPENDED,COMPLETING"
    argv = ["squeue", "--noheader", "--array", "--all", f"--states={states}"]
    return [*argv, f"--partition={','.join(partitions)}", f"--format={QUEUE_FORMAT}"]


def sacct(ids: Sequence[str]) -> list[str]:
    """Return the command that asks the accounting for jobs that the queue has dropped."""
    argv = ["sacct", "--noheader", "--parsable2", "--allocations", "--duplicates"]
    return [*argv, f"--jobs={','.join(ids)}", f"--format={SACCT_FIELDS}"]


def scancel(ids: Sequence[str]) -> list[str]:
    """Return the command that ends jobs: SIGTERM to all of each, SIGKILL after KillWait."""
    return ["scancel", *ids]


def scancel_signal(ids: Sequence[str]) -> list[str]:
    """Return the command that sends SIGTERM to the jobs' shims only."""
    return ["scancel", "--signal=TERM", "--batch", *ids]


def sinfo(partitions: Sequence[str]) -> list[str]:
    """Return the command that lists the nodes of some partitions, one row for each."""
    chosen = f"--partition={','.join(partitions)}"
    return ["sinfo", "--noheader", "--Node", chosen, f"--Format={NODE_FORMAT}"]


def show_config() -> list[str]:
    """Return the command that shows how the site is set up."""
    return ["scontrol", "show", "config"]


def show_partitions() -> list[str]:
    """Return the command that shows every partition with its limits."""
    return ["scontrol", "--oneliner", "--all", "show", "partition"]


def _needs(settings: SlurmSettings, ask: Ask) -> list[str]:
    each = ask.per_machine
    argv = [f"--nodes={ask.machines}", f"--ntasks={ask.members or 1}"]
    argv += [f"--ntasks-per-node={each}"] if ask.members else []
    argv += [f"--cpus-per-task={ask.cpus}", f"--mem={each * ask.memory_mib}M"]
    argv += [f"--time={ask.minutes}", f"--partition={','.join(ask.partitions)}"]
    if ask.gres_count:
        argv.append(f"--gres=gpu:{ask.gres_type}:{each * ask.gres_count}")
    named = (("account", settings.account), ("qos", settings.qos))
    argv += [f"--{key}={value}" for key, value in named if value]
    return argv + list(settings.extra)
