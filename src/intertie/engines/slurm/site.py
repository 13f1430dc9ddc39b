"""What can be asked of a site and told to it, as values; and the site by its own commands."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from intertie.engines.protocol import EngineUnavailable
from intertie.engines.slurm import commands, parsing
from intertie.engines.slurm.commands import Ask, Submission
from intertie.engines.slurm.parsing import Job, NodeRow, Partition, Queued
from intertie.engines.slurm.runner import Runner, SiteRefuses
from intertie.engines.slurm.settings import SlurmSettings

IDS_PER_COMMAND = 200


class Site(Protocol):
    """What the engine asks and tells. EngineUnavailable if the site cannot be asked."""

    settings: SlurmSettings

    def own_jobs(self) -> list[Job]:
        """Return our jobs, those that ended lately too."""

    def queued(self, partitions: Sequence[str]) -> list[Queued]:
        """Return what everybody has waiting or running in some partitions."""

    def nodes(self, partitions: Sequence[str]) -> list[NodeRow]:
        """Return the nodes of some partitions."""

    def config(self) -> dict[str, str]:
        """Return how the site is set up, by Slurm's own names; empty where it does not say."""

    def partitions(self) -> dict[str, Partition]:
        """Return every partition, by name."""

    def accounted(self, ids: Sequence[str]) -> list[Job]:
        """Return what the site's accounting has of jobs; nothing where there is none."""

    def submit(self, submission: Submission, script: str) -> int:
        """Hand the jobs over; return the id. SiteRefuses with the site's own word."""

    def start_s(self, ask: Ask, script: str) -> int:
        """Return when such a job would start, by the site's own word; 0 if it does not say."""

    def cancel(self, ids: Sequence[str]) -> None:
        """End jobs; one that ended meanwhile is no error."""

    def signal(self, ids: Sequence[str]) -> None:
        """Have the jobs' shims read their orders now, where that can be told."""


class CommandSite:
    """Every question is one command. EngineUnavailable if the site cannot be asked."""

    def __init__(self, settings: SlurmSettings) -> None:
        self.settings = settings
        self.runner = Runner(settings.conf)
        self.user = str(os.geteuid())

    def own_jobs(self) -> list[Job]:
        return parsing.own_jobs(self._ask(commands.squeue_own(self.user)))

    def queued(self, partitions: Sequence[str]) -> list[Queued]:
        return parsing.queued(self._ask(commands.squeue_waiting(partitions)))

    def nodes(self, partitions: Sequence[str]) -> list[NodeRow]:
        return parsing.node_rows(self._ask(commands.sinfo(partitions)))

    def config(self) -> dict[str, str]:
        return parsing.config(self._ask(commands.show_config()))

    def partitions(self) -> dict[str, Partition]:
        return parsing.partitions(self._ask(commands.show_partitions()))

    def accounted(self, ids: Sequence[str]) -> list[Job]:
        """Return what the site's accounting has of jobs; nothing where there is none."""
        with suppress(EngineUnavailable, SiteRefuses):
            return parsing.accounted(self.runner.run(commands.sacct(ids)))
        return []

    def submit(self, submission: Submission, script: str) -> int:
        """Hand the jobs over; return the id. SiteRefuses with the site's own word."""
        argv = commands.sbatch(self.settings, submission)
        told = self.runner.run(argv, script)
        try:
            return parsing.submitted(told)
        except ValueError as error:
            raise EngineUnavailable(f"sbatch answered {told!r}, which names no job") from error

    def start_s(self, ask: Ask, script: str) -> int:
        """Return when such a job would start, by the site's own word; 0 if it does not say."""
        argv = commands.sbatch_test(self.settings, ask)
        with suppress(SiteRefuses):
            return parsing.test_start_s(self.runner.run(argv, script, says_on_error=True))
        return 0

    def cancel(self, ids: Sequence[str]) -> None:
        self._tell(commands.scancel, ids)

    def signal(self, ids: Sequence[str]) -> None:
        """Send SIGTERM to the jobs' shims."""
        self._tell(commands.scancel_signal, ids)

    def _tell(self, render: Callable[[Sequence[str]], list[str]], ids: Sequence[str]) -> None:
        """A job that ended meanwhile is no error."""
        for first in range(0, len(ids), IDS_PER_COMMAND):
            with suppress(SiteRefuses):
                self.runner.run(render(ids[first : first + IDS_PER_COMMAND]))

    def _ask(self, argv: list[str]) -> str:
        try:
            return self.runner.run(argv)
        except SiteRefuses as error:  # a question is not refused: something is away
            raise EngineUnavailable(str(error)) from error
