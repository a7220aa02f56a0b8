"""Rows of traces, written through their files, are seen by who has mapped them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from pisnn_deploy.lava.exchange import Exchange
from pisnn_deploy.lava.row_file import RowFile

ROWS = 4


def files_with(folder: Path, cells: int, faces: int, *, everything: bool = True) -> Exchange:
    """Arrays of a run that keeps some rows."""
    files = Exchange(folder)
    mass, flux = np.zeros(cells, np.int64), np.zeros((3, faces), np.int64)
    files.create(mass, flux, flux[0], np.arange(ROWS), ROWS, 2, everything=everything)
    return files


def test_a_row_is_written_where_it_belongs_and_nowhere_else(tmp_path: Path) -> None:
    files = files_with(tmp_path, 5, 3)
    mass, flux = files.array("mass"), files.array("flux")
    strided = np.arange(18, dtype=np.int64).reshape(3, 6)[:, ::2]
    RowFile(files, "mass").write(2, np.arange(5))
    RowFile(files, "flux").write(1, strided)
    assert mass.tolist() == [[0] * 5, [0] * 5, [0, 1, 2, 3, 4], [0] * 5]
    assert np.array_equal(flux[1], strided) and not flux[[0, 2, 3]].any()


def test_rows_without_numbers_and_arrays_without_rows(tmp_path: Path) -> None:
    files = files_with(tmp_path, 5, 0, everything=False)
    before = (tmp_path / "transported.npy").read_bytes()
    rows = RowFile(files, "transported")
    rows.write(ROWS - 1, np.zeros(0, np.int64))
    assert rows.count == ROWS and RowFile(files, "flux").count == 0
    assert (tmp_path / "transported.npy").read_bytes() == before


def test_a_row_that_a_disk_takes_in_parts_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, write = files_with(tmp_path, 1000, 1), os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, position: write(file, data[:999], position))
    RowFile(files, "mass").write(3, np.arange(1000))
    assert np.array_equal(files.array("mass")[3], np.arange(1000))
