"""Messages of errors are one line that has an end, whatever they quote."""

from __future__ import annotations

import pickle

from pisnn_deploy.core.errors import LONGEST_LINE, FileError, SeveralErrors, UsageError


def test_a_long_message_keeps_its_start_and_its_end() -> None:
    text = str(FileError("a.yaml", f"has the text {chr(0) * 90_000!r}", remedy="shorten it"))
    assert len(text) == LONGEST_LINE + 5
    assert text.startswith("a.yaml: has the text ") and text.endswith("; shorten it") and " ... " in text


def test_several_errors_are_shortened_one_by_one() -> None:
    several = SeveralErrors([UsageError("x" * 9000), UsageError("y")])
    assert [len(str(part)) for part in several.parts] == [LONGEST_LINE + 5, 1]
    assert str(several) == f"{several.parts[0]} / y"
    assert str(pickle.loads(pickle.dumps(several))) == str(several)


def test_a_message_of_the_longest_length_is_whole() -> None:
    assert str(UsageError("x" * LONGEST_LINE)) == "x" * LONGEST_LINE
