"""How training jobs change their batch size, as published with Shockwave (NSDI 2023, MIT).

*Doubling* follows the gradient noise scale: the batch doubles at given epochs. *Critical* is
Accordion: the largest batch, but for critical epochs. What a job's *profile* says of itself
differs from what it does in both: the profile's last epoch does not double, and its first 30 %
and some later epochs are critical too. Both are kept as they were published, because deadlines
and fair shares are reckoned by the profile.
"""

from dataclasses import dataclass

from intertie.simulator.traces.trace import BadTrace

STATIC, DOUBLING, CRITICAL = 0, 1, 2
NEVER = 2**40
RISES = 4
EPOCHS = 300  # beyond these the last CYCLE repeats: nothing is critical there, but for ResNet-50
CYCLE = 30
SAMPLES = {
    "ResNet-18": 50_000,
    "ResNet-50": 100_000,
    "Transformer": 10_000,
    "LM": 59_675,
    "Recommendation": 117_907,
}
LARGEST = {"ResNet-18": 256, "ResNet-50": 128, "LM": 80, "Recommendation": 8192}
# The epochs at which the batch doubles, by model, first batch and devices.
DOUBLES = {
    ("ResNet-18", 16, 1): (31, 41, 51, 71),
    ("ResNet-18", 32, 1): (21, 31, 51),
    ("ResNet-18", 64, 1): (11, 31),
    ("ResNet-18", 128, 1): (11,),
    ("ResNet-18", 16, 2): (21, 31, 91, 111),
    ("ResNet-18", 32, 2): (11, 21, 41),
    ("ResNet-18", 64, 2): (21, 41),
    ("ResNet-18", 128, 2): (41,),
    ("ResNet-18", 16, 4): (11, 21, 81, 91),
    ("ResNet-18", 32, 4): (21, 31, 61),
    ("ResNet-18", 64, 4): (11, 61),
    ("ResNet-18", 128, 4): (11,),
    ("ResNet-50", 64, 1): (101,),
    ("ResNet-50", 32, 2): (101, 111),
    ("ResNet-50", 64, 2): (81,),
    ("ResNet-50", 32, 4): (131, 221),
    ("ResNet-50", 64, 4): (191,),
    ("LM", 5, 1): (31, 41, 61, 71),
    ("LM", 10, 1): (11, 21, 41),
    ("LM", 20, 1): (11, 41),
    ("LM", 40, 1): (11,),
    ("LM", 5, 2): (31, 51, 61, 71),
    ("LM", 10, 2): (11, 31, 41),
    ("LM", 20, 2): (31, 41),
    ("LM", 40, 2): (11,),
    ("LM", 5, 4): (11, 31, 71, 91),
    ("LM", 10, 4): (11, 31, 61),
    ("LM", 20, 4): (11, 61),
    ("LM", 40, 4): (61,),
    ("Recommendation", 512, 1): (21, 41, 71, 91),
    ("Recommendation", 1024, 1): (21, 51, 91),
    ("Recommendation", 2048, 1): (21, 41),
    ("Recommendation", 4096, 1): (41,),
}
# How many of the first epochs are critical; ResNet-18 learns anew at 150 and 250.
FIRST = {("ResNet-18", 256): 20, ("Recommendation", 512): 30, ("Recommendation", 1024): 30,
         ("Recommendation", 2048): 40}  # fmt: skip
AGAIN = {"ResNet-18": (150, 250), "Recommendation": (60, 80)}


@dataclass(frozen=True)
class Regime:
    """What one job's levels are and when it changes; `profile` is the level of each epoch."""

    mode: int
    samples: int
    batches: tuple[int, ...]
    epoch_steps: tuple[int, ...]
    rises: tuple[int, ...]
    critical: tuple[int, ...]
    profile: tuple[int, ...]

    def alone_ms(self, speed_micro: list[int]) -> int:
        """Return how long the profile runs by itself, at a speed for each level."""
        each_us = [
            self.samples * 10**12 // (batch * speed) if speed else 0
            for batch, speed in zip(self.batches, speed_micro, strict=True)
        ]
        return sum(each_us[level] for level in self.profile) // 1000


def regime_of(mode: int, model: str, batch: int, units: int, steps: int) -> Regime:
    """Return the regime of a job that begins with a batch; BadTrace if nothing is known of it."""
    if mode == STATIC or (mode == CRITICAL and model == "Transformer"):
        return _static(model, batch, steps)
    if model not in SAMPLES:
        raise BadTrace(f"nobody published how {model} changes its batch size")
    samples, largest = SAMPLES[model], LARGEST.get(model, batch)
    batches = [batch]
    while batches[-1] < largest:
        batches.append(min(2 * batches[-1], largest))
    epoch_steps = tuple(-(-samples // each) for each in batches)
    epochs = -(-steps // epoch_steps[0])
    rises = DOUBLES.get((model, batch, units), ()) if mode == DOUBLING else ()
    critical = tuple(int(_is_critical(model, batch, epoch)) for epoch in range(EPOCHS))
    profile = _doubled(rises, epochs) if mode == DOUBLING else _relaxed(
        model, batch, epochs, len(batches) - 1
    )  # fmt: skip
    return Regime(mode, samples, tuple(batches), epoch_steps, rises, critical,
                  tuple(min(level, len(batches) - 1) for level in profile))  # fmt: skip


def _static(model: str, batch: int, steps: int) -> Regime:
    """Return the regime of a job that never changes; uncounted data are one epoch."""
    samples = SAMPLES.get(model, steps * batch)
    each = -(-samples // batch)
    return Regime(STATIC, samples, (batch,), (each,), (), (), (0,) * -(-steps // each))


def _is_critical(model: str, batch: int, epoch: int) -> bool:
    if model == "ResNet-50":
        return epoch % 30 < 10
    again = AGAIN["ResNet-18"] if model == "ResNet-18" else ()
    first = FIRST.get((model, batch), 10)
    return epoch < first or any(at <= epoch < at + 10 for at in again)


def _doubled(rises: tuple[int, ...], epochs: int) -> list[int]:
    """Return the profile's levels; the last epoch counts only the first of the rises."""
    levels = [sum(epoch >= rise for rise in rises) for epoch in range(epochs)]
    if levels and levels[-1] > 1:
        levels[-1] = 0
    return levels


def _relaxed(model: str, batch: int, epochs: int, top: int) -> list[int]:
    """Return the profile's levels: the largest where neither critical nor in the first 30 %."""
    again = AGAIN.get(model, ())
    return [
        0
        if _is_critical(model, batch, epoch)
        or any(at <= epoch < at + 10 for at in again)
        or 10 * epoch <= 3 * epochs
        else top
        for epoch in range(epochs)
    ]
