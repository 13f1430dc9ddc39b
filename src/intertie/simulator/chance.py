"""Go's seeded math/rand (additive lagged Fibonacci, Mitchell and Reeds), number by number.

Published simulations were shuffled by it, and only the same numbers give the same order. Its
state begins 7.8 × 10¹² steps after a seed of 1; those steps are jumped as a power of x modulo the
recurrence's polynomial, so that no table of 607 numbers is needed.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

_LENGTH, _TAP, _MODULUS = 607, 273, 2**31 - 1
_STEPS = 7_800_000_000_000
_MASK = 2**64 - 1

Words = NDArray[np.uint64]


class GoRandom:
    """The numbers that Go's `rand.New(rand.NewSource(seed))` gives, in their order."""

    def __init__(self, seed: int) -> None:
        cooked = _cooked().tolist()
        self._words: list[int] = [a ^ b for a, b in zip(_spread(seed, 40, 20), cooked, strict=True)]
        self._at = 0

    def bits63(self) -> int:
        """Return the next number below 2⁶³."""
        self._at = (self._at - 1) % _LENGTH
        feed = (self._at - _TAP) % _LENGTH
        self._words[feed] = (self._words[feed] + self._words[self._at]) & _MASK
        return self._words[feed] & (_MASK >> 1)

    def below(self, limit: int) -> int:
        """Return a number below a limit, as `Intn` does."""
        if limit & (limit - 1) == 0:
            return (self.bits63() >> 32) & (limit - 1)
        most = 2**31 - 1 - 2**31 % limit
        while (drawn := self.bits63() >> 32) > most:
            pass
        return drawn % limit

    def shuffled(self, count: int) -> list[int]:
        """Return 0 … count - 1 in the order that `Shuffle` gives them."""
        order = list(range(count))
        for at in range(count - 1, 0, -1):
            other = self._scaled(at + 1)
            order[at], order[other] = order[other], order[at]
        return order

    def permutation(self, count: int) -> list[int]:
        """Return what `Perm` does."""
        order = [0] * count
        for at in range(count):
            other = self.below(at + 1)
            order[at], order[other] = order[other], at
        return order

    def _scaled(self, limit: int) -> int:
        """Return a number below a limit, as `Shuffle` draws it (Lemire 2016)."""
        while True:
            product = (self.bits63() >> 31) * limit
            low = product & (2**32 - 1)
            if low >= limit or low >= (2**32 - limit) % limit:
                return product >> 32


@cache
def _cooked() -> Words:
    """Return the state that every seed is mixed into."""
    start = np.array(_spread(1, 20, 10), np.uint64)
    places = (_LENGTH - _TAP - np.arange(1 - _LENGTH, 1)) % _LENGTH
    power = np.zeros(_LENGTH, np.uint64)
    power[0] = 1
    for bit in f"{_STEPS:b}":
        power = _reduced(np.convolve(power, power))
        power = _times_x(power) if bit == "1" else power
    cooked = np.empty(_LENGTH, np.uint64)
    for step in range(_STEPS - _LENGTH + 1, _STEPS + 1):
        cooked[(_LENGTH - _TAP - step) % _LENGTH] = (power * start[places]).sum()
        power = _times_x(power)
    return cooked


def _times_x(power: Words) -> Words:
    return _reduced(np.concatenate([np.zeros(1, np.uint64), power]))


def _reduced(power: Words) -> Words:
    """Return a polynomial modulo x⁶⁰⁷ - x³³⁴ - 1, its coefficients modulo 2⁶⁴."""
    told = power.copy()
    for at in range(len(told) - 1, _LENGTH - 1, -1):
        told[at - _LENGTH : at - _LENGTH + 1] += told[at]
        told[at - _TAP : at - _TAP + 1] += told[at]
    return told[:_LENGTH]


def _spread(seed: int, high: int, middle: int) -> list[int]:
    """Return words made of three numbers each of a Lehmer generator."""
    drawn, words = seed % _MODULUS or 89_482_311, []
    for _ in range(20):
        drawn = drawn * 48_271 % _MODULUS
    for _ in range(_LENGTH):
        word = 0
        for shift in (high, middle, 0):
            drawn = drawn * 48_271 % _MODULUS
            word ^= drawn << shift
        words.append(word & _MASK)
    return words
