"""The share tree: cohorts of projects, what each may hold, and how it stands at one instant."""

from dataclasses import dataclass

CPUS, MEMORY = "cpus", "memory"
WHOLE_PPM = 1_000_000


@dataclass(frozen=True)
class Cohort:
    """Projects, and cohorts, that may borrow each other's unused quota. Columnar.

    In the share tree they stand together for `weight`; `parent` is the cohort of this one, 0: none.
    """

    id: int
    parent: int
    weight: int
    floor_ppm: int = 0


@dataclass(frozen=True)
class Limit:
    """What may be held at once of ``cpus`` (thousandths), ``memory`` (bytes), or a device class.

    `borrow` is the most that may be held beyond the quota, out of what the others of the cohort do
    not use; `lend` the most of the quota that the others may use. None: as much as there is. A
    cohort's own quota is what all its members may borrow from.
    """

    resource: str
    quota: int
    borrow: int | None = None
    lend: int | None = None


@dataclass(frozen=True)
class Quotas:
    """The document of a project or a cohort that bounds what it may hold; else unbounded."""

    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True)
class HeldShare:
    """How one member of the tree stands with one resource; see `Limit` for the units.

    `quota` is None where nothing bounds it. `borrowed` is held beyond the quota, `lent` is what of
    the quota others hold now.
    """

    resource: str
    held: int
    total: int
    quota: int | None = None
    borrow: int | None = None
    lend: int | None = None
    borrowed: int = 0
    lent: int = 0


@dataclass(frozen=True)
class Share:
    """How one member of the tree stands: `kind` is ``project`` or ``cohort``, `parent` a cohort.

    `used_micro_su` is decayed use with what its running leases should add; `share_ppm` its dominant
    share of all that is lent now.
    """

    kind: str
    number: int
    name: str
    parent: int
    weight: int
    floor_ppm: int
    used_micro_su: int
    share_ppm: int
    waiting_tasks: int
    resources: tuple[HeldShare, ...] = ()


@dataclass(frozen=True)
class ShareTree:
    """Every member, cohorts before their members; and how even the projects' shares are.

    `used_gini_ppm` and `held_gini_ppm` are of decayed use by weight, and of dominant shares by
    weight, among the projects that use, hold or want something.
    """

    shares: tuple[Share, ...]
    used_gini_ppm: int = 0
    held_gini_ppm: int = 0
