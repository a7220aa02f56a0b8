"""What the language refuses to read, and that it takes no longer than a line is long."""

from __future__ import annotations

import pytest

from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.programs import Operation, Program, parse
from pisnn_deploy.programs.language import RESERVED
from pisnn_deploy.verify.programs import read

HEAD = "neuron odd(arrival; ; )"


@pytest.mark.parametrize(
    "line",
    [
        f"table t = {'1' * 60000}x",
        f"table t = {'1 ' * 30000}x",
        f"table t = {'-' * 60000}",
        "table t = 1-2",
        "table t = 1  2",
        "table t = 1 ",
        f"{'a ' * 30000}= ",
        f"{'a, ' * 20000} = add(",
        f"a = add({'(' * 60000}",
        f"neuron {'(' * 60000}",
        f"neuron {'a(;' * 20000}",
    ],
)
def test_a_line_that_nearly_fits_is_refused_at_once(line: str) -> None:
    with pytest.raises(UsageError, match=r"^program odd, line 2: .* is not an operation, table, keep or send$"):
        parse(f"{HEAD}\n{line}\nsend arrival")
    with pytest.raises(UsageError, match=r"^a program starts with a line such as: neuron membrane\(arrival; m; \)$"):
        parse(line)


@pytest.mark.parametrize("word", sorted(RESERVED))
@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("neuron odd({word}; ; )\nsend arrival", 1),
        ("neuron odd(arrival; {word}; )\nkeep {word} = arrival\nsend arrival", 1),
        ("neuron odd(arrival; ; {word})\nsend arrival", 1),
        ("neuron odd(arrival; ; )\n{word} = neg(arrival)\nsend arrival", 2),
        ("neuron odd(arrival; ; )\na, {word} = fire(arrival, 3)\nsend a", 2),
        ("neuron odd(arrival; ; )\na = neg(arrival)\ntable {word} = 1 2\nsend a", 3),
    ],
)
def test_words_of_the_language_name_nothing(word: str, text: str, number: int) -> None:
    with pytest.raises(UsageError) as error:
        parse(text.format(word=word))
    assert str(error.value) == f"program odd, line {number}: {word} is a keyword; choose another name"
    with pytest.raises(ValueError, match=rf"{word}"):
        read(text.format(word=word))


@pytest.mark.parametrize("word", sorted(RESERVED))
def test_programs_that_no_text_was_read_for_have_no_such_names_either(word: str) -> None:
    with pytest.raises(UsageError, match=rf"{word} is a keyword and cannot name a value$"):
        Program("odd", ("arrival",), (), (), (Operation((word,), "neg", ("arrival",)),), (), (word,))
