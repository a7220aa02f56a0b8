"""Text of others is printed with whatever is not printable spelled out."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest

from pisnn_deploy.core.errors import CheckError, FileError, UsageError
from pisnn_deploy.core.printable import json_text, printable, printable_lines


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("heat.pisnn", "heat.pisnn"),
        ("Wärme 中 ∂u/∂t [red]", "Wärme 中 ∂u/∂t [red]"),
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("\x00\x07\x08\x1b[2J\x7f", r"\x00\x07\x08\x1b[2J\x7f"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
        ("\u202e\u2066\u200e\u200f\u061c", r"\u202e\u2066\u200e\u200f\u061c"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("h\udce9", r"h\udce9"),
        ("a\u200bb\u00adc\ufeff\u00a0", r"a\u200bb\xadc\ufeff\xa0"),
        ("\U000e0041\ufe0f\u3164\U000e0100", r"\U000e0041\ufe0f\u3164\U000e0100"),
        ("x ##[error]y", r"x #\x23[error]y"),
        ("##vso[task] ##teamcity[x]", r"#\x23vso[task] #\x23teamcity[x]"),
        ("## not a command", "## not a command"),
        (r"\x9b", r"\x9b"),
    ],
)
def test_what_is_not_printable_is_spelled_out(text: str, printed: str) -> None:
    assert printable(text) == printed
    assert printable(printed) == printed


def test_no_character_of_unicode_gets_through_that_steers_or_hides() -> None:
    whole = "".join(printable(chr(code)) for code in range(sys.maxunicode + 1))
    kinds = {unicodedata.category(character) for character in set(whole)}
    assert not kinds & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert {character for character in whole if unicodedata.category(character) == "Zs"} == {" "}


@pytest.mark.parametrize("start", ["", " ", "\t", "  "])
def test_no_line_is_a_workflow_command(start: str) -> None:
    lines = printable_lines(f"first\n{start}::error::planted\nlast :: one").split("\n")
    assert lines[1].strip().startswith(("\\x3a:error::planted", "\\t\\x3a:error::planted", "\\t::error"))
    assert not any(line.lstrip().startswith("::") for line in lines)
    assert lines[2] == "last :: one"


def test_json_says_the_same_and_has_no_controls() -> None:
    value = {"a\x7f##[error]\x9b": ["\u202e", "h\udce9", "##", "\x1b"]}
    text = json_text(value)
    assert json.loads(text) == value
    assert text.replace("\n", "").isascii() and text.replace("\n", "").isprintable()
    assert "##[" not in text


def test_messages_of_errors_are_one_printable_line() -> None:
    for error in (UsageError("a\nb\x9b"), CheckError("a\nb\x9b")):
        assert str(error) == r"a\nb\x9b"
    error = FileError("x\n::error::y", "is\u202e bad", field="a\x08", remedy="do\x07")
    assert str(error) == r"x\n::error::y: a\x08: is\u202e bad; do\x07"
