"""openb, Alibaba's cluster of shared devices, as hkust-adsl published its runs with FGD."""

import csv
import gzip
from pathlib import Path
from time import process_time

import numpy as np

from intertie.simulator import sharing
from intertie.simulator.inflation import inflated
from intertie.simulator.running import Setting
from intertie.simulator.traces.openb import read_fleet, read_openb

FOLDER = "openb"
NODES = "openb/openb_node_list_gpu_node.csv"
ORDER = "openb/arrival_order_default_tune1.3_seed42.csv.gz"
SEEDS = range(42, 52)  # of the published runs
# The mean share of the devices that was held, in percent; of seed 42, thousandths of a device.
PLACED = 5_919_410
MEANS = (("fgd", 95.39, 0.1), ("best-fit", 93.08, 0.1), ("random", 87.47, 0.5))

Row = tuple[str, float, float, int, float]


def held(folder: Path, pods: str, score: str, seed: int) -> dict[str, float]:
    """Return the measures of one run on a list of pods."""
    trace = read_openb(folder / FOLDER / f"openb_pod_list_{pods}.csv")
    return sharing.run(score, trace, Setting(seed=seed, nodes=folder / NODES)).measures


def mean_percent(folder: Path, pods: str, score: str) -> float:
    """Return the percentage of the devices held at the end, the mean of the published seeds."""
    shares = [held(folder, pods, score, seed)["held_share"] for seed in SEEDS]
    return float(np.mean(shares)) * 100


def gates(folder: Path) -> list[Row]:
    """Return (name, published, found, pods a second, the difference allowed) of each gate."""
    same, pods = _in_published_order(folder)
    rows: list[Row] = [("openb seed 42, pods in the published order", pods, same, 0, 0)]
    began = process_time()
    measures = held(folder, "default", "fgd", 42)
    speed = int(measures["tasks"] / (process_time() - began))
    placed = round(measures["devices_held"] * 1000)
    rows.append(("openb seed 42, FGD, thousandths held", PLACED, placed, speed, 0))
    for score, published, allowed in MEANS:
        began = process_time()
        found = mean_percent(folder, "default", score)
        speed = int(len(SEEDS) * pods / (process_time() - began))
        rows.append((f"openb, {score}, mean % held", published, found, speed, allowed))
    return rows


def _in_published_order(folder: Path) -> tuple[int, int]:
    """Return how many pods of the published order stand where they do in ours, and of how many."""
    pods = read_openb(folder / FOLDER / "openb_pod_list_default.csv")
    order, _ = inflated(pods, read_fleet(folder / NODES), sharing.ASKED_PERCENT, 42)
    with gzip.open(folder / ORDER, "rt", newline="") as file:
        told = [row["pod"].partition("-tuned")[0] for row in csv.DictReader(file)]
    mine = [pods.name[at] for at in order]
    return sum(a == b for a, b in zip(mine, told, strict=False)), max(len(told), len(mine))
