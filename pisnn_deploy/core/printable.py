"""Text that others chose, such as content and names of files, made fit to be printed.

A terminal takes some characters for commands, a reader sees others in another order or not at all, and a CI takes some
lines for instructions. What is printed has none of them: each is spelled out as in Python (``\\x9b``, ``\\u202e``).
"""

from __future__ import annotations

import json
import re

_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Letters and marks of Unicode without a shape; `str.isprintable` knows all others of which that is so."""
_MARKED_COMMAND = re.compile(r"##(?=[a-z]*\[)", re.IGNORECASE)
"""``##[error]``, ``##vso[``, ``##teamcity[``: commands of CIs, wherever they stand in a line."""
_COMMAND = re.compile(r"^([ \t]*):(?=:)", re.MULTILINE)
"""``::error::``: a workflow command of GitHub, at the start of a line."""
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: object) -> str:
    """Text as a part of one line.

    Parameters
    ----------
    text : object
        Whatever ``str`` makes text of, such as a path.

    Returns
    -------
    str
        The same text, in which line breaks, controls (C0, C1), marks of direction, surrogates, invisible characters
        and the commands of CIs that may stand within a line are spelled out. Backslashes stay single, so that what is
        printable already does not change.
    """
    whole = str(text)
    if not whole.isprintable() or not (whole.isascii() or _INVISIBLE.search(whole) is None):
        whole = "".join(
            character if character.isprintable() and not _INVISIBLE.match(character) else spelled_out(character)
            for character in whole
        )
    return _MARKED_COMMAND.sub(r"#\\x23", whole)


def printable_lines(text: str) -> str:
    """Text of several lines.

    Parameters
    ----------
    text : str
        Its line breaks are those of whoever wrote it: names in it have none any more.

    Returns
    -------
    str
        Each line as `printable` gives it, and none of them a workflow command.
    """
    return without_commands("\n".join(map(printable, text.split("\n"))))


def without_commands(text: str) -> str:
    """Lines none of which GitHub takes for a workflow command.

    Returns
    -------
    str
        The first colon of ``::`` at the start of a line is spelled out.
    """
    return _COMMAND.sub(r"\1\\x3a", text)


def json_text(value: object) -> str:
    """JSON for programs, which may be shown to people and to a CI as well.

    Parameters
    ----------
    value : object
        Plain data without NaN or infinity.

    Returns
    -------
    str
        ASCII without controls other than line breaks, indented by two; the same data whatever is spelled out.
    """
    text = json.dumps(value, indent=2, allow_nan=False).replace("\x7f", "\\u007f")
    # Only texts have such characters, and in these both spellings are the same.
    return _MARKED_COMMAND.sub(r"#\\u0023", text)


def spelled_out(character: str) -> str:
    """A character as Python writes it in a text.

    Parameters
    ----------
    character : str
        A single one.

    Returns
    -------
    str
        Such as ``\\n``, ``\\x9b``, ``\\u202e`` or ``\\U000e0041``.
    """
    code = ord(character)
    if code < 0x100:
        return _NAMED.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def counted(count: int, noun: str) -> str:
    """A number with its noun, such as ``1 core`` or ``2 cores``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
