"""The share tree: cohorts, weights, quotas and floors, and how everybody stands."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

from intertie.model.shares import CPUS, MEMORY
from intertie.wire.base import Answer, Message
from intertie.wire.jobspec import Name
from intertie.wire.quantities import Bytes, milli_of, written_milli

Weight = Annotated[int, Field(ge=1, le=1_000)]
Ppm = Annotated[int, Field(ge=0, le=1_000_000, description="millionths of the network")]
Cores = Annotated[
    int,
    BeforeValidator(milli_of),
    PlainSerializer(written_milli, when_used="json"),
    Field(ge=0, json_schema_extra={"anyOf": [{"type": "string"}, {"type": "number"}]}),
]
Devices = Annotated[int, Field(ge=0, le=1_000_000)]
Class = Annotated[str, Field(min_length=1, max_length=64)]


class CoresLimit(Message):
    """Cores that may be held at once, and how many are borrowed and lent at most."""

    quota: Cores
    borrow: Cores | None = None
    lend: Cores | None = None


class MemoryLimit(Message):
    """Memory that may be held at once, and how much is borrowed and lent at most."""

    quota: Bytes
    borrow: Bytes | None = None
    lend: Bytes | None = None


class DevicesLimit(Message):
    """Devices of a class that may be held at once, and how many are borrowed and lent at most."""

    quota: Devices
    borrow: Devices | None = None
    lend: Devices | None = None


class QuotaSpec(Message):
    """What may be held at once; what is not named is unbounded.

    Beyond its quota a project borrows what others of its cohort leave unused: as much as there is,
    or at most `borrow`; and others may use all that it leaves of its own, or at most `lend`.
    """

    cpus: CoresLimit | None = None
    memory: MemoryLimit | None = None
    devices: dict[Class, DevicesLimit] = {}

    def limits(self) -> list[dict[str, Any]]:
        """Return the limits as the network keeps them."""
        named = {CPUS: self.cpus, MEMORY: self.memory, **self.devices}
        return [
            {"resource": name, "quota": told.quota, "borrow": told.borrow, "lend": told.lend}
            for name, told in named.items()
            if told is not None
        ]


class CreateCohort(Message):
    """Open a cohort, inside another if `cohort` names one."""

    name: Name
    cohort: Annotated[str, Field(description="id of a cohort, empty for none")] = ""
    weight: Weight = 1
    floor_ppm: Ppm = 0


class SetShare(Message):
    """Set a place in the share tree; what is not named stays, and `quota` is set as a whole."""

    weight: Weight | None = None
    cohort: Annotated[str, Field(description="id of a cohort, empty to leave it")] | None = None
    floor_ppm: Ppm | None = None
    quota: QuotaSpec | None = None


class HeldShareView(Answer):
    """One resource: ``cpus`` (cores), ``memory`` (bytes) or the devices of a class.

    `quota`, `borrow` and `lend` are null where nothing bounds them.
    """

    resource: str
    held: float
    total: float
    quota: float | None = None
    borrow: float | None = None
    lend: float | None = None
    borrowed: float = 0
    lent: float = 0


class ShareView(Answer):
    """How a project or a cohort stands: its dominant share now is `share` of all that is lent."""

    id: str
    kind: str
    name: str
    cohort: str | None = None
    weight: int
    floor: float
    used_su: float = Field(description="decayed use, with what running leases should add")
    share: float
    waiting_tasks: int
    resources: list[HeldShareView] = []


class SharesView(Answer):
    """The share tree, and how even it is: Gini coefficients of use and of shares now, by weight."""

    shares: list[ShareView]
    used_gini: float
    held_gini: float
