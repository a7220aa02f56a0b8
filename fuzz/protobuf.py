"""Mutations of protobuf messages: fields changed, gone, repeated or copied from elsewhere in the message."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from random import Random
from typing import Any

from fuzz.mutations import FLOATS, NUMBERS
from fuzz.target import Change

WRONG = (ValueError, TypeError, OverflowError, struct.error)


def message_changed(random: Random, content: bytes, kind: Any, change: Change) -> bytes:
    """A message with a few fields changed, or its bytes.

    Parameters
    ----------
    random : Random
    content : bytes
    kind : type
        Class of the message.
    change : callable
        libFuzzer's mutation.
    """
    message = kind.FromString(content)
    if random.random() < 0.1:
        return change(content, len(content) + 64)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        fields = list(_fields(message))
        if fields:
            try:
                _change_field(random, *random.choice(fields), change=change)
            except WRONG:  # no value of that field
                continue
    return bytes(message.SerializeToString())


def _fields(message: Any) -> Iterator[tuple[Any, Any]]:
    """Every field that is set, with its message."""
    for field, value in message.ListFields():
        yield message, field
        if field.type == field.TYPE_MESSAGE:
            for inner in value if _is_repeated(value) else (value,):
                yield from _fields(inner)


def _is_repeated(value: Any) -> bool:
    return hasattr(value, "append") or hasattr(value, "add")


def _change_field(random: Random, message: Any, field: Any, *, change: Change) -> None:
    value = getattr(message, field.name)
    if random.random() < 0.1:
        message.ClearField(field.name)
    elif _is_repeated(value):
        _change_list(random, value, field, change)
    elif field.type != field.TYPE_MESSAGE:
        setattr(message, field.name, _other(random, value, change))


def _change_list(random: Random, values: Any, field: Any, change: Change) -> None:
    at = random.randrange(len(values))
    kind = random.randrange(4)
    if kind == 0:
        del values[at]
    elif kind == 1:
        values.append(values[at])
    elif field.type == field.TYPE_MESSAGE:
        values[at].CopyFrom(random.choice(list(values)))
    else:
        values[at] = _other(random, values[at], change)


def _other(random: Random, value: Any, change: Change) -> Any:
    if isinstance(value, bytes):
        return change(value, len(value) + 16)
    if isinstance(value, str):
        return change(value.encode(), len(value) + 16).decode(errors="replace")
    if isinstance(value, float):
        return random.choice((*FLOATS, -value, 2 * value))
    return random.choice((value + 1, value - 1, 2 * value, -value, random.randrange(20), *NUMBERS))
