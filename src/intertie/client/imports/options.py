"""Every option of sbatch: how it is written, and what becomes of those that nothing here reads."""

from dataclasses import dataclass
from typing import Literal, get_args

from intertie.client.imports.notes import Level

Value = Literal["needs", "none", "maybe"]


@dataclass(frozen=True)
class Option:
    """One option. `code` says why it is as `level` says; empty where the importer reads it."""

    name: str
    short: str = ""
    value: Value = "needs"
    level: Level = "kept"
    code: str = ""


# Written as sbatch does: ":" after a name that needs a value, "?" where it may have one.
_READ = """
array:a chdir:D workdir: cpus-per-gpu: cpus-per-task:c constraint:C container-image: dependency:d
error:e export: gpus:G gpus-per-node: gpus-per-socket: gpus-per-task: gres: input:i job-name:J mem:
mem-per-cpu: mem-per-gpu: mincpus: nodes:N no-requeue ntasks:n ntasks-per-gpu: ntasks-per-node:
open-mode: output:o signal: sockets-per-node: time:t tmp:
"""
# A row is what becomes of its options, why, and their names.
_TOLD = """
kept begun_again requeue
kept shares_machine oversubscribe/s share/s
kept of_the_command wait/W quiet/Q verbose/v parsable test-only ignore-pbs usage help/h version/V
kept of_the_command wrap:
changed chosen_pool partition:p clusters:M cluster-constraint:
changed charged_project account:A wckey:
unmet no_rank qos:q nice? priority: immediate?I
unmet no_mail mail-type: mail-user:
unmet no_nodes_chosen nodelist:w exclude:x nodefile:F prefer: reservation: switches: contiguous
unmet no_nodes_chosen spread-job use-min-nodes segment: consolidate-segments
unmet no_whole_machine exclusive?
unmet no_layout distribution:m hint: cores-per-socket: threads-per-core: extra-node-info:B
unmet no_layout ntasks-per-core: ntasks-per-socket: core-spec:S thread-spec: cpu-freq: cpu-bind:
unmet no_layout mem-bind: gpu-bind: gpu-freq: gres-flags: overcommit/O tres-bind: tres-per-task:
unmet no_site_resource licenses:L bb: bbf: network: container: container-id:
unmet no_container_setting container-mounts: container-name: container-workdir: container-save:
unmet no_container_setting container-env: container-mount-home no-container-mount-home
unmet no_container_setting container-remap-root no-container-remap-root container-entrypoint
unmet no_container_setting no-container-entrypoint container-writable container-readonly
unmet no_begin begin:b
unmet no_hold hold/H
unmet no_deadline deadline: time-min:
unmet no_counterpart acctg-freq: comment: delay-boot: export-file: extra: get-user-env? gid: uid:
unmet no_counterpart kill-on-invalid-dep: mcs-label: no-kill?k oom-kill-step? power: profile:
unmet no_counterpart propagate? reboot resv-ports? stepmgr wait-all-nodes: x11?
"""


def _options() -> dict[str, Option]:
    found = [_option(word, "kept", "") for word in _READ.split()]
    for row in _TOLD.strip().splitlines():
        told, code, *words = row.split()
        level = next(each for each in get_args(Level) if each == told)
        found += [_option(word, level, code) for word in words]
    return {option.name: option for option in found}


def _option(word: str, level: Level, code: str) -> Option:
    marks: dict[str, Value] = {":": "needs", "?": "maybe", "/": "none"}
    for mark, value in marks.items():
        name, found, short = word.partition(mark)
        if found:
            return Option(name, short, value, level, code)
    return Option(word, "", "none", level, code)


OPTIONS = _options()
SHORT = {option.short: option for option in OPTIONS.values() if option.short}


def meant(name: str) -> list[Option]:
    """Return the options that a long name may mean: itself, or all that begin with it."""
    if name in OPTIONS:
        return [OPTIONS[name]]
    return [option for option in OPTIONS.values() if option.name.startswith(name)]
