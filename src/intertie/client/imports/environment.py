"""The SLURM_* variables that are known before a job starts; the wrapper sets the others."""

from intertie.client.imports import values
from intertie.client.imports.shape import Options, Shape

# What an option says is what its variable says.
_AS_ASKED = {
    "partition": "SLURM_JOB_PARTITION",
    "account": "SLURM_JOB_ACCOUNT",
    "qos": "SLURM_JOB_QOS",
    "ntasks-per-node": "SLURM_NTASKS_PER_NODE",
    "gpus-per-node": "SLURM_GPUS_PER_NODE",
    "gpus-per-task": "SLURM_GPUS_PER_TASK",
    "cpus-per-gpu": "SLURM_CPUS_PER_GPU",
    "constraint": "SLURM_JOB_CONSTRAINTS",
}


def told(options: Options, shape: Shape, name: str) -> dict[str, str]:
    """Return what every task of a job knows."""
    found = {
        "SLURM_JOB_NAME": options["job-name"].value if "job-name" in options else name,
        "SLURM_CLUSTER_NAME": "intertie",
        "SLURM_CPUS_PER_TASK": str(shape.cpus_per_task),
        "SLURM_CPUS_ON_NODE": str(shape.cpus),
        "SLURM_JOB_CPUS_PER_NODE": str(shape.cpus),
        "SLURM_NTASKS": str(shape.ntasks),
        "SLURM_NPROCS": str(shape.ntasks),
        "SLURM_TASKS_PER_NODE": str(shape.ntasks),
        "SLURM_NNODES": "1",
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_NODEID": "0",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_GTIDS": "0",
        "SLURM_MEM_PER_NODE": str(shape.memory_mib),
    }
    if shape.gpus:
        devices = ",".join(str(index) for index in range(shape.gpus))
        found |= dict.fromkeys(("SLURM_GPUS", "SLURM_GPUS_ON_NODE"), str(shape.gpus))
        found |= dict.fromkeys(("SLURM_JOB_GPUS", "SLURM_STEP_GPUS"), devices)
    if "mem-per-cpu" in options:
        found["SLURM_MEM_PER_CPU"] = str(shape.memory_mib // shape.cpus)
    for option, variable in _AS_ASKED.items():
        if option in options:
            found[variable] = options[option].value
    if shape.nodes > 1 and "gpus-per-node" in options:
        found["SLURM_GPUS_PER_NODE"] = str(shape.gpus)
    if shape.nodes > 1 and "ntasks-per-node" in options:
        found["SLURM_NTASKS_PER_NODE"] = str(shape.ntasks)
    return found


def of_array(array: values.Array) -> dict[str, str]:
    """Return what every task of an array knows of the whole."""
    return {
        "SLURM_ARRAY_TASK_COUNT": str(len(array.indexes)),
        "SLURM_ARRAY_TASK_MIN": str(array.indexes[0]),
        "SLURM_ARRAY_TASK_MAX": str(array.indexes[-1]),
        "SLURM_ARRAY_TASK_STEP": str(array.step),
    }
