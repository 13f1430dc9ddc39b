"""What every message of the contract shares."""

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

PROTOCOL_MIN = 1
PROTOCOL_MAX = 2

T = TypeVar("T")

Instant = Annotated[int, Field(ge=0, description="milliseconds since the Unix epoch")]
Micro = Annotated[int, Field(description="micro-credits; 1 000 000 = 1 credit")]


class Message(BaseModel):
    """A message of the contract: frozen, and an unknown field is an error that names it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Answer(BaseModel):
    """What the network answers.

    Frozen; later versions may add fields, so readers ignore unknown ones.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")


class Page(Answer, Generic[T]):
    """One page of a list. Pass `next` as `after` to read on; it is null on the last page."""

    items: list[T]
    next: str | None = None


class RefusalBody(Answer):
    """Why not, as a code with its values, and as text in the language that was asked for."""

    code: str
    values: dict[str, int | str] = {}
    text: str = ""
    relaxation: "RelaxationBody | None" = None


class RelaxationBody(Answer):
    """The smallest change that would help."""

    code: str
    values: dict[str, int | str] = {}
    text: str = ""


class PoolReason(Answer):
    """Why one pool cannot take a request that no pool can take."""

    pool: str = Field(examples=["lab/desk"])
    refusal: RefusalBody


class FieldError(Answer):
    """One field that is wrong, and how to mend it."""

    field: str
    message: str


class Problem(Answer):
    """An error body (RFC 9457, ``application/problem+json``)."""

    type: str = Field(examples=["/problems/bad_request"])
    title: str
    status: int
    detail: str = ""
    code: str = ""
    errors: list[FieldError] = []
    refusal: RefusalBody | None = None
    pools: list[PoolReason] = []


def plain(message: BaseModel) -> dict[str, Any]:
    """Return a message as plain data, absent fields left out."""
    return message.model_dump(mode="json", exclude_none=True)
