"""Files of anyone are read within a limit, or refused in one line."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from pisnn_deploy.core.errors import FileError
from pisnn_deploy.core.reading import parse_plain_json, read_bytes


def test_a_file_of_the_largest_size_is_read_and_a_larger_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"x" * 10)
    assert read_bytes(path, 10) == b"x" * 10
    with pytest.raises(FileError) as caught:
        read_bytes(path, 9, "send less")
    assert str(caught.value) == f"{path}: is larger than 9 bytes; send less"


def test_room_is_made_for_the_file_and_not_for_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"x")
    tracemalloc.start()
    try:
        assert read_bytes(path, 1 << 30) == b"x"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "problem"),
    [("missing", "cannot be read (No such file or directory)"), (".", "cannot be read (Is a directory)")],
)
def test_what_is_no_file_is_named(name: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught:
        read_bytes(tmp_path / name, 10)
    assert str(caught.value) == f"{tmp_path / name}: {problem}"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"a": 1, "a": 2}', "a key is repeated"),
        (b"[NaN]", "NaN is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"[1e999]", "a number is too large"),
        (b"[1,]", "Expecting value: line 1 column 4 (char 3)"),
        (b"\xff\xfe\xfd", "'utf-16-le' codec can't decode byte 0xfd in position 2: truncated data"),
    ],
)
def test_json_that_is_not_plain_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_plain_json(content)
    assert problem in str(caught.value)


def test_plain_json_is_read() -> None:
    assert parse_plain_json(b'{"a": [1, 2.5, null, true, "x"]}') == {"a": [1, 2.5, None, True, "x"]}
