"""Fields in files: what is saved starts a run with equal integers, and files of others are read or refused."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import meshio
import numpy as np
import pytest
from laws_compiled import compiled_law
from models_under_test import compiled, compiled_box, plane_model, space_model
from PIL import Image
from two_point_graphs import base

from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.fields.formats import FORMATS, read_series, read_start
from pisnn_deploy.fields.vtk_write import suffix_of
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import Artifact
from pisnn_deploy.graph.places import centres_of
from pisnn_deploy.project.simulate_request import simulate_request
from pisnn_deploy.project.simulation import Simulation, simulate
from pisnn_deploy.project.starting import initial_mass

DIGEST = "ab" * 32


def graph_of(name: str) -> IntegerGraph:
    if name == "line":
        return compiled(cells=8, boundary="dirichlet=0.5,1")
    if name == "plane":
        return compiled_box(plane_model(), (5, 6), "periodic")
    if name == "space":
        return compiled_box(space_model(), (6, 5, 7), "no-flux")
    return base("triangles") if name == "triangles" else compiled_law("shallow_water1d", (16,))


def save(graph: IntegerGraph, path: Path, steps: int = 4, **options: Any) -> Simulation:
    return simulate(Artifact(graph, {}, DIGEST), simulate_request(steps, save=path, backend="fast", **options))


@pytest.mark.parametrize("mesh", ["line", "plane", "space", "triangles", "law"])
@pytest.mark.parametrize("suffix", [".npz", ".npy", ".csv", ".vtk", ".nc", ".zarr"])
def test_a_saved_field_starts_a_run_with_the_same_integers(mesh: str, suffix: str, tmp_path: Path) -> None:
    for module in FORMATS[suffix].modules if suffix in FORMATS else ():
        pytest.importorskip(module)
    graph = graph_of(mesh)
    path = tmp_path / f"run{suffix_of(graph) if suffix == '.vtk' else suffix}"
    end = save(graph, path, steps=3).run.trace.mass[-1]
    assert (end != graph.initial).any()
    assert initial_mass(graph, path)[0].tolist() == end.tolist()
    assert not (tmp_path / f"{path.name}.partial").exists()


@pytest.mark.parametrize("suffix", [".npz", ".nc", ".zarr"])
def test_a_series_has_its_times_and_all_rows(suffix: str, tmp_path: Path) -> None:
    for module in FORMATS[suffix].modules:
        pytest.importorskip(module)
    for name in ("plane", "law"):
        graph = graph_of(name)
        run = save(graph, tmp_path / f"{name}{suffix}", every=2).run
        series = read_series(tmp_path / f"{name}{suffix}", graph)
        assert series.time is not None and series.time.tolist() == (run.trace.step * graph.time_step).tolist()
        assert (series.values == graph.values(np.asarray(run.trace.mass))).all() and len(series.values) == 3


def test_netcdf_has_integers_units_and_coordinates(tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    graph = graph_of("law")
    run = save(graph, tmp_path / "run.nc").run
    with xarray.open_dataset(tmp_path / "run.nc", decode_times=False) as data:
        assert data["h_mass"].dtype == np.int64 and (data["h_mass"].values == run.trace.mass[:, :16]).all()
        assert (data["h"].units, data["x"].units, data["time"].units) == ("m", "m", "s")
        assert data.attrs["artifact"] == DIGEST and data["x"].values[0] == pytest.approx(centres_of(graph)[0, 0])
    save(graph, tmp_path / "again.nc")
    assert (tmp_path / "again.nc").read_bytes() == (tmp_path / "run.nc").read_bytes()
    with xarray.open_dataset(tmp_path / "run.nc", decode_times=False) as data:
        wrong = data.load()
    wrong["h"].attrs["units"] = "cm"
    wrong.to_netcdf(tmp_path / "cm.nc", engine="h5netcdf")
    with pytest.raises(UsageError, match=r"cm.nc: h: is in cm, the field is in m$"):
        read_start(tmp_path / "cm.nc", graph)


def test_datasets_of_cells_have_their_centres() -> None:
    from pisnn_deploy.fields.dataset import dataset_of
    from pisnn_deploy.runs import RunOptions, fast

    graph = base("triangles")
    data = dataset_of(graph, fast.run(graph, graph.initial, RunOptions(1)))
    assert data["x"].dims == ("cell",) and np.column_stack([data["x"], data["y"]]).tolist() == (
        centres_of(graph).tolist()
    )


def test_text_and_arrays_say_where_they_come_from(tmp_path: Path) -> None:
    graph = graph_of("line")
    save(graph, tmp_path / "a.csv")
    save(graph, tmp_path / "a.npy")
    save(graph, tmp_path / "a.vti")
    told = json.loads((tmp_path / "a.csv").read_text().splitlines()[0].removeprefix("# "))
    assert told == json.loads((tmp_path / "a.npy.json").read_text())
    assert (told["artifact"], told["step"], told["time"]) == (DIGEST, 4, 4 * graph.time_step)
    assert told["columns"] == {"value": {"unit": "", "value_per_quantum": graph.value_per_quantum}}
    text = (tmp_path / "a.vti").read_text()
    assert f">{4 * graph.time_step!r}</DataArray>" in text and f'"artifact": "{DIGEST}"' in text


def test_paraview_gets_all_steps_and_other_readers_the_same_cells(tmp_path: Path) -> None:
    graph = base("triangles")
    (tmp_path / "run.frames").mkdir()
    (tmp_path / "run.frames" / "step_000000000999.vtu").write_text("of an earlier run")
    run = save(graph, tmp_path / "run.pvd", every=2).run
    frames = sorted(path.name for path in (tmp_path / "run.frames").iterdir())
    assert frames == [f"step_{step:012d}.vtu" for step in (0, 2, 4)]
    listed = (tmp_path / "run.pvd").read_text()
    assert [f'timestep="{step * graph.time_step!r}"' in listed for step in (0, 2, 4)] == [True] * 3
    read = meshio.read(tmp_path / "run.frames" / frames[-1])
    assert read.cells[0].type == "triangle" and (read.points[:, :2] == graph.mesh.simplices[0]).all()  # type: ignore[index]
    assert (read.cell_data["mass"][0] == run.trace.mass[-1]).all()
    meshio.write(tmp_path / "theirs.vtu", read)  # compressed by zlib, with sizes of 32 bits
    assert (read_start(tmp_path / "theirs.vtu", graph) == graph.values(np.asarray(run.trace.mass[-1]))).all()
    read.cells[0].data = read.cells[0].data[::-1]
    meshio.write(tmp_path / "other.vtu", read)
    with pytest.raises(UsageError, match=r"cell 0: lies at .*, in the mesh at .*; write the cells of the same mesh"):
        read_start(tmp_path / "other.vtu", graph)
    with pytest.raises(UsageError, match=r"run.pvd: a field cannot be read from .pvd; give one of its frames"):
        read_start(tmp_path / "run.pvd", graph)


def changed(path: Path, changes: Mapping[str, str]) -> Path:
    text = path.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)
    return path


VTI = {
    "other cells": ({'WholeExtent="0 5 0 6 0 0"': 'WholeExtent="0 6 0 5 0 0"'}, "has 6x5x0 cells, the mesh has 5x6"),
    "other places": ({'Spacing="1.0 1.0': 'Spacing="1.0 2.0'}, "cell 1: lies at (5, 12), in the mesh at (5, 6)"),
    "no numbers": ({'Spacing="1.0': 'Spacing="nan'}, "ImageData Spacing: expected 3 numbers"),
    "points": ({"<CellData>": "<PointData>", "</CellData>": "</PointData>"}, "has values at points; turn them into"),
    "entities": ({"<VTKFile": "<!DOCTYPE a><VTKFile"}, "has a document type"),
    "short": ({'"Float64" Name="value"': '"Float32" Name="value"'}, "value: is damaged (240 bytes, expected 120)"),
    "other values": ({'Name="mass"': 'Name="masses"'}, ""),
    "not XML": ({"</VTKFile>": ""}, "is not XML"),
    "lz4": ({"header_type": 'compressor="vtkLZ4DataCompressor" header_type'}, "is compressed by vtkLZ4DataCompressor"),
}


@pytest.mark.parametrize("case", VTI)
def test_files_of_vtk_of_others_are_refused_with_the_reason(case: str, tmp_path: Path) -> None:
    changes, message = VTI[case]
    graph = graph_of("plane")
    save(graph, tmp_path / "a.vti")
    path = changed(tmp_path / "a.vti", changes)
    if not message:
        assert read_start(path, graph).size == 30
        return
    with pytest.raises(UsageError) as refused:
        read_start(path, graph)
    assert message in str(refused.value)


def test_appended_data_of_vtk_is_read(tmp_path: Path) -> None:
    graph = graph_of("plane")
    values = np.linspace(0.5, 1.5, 30)
    head = (
        '<VTKFile type="ImageData" byte_order="BigEndian" header_type="UInt32"><ImageData WholeExtent="0 5 0 6 0 0" '
        'Origin="0 0 0" Spacing="1 1 1"><Piece Extent="0 5 0 6 0 0"><CellData><DataArray type="Float64" Name="u" '
        'format="appended" offset="0"/></CellData></Piece></ImageData><AppendedData encoding="raw">_'
    )
    content = np.array([240], ">u4").tobytes() + values.astype(">f8").tobytes()
    (tmp_path / "raw.vti").write_bytes(head.encode() + content + b"</AppendedData></VTKFile>")
    assert (read_start(tmp_path / "raw.vti", graph).reshape(5, 6).T.reshape(-1) == values).all()
    (tmp_path / "cut.vti").write_bytes(head.encode() + content[:100] + b"</AppendedData></VTKFile>")
    with pytest.raises(UsageError, match=r"cut.vti: u: has 12 numbers, expected 30"):
        read_start(tmp_path / "cut.vti", graph)


CSV = {
    "1,1,1,1,1,1,1,1": "",
    "\n".join("11111111"): "",
    "x,u\n" + "\n".join(f"{(cell + 0.5) / 8},1" for cell in range(8)): "",
    "1,1": "has 1 lines of 2 numbers without names; the mesh (8,) takes 8 numbers",
    "": "has no numbers",
    "v,w\n" + "1,1\n" * 8: "has no column 'value'; its columns are: v, w",
    "u,u\n" + "1,1\n" * 8: "line 1: names a column twice",
    "u\n" + "1\n" * 7: "has 7 cells, the mesh has 8",
    "u\n" + "1\n" * 7 + "a": "line 9: 'a' is not a number",
    "u\n" + "1\n" * 7 + "nan": "u, cell 7: value nan is not finite",
    "u\n1,2": "line 2: has 2 columns, the first line has 1",
    "x,u\n" + "0.5,1\n" * 8: "cell 0: lies at (0.5), in the mesh at (0.0625)",
}


@pytest.mark.parametrize("text", CSV)
def test_tables_of_others(text: str, tmp_path: Path) -> None:
    graph, path = graph_of("line"), tmp_path / "a.csv"
    path.write_text(text)
    if not CSV[text]:
        assert read_start(path, graph).tolist() == [1.0] * 8
        return
    with pytest.raises(UsageError) as refused:
        read_start(path, graph)
    assert CSV[text] in str(refused.value)


def test_values_that_disagree_with_their_masses_are_refused(tmp_path: Path) -> None:
    graph, path = graph_of("line"), tmp_path / "a.csv"
    save(graph, path)
    comment, names, first, *rest = path.read_text().splitlines()
    x, value, mass = first.split(",")
    path.write_text("\n".join([comment, names, f"{x},{value},{int(mass) + 1}", *rest]))
    with pytest.raises(UsageError, match="which disagree; leave out the column mass to start from the values"):
        read_start(path, graph)
    # In another quantum the integers mean something else, and the values decide.
    path.write_text("\n".join([comment.replace("value_per_quantum", "other"), names, first, *rest]))
    assert read_start(path, graph)[0] == float(value)


def test_a_picture_is_scaled_to_the_operating_range(tmp_path: Path) -> None:
    graph = graph_of("plane")
    grey = np.zeros((6, 5), np.uint8)
    grey[-1, 0], grey[0, 4] = 255, 51
    Image.fromarray(grey).save(tmp_path / "a.png")
    values = read_start(tmp_path / "a.png", graph).reshape(5, 6)
    low, high = graph.range_of(graph.sole_field)
    assert values[0, 0] == high and values[4, 5] == pytest.approx(low + (high - low) / 5) and values[1, 1] == low
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    assert (read_start(tmp_path / "deep.png", graph) == values.reshape(-1)).all()
    with pytest.raises(UsageError, match="has 5 by 6 pixels, the mesh has 6 by 5 cells; scale it to 6 by 5 pixels"):
        read_start(tmp_path / "a.png", compiled_box(plane_model(), (6, 5), "periodic"))
    with pytest.raises(UsageError, match="a picture can only start one field on a grid of two axes"):
        read_start(tmp_path / "a.png", graph_of("line"))
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:45])
    (tmp_path / "text.png").write_text("text")
    for name in ("cut.png", "text.png"):
        with pytest.raises(UsageError, match=f"{name}: is"):
            read_start(tmp_path / name, graph)


def test_suffixes_without_a_writer_are_refused_before_the_run(tmp_path: Path) -> None:
    graph = graph_of("line")
    for name in ("a.png", "a.vtk"):
        with pytest.raises(UsageError, match=r"use .npz, .npy, .csv, .vti, .vtu, .pvd, .nc, .zarr$"):
            save(graph, tmp_path / name)
    with pytest.raises(UsageError, match=r"the mesh is a grid; use a .vti file"):
        save(graph, tmp_path / "a.vtu")
    with pytest.raises(UsageError, match=r"the mesh is no grid; use a .vtu file"):
        save(base("triangles"), tmp_path / "a.vti")
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr" / "letter").touch()
    (tmp_path / "taken.frames").touch()
    for name, message in (("mine.zarr", "exists and is not a Zarr store"), ("taken.pvd", "is no folder")):
        if all(pytest.importorskip(module) for module in FORMATS[Path(name).suffix].modules):
            with pytest.raises(UsageError, match=message):
                save(graph, tmp_path / name)
    assert (tmp_path / "mine.zarr" / "letter").exists() and not list(tmp_path.glob("*.partial"))


def test_a_run_without_a_step_saves_no_field(tmp_path: Path) -> None:
    graph = graph_of("line")
    outside = replace(graph, fields=(replace(graph.sole_field, window=replace(graph.window, difference=None)),))
    with pytest.raises(CheckError, match="no PDE step was kept, so no field is saved"):
        save(outside, tmp_path / "a.csv", faults=["flip:membrane[2].bit22@0"])


def test_traces_of_others_are_refused(tmp_path: Path) -> None:
    graph, path = graph_of("line"), tmp_path / "a.npz"
    save(graph, path)
    for other in (compiled(cells=16), graph_of("law")):
        with pytest.raises(UsageError, match=r"a.npz: (is not a trace of this graph|was saved with other fields)"):
            read_start(path, other)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UsageError, match=r"a.npz: is not a trace of this graph"):
        read_start(path, graph)


@pytest.mark.filterwarnings("error")
def test_damaged_datasets_are_refused_in_a_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("h5netcdf")
    graph = graph_of("line")
    save(graph, tmp_path / "a.nc")
    for name, content in {
        "cut": (tmp_path / "a.nc").read_bytes()[:900],
        "text": b"text",
        "old": b"CDF\x01\x00",
    }.items():
        path = tmp_path / f"{name}.nc"
        path.write_bytes(content)
        with pytest.raises(UsageError, match=rf"^{re.escape(str(path))}: cannot be read"):
            read_start(path, graph)
    gc.collect()
    assert capfd.readouterr().err == ""
