"""Offers: a provider's standing statement of capacity and terms, in versions that never change."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Offer:
    """One version of one pool's price. Columnar. A change is a new row; open orders keep theirs."""

    id: int
    pool: int
    version: int
    state: int
    price_micro_per_unit_h: int
    score_millionths: int
    is_measured: int
    grace_s: int
    listed_at: int
