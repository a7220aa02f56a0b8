"""The table of bad recipes in the reference of laws has the messages that users get."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pisnn_deploy.compiler.construct import construct
from pisnn_deploy.core.errors import PisnnError
from pisnn_deploy.laws.spec import law_from_mapping

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "laws.md"
_TABLE = re.compile(r"## Ten bad recipes\n.*?\| --- \| --- \| --- \|\n((?:\|.*\n)+)", re.DOTALL)
_ROW = re.compile(r"\| `([^`]+)` \| `([^`]+)` \| (.+) \|")


def rows() -> list[tuple[str, str, str]]:
    """Entry, content and message of each row."""
    table = _TABLE.search(PAGE.read_text())
    assert table is not None
    matches = [_ROW.fullmatch(line) for line in table[1].splitlines()]
    return [(row[1], row[2], row[3]) for row in matches if row is not None]


def message(entry: str, content: str) -> str:
    """What is said about the page's recipe with another entry."""
    block = re.search(r"<!-- file: road.yaml -->\n```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert block is not None
    document: dict[str, Any] = copy.deepcopy(yaml.safe_load(block[1]))
    section, (*parts, last) = document, entry.split(".")
    for part in parts:
        section = section[part]
    section[last] = yaml.safe_load(content)
    with pytest.raises(PisnnError) as error:
        construct(law_from_mapping(Path("road.yaml"), document), (32,))
    return str(error.value)


def test_there_are_ten() -> None:
    assert len({row[:2] for row in rows()}) == 10


@pytest.mark.parametrize(("entry", "content", "expected"), rows())
def test_a_bad_recipe_gets_the_message_of_the_page(entry: str, content: str, expected: str) -> None:
    assert message(entry, content) == expected and "\n" not in expected
