"""Numbers that a column could not hold stop at the door: no round should ever see them."""

from typing import Any

from intertie.api.problems import Wrong
from intertie.wire.base import FieldError

# What JSON carries exactly, and room enough in int64 to add and multiply.
NUMBER_MAX = 2**53


def check_numbers(value: Any, place: str = "") -> None:
    """Refuse a number beyond the bounds anywhere in plain data, by the path of its field."""
    if isinstance(value, dict):
        for name, each in value.items():
            check_numbers(each, f"{place}.{name}" if place else name)
    elif isinstance(value, list):
        for at, each in enumerate(value):
            check_numbers(each, f"{place}.{at}")
    elif isinstance(value, int) and abs(value) > NUMBER_MAX:
        message = f"it must lie between -{NUMBER_MAX} and {NUMBER_MAX}"
        raise Wrong(422, "bad_request", errors=[FieldError(field=place, message=message)])
