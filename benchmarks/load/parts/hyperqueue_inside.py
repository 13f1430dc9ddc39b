"""Run by the Python of HyperQueue's own environment: `hyperqueue_inside.py FOLDER COUNT`."""

import json
import sys
import time

from hyperqueue import Client, Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
from hyperqueue.ffi import get_version

CORES = 64  # pretended, as for Slurm: `true` needs none for long


def jobs_of(count: int, tasks: int) -> list[Job]:
    """Return so many jobs with so many tasks each, all of which run `true`."""
    made = []
    for _ in range(count):
        job = Job()
        for _ in range(tasks):
            job.program(["true"], stdout=None, stderr=None)
        made.append(job)
    return made


def rates(client: Client, made: list[Job], count: int) -> tuple[float, float]:
    """Return tasks accepted a second, and tasks a second from the first request to the last end."""
    begun = time.monotonic()
    submitted = [client.submit(job) for job in made]
    accepted_s = time.monotonic() - begun
    client.wait_for_jobs(submitted)
    return count / accepted_s, count / (time.monotonic() - begun)


def main() -> None:
    """Print one line of JSON."""
    folder, count = sys.argv[1], int(sys.argv[2])
    with LocalCluster(server_dir=folder, worker_config=WorkerConfig(cores=CORES)) as cluster:
        client = cluster.client()
        client.wait_for_jobs([client.submit(jobs_of(1, 1)[0])])
        told = {
            "version": get_version(),
            "single jobs": rates(client, jobs_of(count, 1), count),
            "tasks in one job": rates(client, jobs_of(1, count), count),
        }
    sys.stdout.write("\n" + json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
