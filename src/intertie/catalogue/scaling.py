"""Scaling: how fast published training jobs run on more devices, and how long a start takes."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("scaling.json")


@dataclass(frozen=True)
class Scaling:
    """Sizes in devices, ascending; how long a start takes at each; rates by (model, batch).

    A rate is in millionths of an iteration a second, as measured on so many A100; there are as many
    as sizes were measured.
    """

    devices: tuple[int, ...]
    start_s: tuple[int, ...]
    rates: dict[tuple[str, int], tuple[int, ...]]


@cache
def read_scaling() -> Scaling:
    """Return what is packaged; its source stands in the file.

    Starts are what ElasticFlow's simulator takes of a job that changes its size on 256 devices or
    more: 7 s and twice the doublings.
    """
    told = json.loads(_FILE.read_text())
    rates = {
        (model, int(batch)): tuple(row)
        for model, batches in told["micro_iterations_per_s"].items()
        for batch, row in batches.items()
    }
    return Scaling(tuple(told["devices"]), tuple(told["start_s"]), rates)
