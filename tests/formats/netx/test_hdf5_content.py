"""HDF5 files may come from anyone: what leads outside, is not plain or is too large is refused, what harms outlived."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pisnn_deploy.core.errors import FileError, UsageError
from pisnn_deploy.formats.netx import hdf5_content
from pisnn_deploy.formats.netx.hdf5_content import read_tree
from pisnn_deploy.formats.netx.hdf5_reader import LARGEST_CONTENT, Tree, _Reader, _Refused, packed, unpacked

PATH = Path("flux.net")


def made(write: Callable[[Any], object]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        write(file)
    return buffer.getvalue()


def plain(file: Any) -> None:
    file["a/b"] = np.arange(6).reshape(2, 3)
    file["a/scalar"] = 2.5
    file["text"] = "ü"
    file["texts"] = ["x", "y"]
    file.create_dataset("fixed", (1,), "S10", [b"dense"])
    file.create_dataset("packed", data=np.ones(1000), compression="gzip", shuffle=True, fletcher32=True)


def test_plain_values_come_through_the_other_process() -> None:
    tree = read_tree(PATH, made(plain))
    assert (tree["text"], tree["texts"], tree["fixed"]) == ("ü", ["x", "y"], "dense")
    inner = tree["a"]
    assert isinstance(inner, dict) and isinstance(inner["b"], np.ndarray) and isinstance(inner["scalar"], np.ndarray)
    assert np.array_equal(inner["b"], np.arange(6).reshape(2, 3)) and inner["scalar"].shape == ()
    assert isinstance(tree["packed"], np.ndarray) and np.array_equal(tree["packed"], np.ones(1000))


def _external(file: Any) -> None:
    file.create_dataset("x", (4,), "f8", external=[("/etc/hostname", 0, 32)])


def _virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
    file.create_virtual_dataset("x", layout)


def _chunk(file: Any) -> None:
    file.create_dataset("x", (4,), "f8", chunks=(LARGEST_CONTENT // 8 + 1,), maxshape=(None,))


def _deep(file: Any) -> None:
    file.create_group("/".join("g" * 30))


def _ring(file: Any) -> None:
    file.create_group("g")["again"] = file["/"]


LARGE = f"unpacks to more than {LARGEST_CONTENT} bytes or 131072 texts"
ELSEWHERE = "is an external or soft link, which is not followed"


@pytest.mark.parametrize(
    ("write", "name", "problem"),
    [
        (lambda f: f.__setitem__("x", h5py.ExternalLink("other.h5", "/x")), "x", ELSEWHERE),
        (lambda f: f.__setitem__("x", h5py.SoftLink("/y")), "x", ELSEWHERE),
        (_external, "x", "is stored outside the file, which is not supported"),
        (_virtual, "x", "is stored outside the file, which is not supported"),
        (lambda f: f.create_dataset("x", (1 << 40,), "f8", chunks=(1024,)), "x", LARGE),
        (lambda f: f.create_dataset("x", (1 << 40,), h5py.string_dtype(), chunks=(16,)), "x", LARGE),
        (_chunk, "x", LARGE),
        (
            lambda f: f.create_dataset("x", data=np.zeros(2, [("a", "f8")])),
            "x",
            "has the type [('a', '<f8')], expected numbers or text",
        ),
        (lambda f: f.__setitem__("x", f.ref), "x", "has the type object, expected numbers or text"),
        (lambda f: f.create_dataset("x", data=h5py.Empty("f8")), "x", "is empty"),
        (lambda f: f.create_dataset("x", data=np.zeros(64), compression="lzf"), "x", None),
        (_deep, "/".join("g" * 17), "is nested more than 16 groups deep"),
        (_ring, "g/again", "is linked to twice"),
        (lambda f: f.__setitem__("x", np.dtype("f8")), "x", "is neither a group nor a dataset"),
        (lambda f: f.create_group("a\nb"), "'a\\nb'", "has an unprintable name"),
    ],
)
def test_what_is_not_plain_is_refused(write: Callable[[Any], object], name: str, problem: str | None) -> None:
    expected = problem or "uses the filters [32000], not all of which are built into HDF5"
    with h5py.File(io.BytesIO(made(write)), "r") as file, pytest.raises(_Refused) as caught:
        _Reader(h5py).group(file, "", 0)
    assert (caught.value.name, caught.value.problem) == (name, expected)


def test_a_refusal_comes_through_the_other_process() -> None:
    with pytest.raises(FileError) as caught:
        read_tree(PATH, made(_virtual))
    assert str(caught.value) == "flux.net: x: is stored outside the file, which is not supported"
    with pytest.raises(FileError) as caught:
        read_tree(PATH, made(plain)[:600])
    assert str(caught.value) == "flux.net: is damaged, or not an HDF5 file"


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("import os; os.abort()", "is damaged: the HDF5 library crashed"),
        ("import time; time.sleep(60)", "is damaged: reading it took longer than 0.5 seconds"),
        ("print('no archive')", "is damaged: the content that was read is invalid"),
        ("raise SystemExit(3)", "is damaged: the content that was read is invalid"),
    ],
)
def test_a_reader_that_dies_or_hangs_is_outlived(monkeypatch: pytest.MonkeyPatch, program: str, problem: str) -> None:
    monkeypatch.setattr(hdf5_content, "_START", program)
    with pytest.raises(FileError) as caught:
        read_tree(PATH, b"", seconds=0.5 if "sleep" in program else 30)
    assert str(caught.value) == f"flux.net: {problem}"


def test_a_missing_package_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    content = made(plain)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UsageError) as caught:
        read_tree(PATH, content)
    message = "flux.net: reading HDF5 needs h5py, which is not installed: pip install 'pisnn-deploy[netx]'"
    assert str(caught.value) == message


def test_packing_keeps_everything() -> None:
    tree: Tree = {"g": {"a": np.array([[1.5]]), "t": "x"}, "l": ["a", "b"], "empty": {}}
    again = unpacked(packed(tree))
    assert list(again) == list(tree) and again["l"] == ["a", "b"] and again["empty"] == {}
