from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run_command

ROWS = np.tile(np.arange(1.0, 9.0), (4, 1))
NAN = ROWS.copy()
NAN[2, 5] = np.nan


def claims(shape: tuple[int, ...]) -> bytes:
    """An archive whose array has a header and no data."""
    header, archive = io.BytesIO(), io.BytesIO()
    formats: Any = np.lib.format
    formats.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("u.npy", header.getvalue())
    return archive.getvalue()


BAD: dict[str, tuple[Any, str]] = {
    "nan": ({"u": NAN}, "u: is nan in row 2, cell 5 (1 such value in this row); expected numbers up to 1e+60"),
    "empty": ({"u": ROWS[:0]}, "u: is empty: its shape is 0x8"),
    "one row": ({"u": ROWS[:1]}, "u: has one row; a balance needs at least two"),
    "objects": ({"u": np.array([[None]])}, "u: holds Python objects, which are never loaded; save numbers"),
    "complex": ({"u": ROWS + 1j}, "u: is complex; save its real part, or the density that is conserved"),
    "no field": ({"u": ROWS[0]}, "has no field [time, *mesh]; its arrays are u 8; see --field and --mesh"),
    "two shapes": ({"u": ROWS, "v": ROWS[:, :3]}, "v: has shape 4x3, but u has 4x8; choose fields of one shape with"),
    "times": ({"u": ROWS, "t": [0, 2, 1, 3]}, "t: does not ascend: 2 in row 1, then 1"),
    "volumes": ({"u": ROWS, "volume": [-1.0] * 8}, "volume: is -1 in cell 0; must be positive"),
    "faces": ({"u": ROWS, "transported_x": ROWS}, "transported_x: has shape 4x8; expected 3x8 or 3x9: steps, then"),
    "huge": ({"u": np.full((2, 3), 1e300)}, "u: is 1e+300 in row 0, cell 0 (3 such values in this row)"),
    "text": (b"not an archive", "is not a numpy archive (.npz), or is damaged"),
    "short": (claims((2, 10**6)), "u: has 128 bytes, but its shape needs 16000000"),
    "bomb": (claims((2, 10**12)), "u: needs 16000000000000 bytes, more than the 4294967296 of a file"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused(name: str, tmp_path: Path) -> None:
    content, message = BAD[name]
    path = tmp_path / "run.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, **content)
    done = run_command("audit", "run.npz", folder=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"error: run.npz: {message}") and done.stderr.count("\n") == 1


def test_pipes_are_refused(tmp_path: Path) -> None:
    """Opening one would wait for ever."""
    os.mkfifo(tmp_path / "run.npz")
    done = run_command("audit", "run.npz", folder=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("error: run.npz: is ")


def test_tables_json_and_picture(tmp_path: Path) -> None:
    rows = ROWS.astype(np.float32)
    rows[2:, 3] += 0.5
    np.savez(tmp_path / "run.npz", u=rows)
    words = ("audit", "run.npz", "--mesh", "2x4")
    done = run_command(*words, "--plot", "audit.png", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "error: run.npz: not conserved: u: the total changes by +0.0625 in step 2, by +0.0625 since the start\n"
    )
    assert "│ verdict              │ violated" in done.stdout and "4 roundings of each cell" in done.stdout
    assert (tmp_path / "audit.png").read_bytes().startswith(b"\x89PNG")
    done = run_command(*words, "--json", "--tolerance", "0.1", folder=tmp_path)
    shown = json.loads(done.stdout)
    assert done.returncode == 0 and (shown["schema"], shown["version"]) == ("pisnn-deploy-audit", 1)
    assert shown["verdict"] == "conserved" and shown["fields"][0]["steps"] == [0.0, 0.0625, 0.0]
    assert run_command(*words, "-q", folder=tmp_path).stdout == ""


def test_own_traces_are_exact(tmp_path: Path) -> None:
    run = ("simulate", "heat1d", "--backend", "fast", "--steps", "6", "--every", "2", "--save", "run.npz", "-q")
    assert run_command(*run, folder=tmp_path).returncode == 0
    done = run_command("audit", "run.npz", "--boundary", "periodic", folder=tmp_path)
    assert done.returncode == 0 and "conserved: every total is equal" in done.stdout
    assert "largest difference 0" in done.stdout
    with np.load(tmp_path / "run.npz") as archive:
        arrays = dict(archive)
    # One quantum moves to the next cell although no packet did: the total is right, two cells are not.
    arrays["mass"][2, 7:9] += [-1, 1]
    np.savez(tmp_path / "run.npz", **arrays)
    assert run_command("audit", "run.npz", "-q", folder=tmp_path).returncode == 0
    done = run_command("audit", "run.npz", "--boundary", "periodic", "--json", folder=tmp_path)
    local = json.loads(done.stdout)["fields"][0]["local"]
    assert done.returncode == 1 and local["first_break"] == {"step": 2, "cell": [7]} and local["broken"] == 4
    done = run_command("audit", "run.npz", "--boundary", "no-flux", folder=tmp_path)
    assert done.returncode == 2 and "has 128 channels, but a grid with this boundary 127" in done.stderr


def test_traces_of_several_fields_have_one_balance(tmp_path: Path) -> None:
    run = ("simulate", "shallow_water1d", "--backend", "fast", "--steps", "3", "--save", "run.npz", "-q")
    assert run_command(*run, folder=tmp_path).returncode == 0
    (field,) = json.loads(run_command("audit", "run.npz", "--json", folder=tmp_path).stdout)["fields"]
    assert field["field"] == "h+q" and field["verdict"] == "conserved" and field["mass"]["entered"] != 0


def test_netcdf_is_read_with_its_coordinates(tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("scipy")
    # Saved as (time, y, x), and read as [time, x, y].
    values = np.random.default_rng(3).random((3, 4, 6)).repeat(2, axis=0)[::2]
    coordinates = {"time": [0.0, 0.1, 0.2], "y": np.arange(4) * 0.5 + 0.25, "x": np.arange(6) + 0.5}
    dataset = xarray.Dataset({"c": (("time", "y", "x"), values)}, coordinates)
    dataset.to_netcdf(tmp_path / "run.nc", engine="scipy")
    done = run_command("audit", "run.nc", "--json", folder=tmp_path)
    shown = json.loads(done.stdout)
    assert shown["mesh"] == [6, 4] and shown["cell_sizes"] == "coordinates of the file"
    assert shown["fields"][0]["mass"]["initial"] == pytest.approx(values[0].mean() * 12)
    dataset["c"].attrs["scale_factor"] = 0.1
    dataset.to_netcdf(tmp_path / "run.nc", engine="scipy")
    done = run_command("audit", "run.nc", folder=tmp_path)
    assert done.returncode == 2 and "is packed (scale_factor)" in done.stderr
    (tmp_path / "run.nc").write_bytes(b"CDF no")
    done = run_command("audit", "run.nc", folder=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("error: run.nc: cannot be read as a dataset (")


def test_datasets_of_runs_have_fields_and_more(tmp_path: Path) -> None:
    """Packets and ledgers of a run are no fields, and a ledger says what came in."""
    rows = np.array([[5, 7], [4, 7], [4, 5]])
    of_runs: dict[str, Any] = {
        "ledger": [[0], [1], [3]],
        "transported": rows,
        "transported_c-flux": rows,
        "probe.x.spikes": rows,
    }
    np.savez(tmp_path / "run.npz", mass=rows, value=rows / 2, **of_runs)
    done = run_command("audit", "run.npz", "--json", folder=tmp_path)
    shown = {field["field"]: field for field in json.loads(done.stdout)["fields"]}
    assert done.returncode == 0 and {name: field["verdict"] for name, field in shown.items()} == {
        "mass": "conserved",
        "value": "open",
    }
    assert shown["value"]["sides"] == "ledgers of the run" and shown["mass"]["mass"]["entered"] == -3


def test_json_follows_its_published_schema(tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "audit.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    leaky = ROWS.copy()
    leaky[2, 3] += 1
    np.savez(tmp_path / "run.npz", u=leaky, time=np.arange(4.0), transported_x=np.zeros((3, 8)))
    np.savez(tmp_path / "whole.npz", m=ROWS.astype(np.int64))
    more = ("--law", "diffusion=0.1", "--boundary", "periodic", "--reference", "run.npz")
    for words in (("run.npz", *more), ("whole.npz",), ("whole.npz", "--boundary", "dirichlet=0,1")):
        shown = json.loads(run_command("audit", *words, "--json", folder=tmp_path).stdout)
        validator.validate(shown)
    assert validator.is_valid(shown) and not validator.is_valid(shown | {"verdict": "fine"})
    assert not validator.is_valid({name: value for name, value in shown.items() if name != "rows"})


def test_a_law_names_its_fields(tmp_path: Path) -> None:
    np.savez(tmp_path / "run.npz", rho=np.full((3, 8), 0.5), other=ROWS[:3], time=[0.0, 0.1, 0.2])
    done = run_command("audit", "run.npz", "--law", "lwr", "--json", folder=tmp_path)
    assert [field["field"] for field in json.loads(done.stdout)["fields"]] == ["rho"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--law", "diffusion=0"), "--law diffusion=0 needs a --boundary: periodic, no-flux, dirichlet=0,1, ..."),
        (("--law", "diffusion=0", "--boundary", "periodic"), "--law 'diffusion=0': expected a positive diffusivity"),
        (("--law", "diffusion=1", "--boundary", "periodic"), "run.npz: has no times; name an array time, or give"),
        (("--law", "heat1d"), "--law 'heat1d': is no law; write a recipe with a section law"),
        (("--lengths", "1,1"), "--lengths: 2 values for 1 axes"),
        (("--tolerance", "nan"), "--tolerance nan: expected a finite number that is not negative"),
        (("--time-step", "inf"), "--time-step inf: expected a finite number that is not negative"),
        (("--lengths", "-1"), "--lengths '-1': expected positive numbers"),
        (("--field", "v"), "run.npz: has no array 'v'; its arrays are u 4x8"),
        (("--mesh", "5"), "run.npz: has no field [time, *mesh] of 5 cells; its arrays are u 4x8"),
        (("--plot", "run.npz"), "run.npz: would overwrite a file that this command reads"),
        (("--reference", "none.npz"), "none.npz: does not exist"),
    ],
)
def test_wrong_options(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "run.npz", u=ROWS)
    done = run_command("audit", "run.npz", *words, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.startswith(f"error: {message}")
