"""Make untrusted text, such as names and content of files, safe to print.

Terminals interpret some characters as commands, others are invisible or change the reading order, and CI systems
interpret some lines as commands. All of these are escaped as in Python (``\\x9b``, ``\\u202e``).
"""

from __future__ import annotations

import json
import re

_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Invisible letters and marks of Unicode that `str.isprintable` does not know."""
_MARKED_COMMAND = re.compile(r"##(?=[a-z]*\[)", re.IGNORECASE)
"""``##[error]``, ``##vso[``, ``##teamcity[``: CI commands, anywhere in a line."""
_COMMAND = re.compile(r"^([ \t]*):(?=:)", re.MULTILINE)
"""``::error::``: a workflow command of GitHub, at the start of a line."""
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: object) -> str:
    """Escape text for use within one line.

    Parameters
    ----------
    text : object
        Converted with ``str``, such as a path.

    Returns
    -------
    str
        Line breaks, control characters (C0, C1), direction marks, surrogates, invisible characters and CI commands that
        may occur within a line are escaped. Backslashes are not doubled, so that printable text does not change.
    """
    whole = str(text)
    if not whole.isprintable() or not (whole.isascii() or _INVISIBLE.search(whole) is None):
        whole = "".join(
            character if character.isprintable() and not _INVISIBLE.match(character) else spelled_out(character)
            for character in whole
        )
    return _MARKED_COMMAND.sub(r"#\\x23", whole)


def printable_lines(text: str) -> str:
    """Escape each line of a text, as `printable` does, and workflow commands.

    Parameters
    ----------
    text : str
        Its line breaks are trusted: names in it must already be escaped.
    """
    return without_commands("\n".join(map(printable, text.split("\n"))))


def without_commands(text: str) -> str:
    """Escape GitHub workflow commands: the first colon of ``::`` at the start of a line."""
    return _COMMAND.sub(r"\1\\x3a", text)


def json_text(value: object) -> str:
    """Format JSON so that it is also safe to print.

    Parameters
    ----------
    value : object
        Plain data without NaN or infinity.

    Returns
    -------
    str
        ASCII without control characters other than line breaks, indented by two. Escapes do not change the data.
    """
    text = json.dumps(value, indent=2, allow_nan=False).replace("\x7f", "\\u007f")
    # These characters only occur in strings, where the escape means the same.
    return _MARKED_COMMAND.sub(r"#\\u0023", text)


def spelled_out(character: str) -> str:
    """Escape a single character as in Python, such as ``\\n``, ``\\x9b``, ``\\u202e`` or ``\\U000e0041``."""
    code = ord(character)
    if code < 0x100:
        return _NAMED.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def counted(count: int, noun: str) -> str:
    """Count with its noun, such as ``1 core`` or ``2 cores``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
