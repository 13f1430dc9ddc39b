"""Train a small classifier on the digits: one task of the grid in digits.yaml.

Numpy and the standard library only. A checkpoint holds everything that the next epoch depends
on, the random generator included, so a run that was stopped and resumed ends in the same bits as
one that was not.
"""

import argparse
import gzip
import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

# One task is one core: set before numpy reads it, so that tasks side by side do not fight.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STOPPED = 75  # EX_TEMPFAIL: "try again later", and this time from the checkpoint
TRAIN_ROWS, VALIDATION_ROWS = 1_197, 300  # the remaining 300 rows are the test
SPLIT_SEED = 1998  # the split is the same for every task, whatever the task's own seed
BATCH_ROWS = 32
MOMENTUM = 0.9


@dataclass(frozen=True)
class Choice:
    """The hyper-parameters of one task; a checkpoint of another choice is refused."""

    rate: float
    hidden: int
    decay: float
    seed: int
    epochs: int


@dataclass
class Progress:
    """Where a run stands: parameters, their velocities, the generator and the time spent."""

    parameters: list[Floats]
    velocities: list[Floats]
    rng: np.random.Generator
    epoch: int = 0
    spent_s: float = 0.0
    resumed_from_epoch: int | None = None


@dataclass(frozen=True)
class Split:
    """Pixels [row, 64] scaled to 0..1 and labels [row] of the three parts."""

    train: tuple[Floats, Ints]
    validation: tuple[Floats, Ints]
    test: tuple[Floats, Ints]


class Stop:
    """Turns true at SIGTERM, so that the loop can end between two epochs."""

    def __init__(self) -> None:
        self.is_wanted = False
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.is_wanted = True


def main(words: list[str] | None = None) -> int:
    """Return the exit status: 0 when trained to the end, 75 when stopped with a checkpoint."""
    arguments = parse(words)
    stop = Stop()
    choice = Choice(
        arguments.rate, arguments.hidden, arguments.decay, arguments.seed, arguments.epochs
    )
    split = load_split(arguments.data)
    progress = resume(arguments.checkpoint, choice) or begin(choice)
    announce(choice, progress)
    is_done = train(choice, split, progress, stop, arguments)
    save_checkpoint(arguments.checkpoint, choice, progress)
    if not is_done:
        print(f"stopped at epoch {progress.epoch}; the checkpoint is saved", flush=True)
        return STOPPED
    report(arguments.result, choice, split, progress)
    return 0


def parse(words: list[str] | None) -> argparse.Namespace:
    """Return the arguments; RATE, HIDDEN, DECAY and SEED in the environment are the defaults."""
    given = os.environ
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=float, default=float(given.get("RATE", "0.05")))
    parser.add_argument("--hidden", type=int, default=int(given.get("HIDDEN", "64")))
    parser.add_argument("--decay", type=float, default=float(given.get("DECAY", "0.0001")))
    parser.add_argument("--seed", type=int, default=int(given.get("SEED", "0")))
    parser.add_argument("--epochs", type=int, default=int(given.get("EPOCHS", "1500")))
    parser.add_argument("--data", type=Path, default=HERE / "digits.csv.gz")
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoint.npz"))
    parser.add_argument("--every", type=int, default=100, help="epochs between checkpoints")
    parser.add_argument("--result", type=Path, default=Path("result.json"))
    return parser.parse_args(words)


