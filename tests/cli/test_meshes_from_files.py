"""Meshes from files and materials on the command line: the whole path, and every mistake as one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from commands import run_command
from models_under_test import level_shift

from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import read_artifact
from pisnn_deploy.graph.kinds import known_face
from pisnn_deploy.mesh import CellMesh
from pisnn_deploy.project.conditions import read_groups

EXAMPLE = Path(__file__).parents[2] / "examples" / "plate_with_hole"


@pytest.fixture()
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the plate and its materials in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("plate.msh", "materials.yaml"):
        shutil.copy(EXAMPLE / name, tmp_path)
    return tmp_path


def call(*words: object, code: int = 0) -> str:
    """Output of the command; of one that fails what it says of that."""
    done = run_command(*words)
    assert "Traceback" not in done.stderr and done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def run(*words: str) -> str:
    """The same within this process."""
    ended = CliRunner().invoke(group, words)
    assert ended.exit_code == 0, ended.exception
    return ended.stdout


def sentence(*words: str) -> str:
    """What a command that cannot be run has to say; the command line makes it one line and exit code 2."""
    ended = CliRunner().invoke(group, words)
    assert isinstance(ended.exception, UsageError) and ended.exception.exit_code == 2 and ended.output == ""
    return str(ended.exception)


def compiled(*words: str) -> IntegerGraph:
    run("compile", "heat2d", *words, "-q", "-o", "x.pisnn")
    return read_artifact(Path("x.pisnn")).graph


def png(path: str) -> bool:
    return Path(path).read_bytes().startswith(b"\x89PNG") and Path(path).stat().st_size > 20_000


def test_from_a_mesh_file_to_a_checked_run(folder: Path) -> None:
    words = ("compile", "heat2d", "--mesh", "plate.msh", "--materials", "materials.yaml")
    found = json.loads(call(*words, "--boundary", "left=dirichlet=0.5 hole=dirichlet=1.5", "--json", "-o", "p.pisnn"))
    assert found["cells"] == 1926 and found["mesh"] == [1926] and found["placement"]["cores"] >= 1
    assert found["certificate"]["conservation"] == found["certificate"]["stability"] == "proved"
    assert found["quantisation"]["relative_l2_integer"] < 2e-3
    assert "verified" in call("verify", "p.pisnn") or "proved" in call("verify", "p.pisnn")
    ran = json.loads(
        call("simulate", "p.pisnn", "--backend", "cpu", "--steps", 20, "--plot", "r.png", "--save", "r.npz", "--json")
    )
    assert ran["verdict"] == "conserved" and ran["mass"]["drift"] == 0 and ran["packets"]["sent"] > 0
    assert ran["error"] is None and not any(ran["violations"].values())
    with np.load("r.npz", allow_pickle=False) as trace:
        assert trace["mass"].shape == (21, 1926) and trace["ledger"].shape == (21, 45)
        totals = trace["mass"].sum(axis=1) + trace["ledger"].sum(axis=1)
        assert (totals == ran["mass"]["initial"]).all()
    call("inspect", "p.pisnn", "--format", "png", "-o", "g.png")
    assert png("r.png") and png("g.png")
    call("check", "p.pisnn", "--profile", "loihi2")
    provenance = read_artifact(Path("p.pisnn")).provenance
    assert set(provenance["options"]["files"]) == {"plate.msh", "materials.yaml"}
    assert provenance["options"]["boundary"] == "left=dirichlet=0.5 hole=dirichlet=1.5"


def test_a_boundary_file_says_the_same_as_its_text(folder: Path) -> None:
    Path("b.yaml").write_text("left: {dirichlet: 0.5}\nrest: no-flux\nhole: {dirichlet: 2}\n")
    files = compiled("--mesh", "plate.msh", "--boundary", "b.yaml")
    text = compiled("--mesh", "plate.msh", "--boundary", "rest=no-flux hole=dirichlet=2 left=dirichlet=0.5")
    assert isinstance(files.mesh, CellMesh) and files.mesh.group_names == ("hole", "left")
    assert (files.sole_field.reservoirs == text.sole_field.reservoirs).all()
    held = np.where(files.mesh.group == 0, 2.0, 0.5)
    assert (files.reservoir_values() == held).all()


def test_angles_and_welding_in_table_and_json(folder: Path) -> None:
    words = ("compile", "heat2d", "--mesh", "plate.msh", "--boundary", "hole=dirichlet=1", "-o", "x.pisnn")
    table = run(*words, "--weld", "1e-6")
    for text in (
        "0 points joined with others",
        "mean 0.1, largest 19.4 degrees",
        "1.000 to 1.000 times the right ones",
    ):
        assert text in " ".join(table.replace("│", " ").split())
    assert "relative L2 error" not in table
    told = json.loads(CliRunner().invoke(group, [*words, "--weld", "1e-6", "--json"]).stdout)
    assert told["welded_points"] == 0 and told["two_point"]["flux_factors"] == [1.0001, 1.0005]
    assert told["warnings"] == ["mesh: --weld joined no points, because none lie within 1e-06 of each other"]
    assert "welded_points" not in json.loads(run(*words, "--json"))
    assert (
        json.loads(run("compile", "heat1d", "--json", "-o", "y.pisnn"))["quantisation"]["measured_against"]
        == "reference"
    )


def test_without_a_boundary_all_is_wall_and_without_materials_the_model_says(folder: Path) -> None:
    graph = compiled("--mesh", "plate.msh")
    same = compiled("--mesh", "plate.msh", "--boundary", "no-flux")
    assert same.mesh.reservoirs == 0 and (same.initial == graph.initial).all()
    assert graph.mesh.reservoirs == 0 and graph.mesh.boundary_text == "no-flux"
    doubled = "steel: {conductivity: 0.02}\ncopper: {conductivity: 0.02, capacity: 1}\n"
    Path("m.yaml").write_text(doubled)
    assert compiled("--mesh", "plate.msh", "--materials", "m.yaml").time_step == pytest.approx(graph.time_step / 2)


def test_a_run_without_steps_ends_soon_whatever_the_materials(folder: Path) -> None:
    compiled("--mesh", "plate.msh", "--materials", "materials.yaml")
    assert json.loads(run("simulate", "x.pisnn", "--backend", "fast", "--json"))["steps"] == 1000


def test_initial_data_of_a_mesh_from_a_file(folder: Path) -> None:
    compiled("--mesh", "plate.msh", "--boundary", "hole=dirichlet=1")
    np.save("u.npy", np.ones(1926))
    found = json.loads(run("simulate", "x.pisnn", "--backend", "fast", "--initial", "u.npy", "--steps", "50", "--json"))
    assert found["packets"]["sent"] == 0 and found["verdict"] == "conserved"
    np.save("u.npy", np.ones((6, 321)))
    assert sentence("simulate", "x.pisnn", "--backend", "fast", "--initial", "u.npy") == (
        "u.npy: has shape (6, 321), the mesh has (1926,)"
    )
    np.save("u.npy", np.where(np.arange(1926) == 5, 2.5, 1.0))
    assert sentence("simulate", "x.pisnn", "--backend", "fast", "--initial", "u.npy").startswith(
        "u.npy: cell 5 has the value 2.5, outside the operating range "
    )
    assert sentence("simulate", "x.pisnn", "--backend", "fast", "--initial", "bump") == (
        "bump: an unstructured mesh has no named initial conditions; give a field, such as a .npy file"
    )


def test_a_grid_whose_cells_differ(folder: Path) -> None:
    conductivity = np.where(np.arange(32) < 16, 0.01, 0.03)
    np.save("k.npy", conductivity)
    np.save("c.npy", 1 + np.arange(32) % 2)
    words = ("--mesh", "32", "--conductivity", "k.npy", "--capacity", "c.npy", "--boundary", "dirichlet=0.5,1")
    told = json.loads(run("compile", "heat1d", *words, "--explain", "--json", "-o", "x.pisnn"))
    assert told["passes"][0]["pass"] == "lower-two-point" and told["mesh"] == [32]
    graph = read_artifact(Path("x.pisnn")).graph
    assert graph.materials is not None
    volumes = graph.sole_field.inverse_volume.tolist()
    # A level of the smaller cells is two quanta.
    assert volumes == [1 << (level_shift(graph) - 1), 1 << (level_shift(graph) - 2)] * (len(volumes) // 2)
    assert set(read_artifact(Path("x.pisnn")).provenance["options"]["files"]) == {"k.npy", "c.npy"}
    found = json.loads(run("simulate", "x.pisnn", "--backend", "fast", "--steps", "200", "--plot", "r.png", "--json"))
    assert found["verdict"] == "conserved" and found["error"] is None and png("r.png")
    assert run("simulate", "x.pisnn", "--backend", "fast", "--steps", "5", "--initial", "bump", "-q") == ""
    run("verify", "x.pisnn")
    run("check", "x.pisnn")


def test_a_conductivity_alone_or_a_capacity_alone(folder: Path) -> None:
    np.save("k.npy", np.full((8, 8), 0.02))
    np.save("c.npy", np.full((8, 8), 2.0))
    own = ("--mesh", "8x8", "--boundary", "x=periodic y=no-flux")
    plain, conductivity = compiled(*own), compiled(*own, "--conductivity", "k.npy")
    # Twice the conductivity of the model goes twice as fast with the same integers; twice the capacity half as fast.
    assert conductivity.time_step == pytest.approx(plain.time_step / 2) and conductivity.materials is None
    assert conductivity.synapses[0].mantissas.tolist() == plain.synapses[0].mantissas.tolist()
    capacity = compiled(*own, "--capacity", "c.npy")
    assert capacity.materials is not None and not capacity.between_fields
    weight = int(abs(capacity.matrix("membrane", "flux").values).max()) / 2.0 ** known_face(capacity).exponent
    assert weight == pytest.approx(0.01 / 2 * 8**2 * capacity.time_step, rel=1e-3)


def test_names_with_blanks_and_equal_signs() -> None:
    known = ("a", "a b", "a=dirichlet", "b")
    assert read_groups("a b=dirichlet=1  a=dirichlet=2\ta=dirichlet=dirichlet=3\nb=no-flux", known) == {
        "a b": 1.0,
        "a": 2.0,
        "a=dirichlet": 3.0,
    }


# Mistakes -------------------------------------------------------------------------------------------------------------

MESH = ("compile", "heat2d", "--mesh", "plate.msh", "-o", "x.pisnn")
GROUPS = "'hole', 'left', 'rest', 'right'"


@pytest.mark.parametrize(
    ("boundary", "message"),
    [
        ("top=dirichlet=1", f"boundary: unknown group 'top'; the mesh has {GROUPS}"),
        ("top=no-flux", f"boundary: unknown group 'top'; the mesh has {GROUPS}"),
        ("periodic", f"boundary: unknown group 'periodic'; the mesh has {GROUPS}"),
        ("hole=dirichlet=1 hole=dirichlet=1", "boundary: group 'hole' is given twice"),
        ("hole=dirichlet=1 hole=no-flux", "boundary: group 'hole' is given twice"),
        ("hole=no-flux hole=dirichlet=1", "boundary: group 'hole' is given twice"),
        ("hole=no-flux hole=no-flux", "boundary: group 'hole' is given twice"),
        *(
            (
                f"hole={condition}",
                "boundary: 'hole' must be no-flux or dirichlet with a number, such as hole=dirichlet=1",
            )
            for condition in (
                "dirichlet=nan",
                "dirichlet=inf",
                "dirichlet=-inf",
                "dirichlet=1e400",
                "dirichlet=x",
                "dirichlet=",
                "dirichlet",
                "dirichlet=1,2",
                "dirichlet=1=2",
                "periodic",
                "",
            )
        ),
        ("hole", "boundary: 'hole' must be no-flux or dirichlet with a number, such as hole=dirichlet=1"),
        (
            "hole=dirichlet=7",
            "quantise-two-point: reservoir 0 holds the value 7, outside the operating range 0 to 2; widen the range "
            "with --range LOWER,UPPER",
        ),
    ],
)
def test_boundaries_that_cannot_be_used(boundary: str, message: str, folder: Path) -> None:
    assert sentence(*MESH, "--boundary", boundary) == message
    assert not Path("x.pisnn").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("top: no-flux\n", f"boundary: unknown group 'top'; the mesh has {GROUPS}"),
        ("hole: {dirichlet: .nan}\n", "boundary: 'hole' must be no-flux or dirichlet with a number, such as "),
        ("hole: {dirichlet: [1, 2]}\n", "boundary: 'hole' must be no-flux or dirichlet with a number, such as "),
        ("hole: {dirichlet: true}\n", "boundary: 'hole' must be no-flux or dirichlet with a number, such as "),
        ("hole: {dirichlet: one}\n", "boundary: 'hole' must be no-flux or dirichlet with a number, such as "),
        ("hole: {dirichlet: 1, flux: 2}\n", "boundary: 'hole' must be no-flux or dirichlet with a number, such as "),
        ("hole: 1\n", "boundary: 'hole' must be no-flux or dirichlet with a number, such as "),
        (f"hole: {{dirichlet: 1{'0' * 400}}}\n", "boundary: 'hole' must be no-flux or dirichlet with a number, such "),
        ("hole: no-flux\nhole: no-flux\n", "b.yaml: line 2 repeats the key 'hole'"),
        ("- hole\n", "b.yaml: does not contain a mapping; expected keys and values"),
        (None, "b.yaml: cannot be read (No such file or directory)"),
    ],
)
def test_boundary_files_that_cannot_be_used(content: str | None, message: str, folder: Path) -> None:
    if content is not None:
        Path("b.yaml").write_text(content)
    assert sentence(*MESH, "--boundary", "b.yaml").startswith(message)


WRONG_KEYS = "m.yaml: steel: needs a conductivity and may have a capacity, but no other key"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("steel: {conductivity: 1, colour: 2}\n", WRONG_KEYS),
        ("steel: {capacity: 1}\n", WRONG_KEYS),
        ("steel: {}\n", WRONG_KEYS),
        ("steel: 16\n", WRONG_KEYS),
        ("steel: [16]\n", WRONG_KEYS),
        *(
            (f"steel: {{conductivity: {number}}}\n", "m.yaml: steel.conductivity: must be a positive number")
            for number in ("-1", "0", ".nan", ".inf", "-.inf", "steel", "true", "[1]", "null", f"1{'0' * 400}", "1e3 W")
        ),
        ("steel: {conductivity: 1, capacity: -2}\n", "m.yaml: steel.capacity: must be a positive number"),
        ("gold: {conductivity: 1}\n", "materials: the mesh has no 'gold'; it has 'copper', 'steel'"),
        ("1: {conductivity: 1}\n", "m.yaml: line 1 has a key that is not text"),
        ("- steel\n", "m.yaml: does not contain a mapping; expected keys and values"),
        ("{", "m.yaml: is not YAML: "),
        (None, "m.yaml: cannot be read (No such file or directory)"),
        (
            "steel: {conductivity: 1, capacity: 1.0e-200}\n",
            "capacities of the mesh's cells and materials range from ",
        ),
        (
            "steel: {conductivity: 1.0e-9}\n",
            "quantise-two-point: face 1925 conducts 1.52e+08 times as much as face 789, too much for ",
        ),
    ],
)
def test_materials_that_cannot_be_used(content: str | None, message: str, folder: Path) -> None:
    if content is not None:
        Path("m.yaml").write_text(content)
    assert sentence(*MESH, "--materials", "m.yaml").startswith(message)
    assert not Path("x.pisnn").exists()


@pytest.mark.parametrize("option", ["--conductivity", "--capacity"])
@pytest.mark.parametrize(
    ("field", "message"),
    [
        (np.ones(9), "v.npy: has shape (9,), the mesh has (8,)"),
        (np.ones((8, 1)), "v.npy: has shape (8, 1), the mesh has (8,)"),
        (np.float64(1.0), "v.npy: has shape (), the mesh has (8,)"),
        (np.where(np.arange(8) == 3, -1.0, 1.0), "v.npy: cell 3: value -1 is not positive"),
        (np.where(np.arange(8) == 3, 0, 1), "v.npy: cell 3: value 0 is not positive"),
        (np.where(np.arange(8) == 3, np.nan, 1.0), "v.npy: cell 3: value nan is not finite"),
        (np.where(np.arange(8) == 3, np.inf, 1.0), "v.npy: cell 3: value inf is not finite"),
        (np.array(["a"] * 8), "v.npy: holds <U1, it must hold floats of at most 64 bits"),
        (None, "v.npy: cannot be read (No such file or directory)"),
    ],
)
def test_properties_of_cells_that_cannot_be_used(
    option: str, field: np.ndarray[tuple[int, ...], np.dtype[np.generic]] | None, message: str, folder: Path
) -> None:
    if field is not None:
        np.save("v.npy", field)
    assert sentence("compile", "heat1d", "--mesh", "8", option, "v.npy") == message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("compile", "heat2d", "--materials", "materials.yaml"),
            "--materials are for meshes from files; give a grid --conductivity and --capacity",
        ),
        *(
            (
                ("compile", "heat2d", "--mesh", "plate.msh", option, "v.npy"),
                "--conductivity and --capacity are for grids; name the mesh's --materials instead",
            )
            for option in ("--conductivity", "--capacity")
        ),
        (("compile", "heat2d", "--weld", "1e-6"), "--weld is for meshes from files"),
        (
            ("compile", "heat2d", "--mesh", "plate.msh", "--weld", "0"),
            "weld: the tolerance 0 is not a positive number",
        ),
        (
            ("compile", "heat2d", "--mesh", "plate.msh", "--weld", "nan"),
            "weld: the tolerance nan is not a positive number",
        ),
        (
            ("compile", "heat2d", "--mesh", "none.msh"),
            "none.msh: cannot be read (No such file or directory)",
        ),
        (
            ("compile", "burgers1d", "--mesh", "plate.msh"),
            "lower-two-point: the model burgers1d is not linear; cells that differ need a linear model of diffusion; "
            "use a model such as heat1d or heat2d",
        ),
        (
            ("compile", "laplace2d", "--mesh", "plate.msh"),
            "lower-two-point: the model laplace2d describes laplace; cells that differ need a linear model of "
            "diffusion; use a model such as heat1d or heat2d",
        ),
    ],
)
def test_options_that_do_not_go_together(words: Sequence[str], message: str, folder: Path) -> None:
    np.save("v.npy", np.ones(128))
    assert sentence(*words) == message


def test_no_input_is_overwritten(folder: Path) -> None:
    Path("b.yaml").write_text("hole: {dirichlet: 1}\n")
    np.save("v.npy", np.ones(128))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for output, words in (
        ("plate.msh", ("heat2d", "--mesh", "plate.msh")),
        ("plate.msh", ("heat2d", "--mesh", "./plate.msh")),
        ("materials.yaml", ("heat2d", "--mesh", "plate.msh", "--materials", "materials.yaml")),
        ("b.yaml", ("heat2d", "--mesh", "plate.msh", "--boundary", "b.yaml")),
        ("v.npy", ("heat1d", "--conductivity", "v.npy")),
        ("v.npy", ("heat1d", "--capacity", "v.npy")),
    ):
        said = sentence("compile", *words, "-o", output)
        assert said == f"{output}: would overwrite a file that this command reads; write to another file"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--boundary", "top=no-flux"), f"error: boundary: unknown group 'top'; the mesh has {GROUPS}\n"),
        (("--materials", "plate.msh"), "error: plate.msh: does not contain a mapping; expected keys and values\n"),
        (("--materials", "."), "error: .: cannot be read (Is a directory)\n"),
        (
            ("-o", "plate.msh"),
            "error: plate.msh: would overwrite a file that this command reads; write to another file\n",
        ),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(words: Sequence[str], message: str, folder: Path) -> None:
    said = call("compile", "heat2d", "--mesh", "plate.msh", *words, code=2)
    assert said.startswith(message) and said.count("\n") == 1


def test_a_long_text_is_not_taken_for_a_file(folder: Path) -> None:
    assert sentence(*MESH, "--boundary", "x" * 3000).startswith("boundary: unknown group 'xxx")
