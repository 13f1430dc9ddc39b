"""Server-sent events from bytes, as the HTML standard describes them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LINE_BYTES_MAX = 16 * 1024 * 1024


@dataclass(frozen=True)
class ServerEvent:
    """One event of a stream. `id` is the last one seen, empty if none was."""

    event: str
    data: str
    id: str


def parse(chunks: Iterable[bytes]) -> Iterator[ServerEvent]:
    """Return each whole event; an unfinished one at the end of the stream is dropped."""
    event, last_id = "", ""
    data: list[str] = []
    for line in lines(chunks):
        if not line:
            if data:
                yield ServerEvent(event or "message", "\n".join(data), last_id)
            event, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "event":
            event = value
        elif name == "id":
            last_id = value


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Return whole lines; only CR and LF end one, as text may hold every other separator."""
    rest = b""
    for chunk in chunks:
        rest += chunk
        whole, newline, rest = rest.rpartition(b"\n")
        if newline:
            for line in whole.split(b"\n"):
                yield line.removesuffix(b"\r").decode("utf-8", "replace")
        if len(rest) > LINE_BYTES_MAX:
            raise ValueError("a line of the event stream is too long")