def load_split(path: Path) -> Split:
    """Return the three parts, drawn once by a fixed seed and equal for every task."""
    with gzip.open(path, "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.int64)
    pixels, labels = table[:, :-1] / 16.0, table[:, -1]
    order = np.random.default_rng(SPLIT_SEED).permutation(len(table))
    ends = np.split(order, [TRAIN_ROWS, TRAIN_ROWS + VALIDATION_ROWS])
    train, validation, test = ((pixels[rows], labels[rows]) for rows in ends)
    return Split(train, validation, test)


def begin(choice: Choice) -> Progress:
    """Return a fresh start: He-scaled weights [in, out] and zero biases for two layers."""
    rng = np.random.default_rng(choice.seed)
    parameters: list[Floats] = []
    for inputs, outputs in ((64, choice.hidden), (choice.hidden, 10)):
        parameters.append(rng.normal(0.0, np.sqrt(2.0 / inputs), (inputs, outputs)))
        parameters.append(np.zeros(outputs))
    return Progress(parameters, [np.zeros_like(part) for part in parameters], rng)


def announce(choice: Choice, progress: Progress) -> None:
    """Print what is trained, and from where."""
    print(f"rate {choice.rate:g} · hidden {choice.hidden} · decay {choice.decay:g}", flush=True)
    if progress.resumed_from_epoch is not None:
        print(f"resumed from epoch {progress.resumed_from_epoch}", flush=True)


def train(
    choice: Choice, split: Split, progress: Progress, stop: Stop, arguments: argparse.Namespace
) -> bool:
    """Move the progress on to the last epoch and return True, or False when asked to stop."""
    started_at, spent_before_s = time.monotonic(), progress.spent_s
    while progress.epoch < choice.epochs and not stop.is_wanted:
        loss = train_epoch(choice, split, progress)
        progress.epoch += 1
        progress.spent_s = spent_before_s + time.monotonic() - started_at
        if progress.epoch % arguments.every == 0:
            save_checkpoint(arguments.checkpoint, choice, progress)
            seen = accuracy(progress.parameters, *split.validation)
            print(f"epoch {progress.epoch:4d}  loss {loss:.4f}  validation {seen:.4f}", flush=True)
    return progress.epoch >= choice.epochs


def train_epoch(choice: Choice, split: Split, progress: Progress) -> float:
    """Take one pass of stochastic gradient steps and return its mean loss, in nats."""
    pixels, labels = split.train
    pixels = shifted(pixels, progress.rng)
    rate = choice.rate * (1.0 - progress.epoch / choice.epochs)  # falls to zero, so the end is calm
    losses = []
    for rows in np.array_split(progress.rng.permutation(len(labels)), len(labels) // BATCH_ROWS):
        loss, slopes = gradients(progress.parameters, pixels[rows], labels[rows])
        losses.append(loss)
        for part, velocity, slope in zip(
            progress.parameters, progress.velocities, slopes, strict=True
        ):
            velocity[...] = MOMENTUM * velocity - rate * (slope + choice.decay * part)
            part[...] += velocity
    return float(np.mean(losses))


def shifted(pixels: Floats, rng: np.random.Generator) -> Floats:
    """Return the images [row, 64], each moved by part of a pixel: a cheap way to see more hands.

    An image is blended with itself one pixel away, in a direction and a share drawn for each.
    """
    images = pixels.reshape(-1, 8, 8)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    down, right = rng.integers(0, 3, (2, len(images)))
    rows = down[:, None, None] + np.arange(8)[None, :, None]
    columns = right[:, None, None] + np.arange(8)[None, None, :]
    moved = padded[np.arange(len(images))[:, None, None], rows, columns]
    share = rng.uniform(0.0, 0.6, (len(images), 1, 1))
    blended: Floats = (images * (1.0 - share) + moved * share).reshape(-1, 64)
    return blended


def gradients(
    parameters: list[Floats], pixels: Floats, labels: Ints
) -> tuple[float, tuple[Floats, ...]]:
    """Return the mean cross-entropy, in nats, and its slope for each parameter."""
    _, _, weights, _ = parameters
    hidden, chances = forward(parameters, pixels)
    rows = np.arange(len(labels))
    loss = float(-np.log(chances[rows, labels] + 1e-12).mean())
    chances[rows, labels] -= 1.0
    error = chances / len(labels)
    behind = (error @ weights.T) * (hidden > 0.0)
    return loss, (pixels.T @ behind, behind.sum(axis=0), hidden.T @ error, error.sum(axis=0))


def forward(parameters: list[Floats], pixels: Floats) -> tuple[Floats, Floats]:
    """Return the hidden activations [row, hidden] and the chances [row, 10]."""
    first, first_bias, second, second_bias = parameters
    hidden: Floats = np.maximum(pixels @ first + first_bias, 0.0)
    scores = hidden @ second + second_bias
    scores -= scores.max(axis=1, keepdims=True)
    chances: Floats = np.exp(scores)
    chances /= chances.sum(axis=1, keepdims=True)
    return hidden, chances


def accuracy(parameters: list[Floats], pixels: Floats, labels: Ints) -> float:
    """Return the share of rows whose likeliest digit is the right one, 0..1."""
    return float((forward(parameters, pixels)[1].argmax(axis=1) == labels).mean())


def report(path: Path, choice: Choice, split: Split, progress: Progress) -> None:
    """Print the end and write it to a file; the test is read here, once, and chooses nothing."""
    result = asdict(choice) | {
        "val_accuracy": round(accuracy(progress.parameters, *split.validation), 6),
        "test_accuracy": round(accuracy(progress.parameters, *split.test), 6),
        "seconds": round(progress.spent_s, 3),
        "resumed_from_epoch": progress.resumed_from_epoch,
    }
    replace(path, json.dumps(result, indent=2).encode() + b"\n")
    print(f"done: validation {result['val_accuracy']:.4f} in {progress.spent_s:.1f} s", flush=True)


def save_checkpoint(path: Path, choice: Choice, progress: Progress) -> None:
    """Write all that the next epoch depends on; a kill leaves the old file or the new one."""
    known = {
        "choice": asdict(choice),
        "epoch": progress.epoch,
        "spent_s": progress.spent_s,
        "rng": progress.rng.bit_generator.state,
    }
    arrays = {f"parameter_{i}": part for i, part in enumerate(progress.parameters)}
    arrays |= {f"velocity_{i}": part for i, part in enumerate(progress.velocities)}
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as file:
        np.savez(file, known=np.array(json.dumps(known)), **arrays)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def resume(path: Path, choice: Choice) -> Progress | None:
    """Return the saved progress, or None if there is none; refuse that of another choice."""
    if not path.exists():
        return None
    with np.load(path) as saved:
        known: dict[str, Any] = json.loads(str(saved["known"]))
        parameters = [saved[f"parameter_{i}"] for i in range(4)]
        velocities = [saved[f"velocity_{i}"] for i in range(4)]
    if known["choice"] != asdict(choice):
        sys.exit(f"{path} holds the progress of {known['choice']}: name another --checkpoint")
    rng = np.random.default_rng()
    rng.bit_generator.state = known["rng"]
    epoch = int(known["epoch"])
    return Progress(parameters, velocities, rng, epoch, float(known["spent_s"]), epoch)


def replace(path: Path, content: bytes) -> None:
    """Write a file so that a reader finds it whole or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.write_bytes(content)
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main())
