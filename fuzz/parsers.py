"""The table of parsers: each with files that it accepts, how these are changed, and how it is called.

A new parser is one more entry of `PARSERS`. Its seeds must be accepted as they are.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from random import Random
from typing import Any

import numpy as np

from fuzz.mutations import (
    PICKLES,
    Archive,
    members_of,
    mutated_bytes,
    mutated_json,
    mutated_npy,
    mutated_plain,
    mutated_text,
    npy,
    zipped,
)
from fuzz.structure import TEXTS, mutated_artifact
from pisnn_deploy.core.npy import DAMAGED_ARCHIVE

ROOT = Path(__file__).parents[1]
MESH_CELLS = 16
ZOO = ("heat1d", "laplace2d", "advection_diffusion1d", "burgers1d")
Seeds = Callable[[Path], Sequence[bytes]]
Mutate = Callable[[Random, bytes, Sequence[bytes]], bytes]


@dataclass(frozen=True)
class Parser:
    """One kind of file that may come from anyone.

    Attributes
    ----------
    name : str
        As the command line has it.
    file_name : str
        As which each input is stored.
    seeds : callable
        Given an empty folder to work in: files that are accepted.
    mutate : callable
        Random generator, a seed, all seeds: an input.
    parse : callable
        Must return, or raise an error of ours that ends with exit code 2.
    weight : float
        Inputs beside those of others: slow parsers get fewer.
    """

    name: str
    file_name: str
    seeds: Seeds
    mutate: Mutate
    parse: Callable[[Path], object]
    weight: float = 1.0

    def share(self, inputs: int) -> int:
        """How many inputs this parser gets where others get so many."""
        return max(1, round(self.weight * inputs))


def _text(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """YAML: changed as text, or as data and written as JSON, which YAML contains."""
    if random.random() < 0.5:
        return mutated_text(random, content)
    import yaml

    value = _loaded(content, yaml)
    for _ in range(random.choice((1, 1, 2))):
        value = mutated_plain(random, value)
    return json.dumps(value).encode("utf-8", "surrogatepass")


@lru_cache(maxsize=64)
def _dumped(content: bytes) -> str:
    import yaml

    return json.dumps(yaml.safe_load(content))


def _loaded(content: bytes, yaml: Any) -> Any:
    return json.loads(_dumped(content))


def _json(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    return mutated_json(random, content)


def _npy(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    return mutated_npy(random, content)


def _bytes_or_text(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    return mutated_bytes(random, content, others) if random.random() < 0.5 else mutated_text(random, content)


def _member_of_artifact(random: Random, name: str, content: bytes) -> bytes:
    if name.endswith(".json"):
        return mutated_json(random, content)
    if name.endswith(".runs.npy") and random.random() < 0.3:
        return npy(np.array([[random.choice((0, 1, -5)), random.choice((0, 1, -1, 17, 2**20, 2**27, 2**62))]]))
    return mutated_npy(random, content)


def _member_of_checkpoint(random: Random, name: str, content: bytes) -> bytes:
    if name.endswith(".pkl") and random.random() < 0.3:
        made = random.choice(PICKLES)
        return made if random.random() < 0.5 else content[:2] + made + content[2:]
    return mutated_bytes(random, content)


def _member_of_recording(random: Random, name: str, content: bytes) -> bytes:
    if name == "snapshot.npz" and random.random() < 0.8:
        with contextlib.suppress(*DAMAGED_ARCHIVE):  # it was changed before
            return Archive(_member_of_snapshot)(random, content, ())
    return mutated_bytes(random, content)


def _member_of_snapshot(random: Random, name: str, content: bytes) -> bytes:
    if name == "said.npy" and random.random() < 0.8:
        text = np.load(io.BytesIO(content), allow_pickle=False).astype(np.uint8).tobytes()
        return npy(np.frombuffer(mutated_json(random, text), np.uint8).astype(np.int64))
    return mutated_npy(random, content)


# Artifacts


def _artifact_seeds(folder: Path) -> list[bytes]:
    from pisnn_deploy.graph.artifact import artifact_bytes
    from pisnn_deploy.project.compilation import compile_requested
    from pisnn_deploy.project.request import compile_request

    (folder / "plate.msh").write_bytes(_mesh_bytes(".msh", folder, 2, file_format="gmsh22"))
    asked: tuple[tuple[str, dict[str, Any]], ...] = (
        ("heat1d", {"mesh": "72"}),  # long enough for runs of equal numbers
        ("heat1d", {"mesh": "12", "boundary": "dirichlet=0,1", "coding": "dense"}),
        ("heat1d", {"mesh": "10", "profile": "loihi1"}),
        ("heat2d", {"mesh": "4x4", "boundary": "x=periodic y=dirichlet=0,1"}),
        ("heat2d", {"mesh": str(folder / "plate.msh"), "boundary": "left=dirichlet=1"}),
    )
    return [artifact_bytes(*compile_requested(compile_request(name, **options))) for name, options in asked]


def _parse_artifact(path: Path) -> None:
    """Read; what is accepted is shown, proved again, checked, and runs three PDE steps, whatever these find."""
    from pisnn_deploy.checks import check
    from pisnn_deploy.cli.commands.inspect import print_artifact
    from pisnn_deploy.core.printable import json_text
    from pisnn_deploy.graph.artifact import read_artifact
    from pisnn_deploy.project.graphs import require_compiled
    from pisnn_deploy.report.graph_text import dot_text
    from pisnn_deploy.runs import RunOptions, run_graph
    from pisnn_deploy.target import load_profile
    from pisnn_deploy.verify import check_certificate

    read = read_artifact(path)
    graph = read.graph
    require_printable(_printed(print_artifact, path, read) + dot_text(graph) + json_text(read.provenance))
    unproved = tuple(
        (finding.claim, finding.text) for finding in check_certificate(graph, read.altered) if not finding.holds
    )
    check(graph, _loihi2(load_profile), unproved)
    require_compiled(str(path), graph)  # a forger would seal it anew, so the seal saves nothing here
    run_graph("fast", graph, graph.initial, RunOptions(3))


def _printed(show: Callable[..., None], *arguments: object) -> str:
    heard = io.StringIO()
    with contextlib.redirect_stdout(heard):
        show(*arguments)
    return heard.getvalue()


def require_printable(text: str) -> None:
    """Fail if text would steer a terminal, or has a line that GitHub takes for a command."""
    for line in text.split("\n"):
        assert line.isprintable(), f"not printable: {ascii(line)[:100]}"
        assert not line.lstrip().startswith("::") and "##[" not in line, f"a command of a CI: {ascii(line)[:100]}"


# Names of files


def _name_seeds(folder: Path) -> list[bytes]:
    return [b"heat.pisnn", "W\u00e4rme [red]x[/red].pisnn".encode()]


def _mutated_name(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    name = content
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(name) + 1)
        text = random.choice((*TEXTS, "\n::error::x", "##[error]", "%0A", "\u202e", " " * 80 + "::error::y")).encode()
        name = name[:at] + random.choice((text, bytes([random.randrange(256)]))) + name[at:]
    return name


def _parse_name(path: Path) -> None:
    """A sound artifact of that name: whatever is printed of it is fit for a terminal and a CI."""
    from pisnn_deploy.checks.formats import FORMATS
    from pisnn_deploy.checks.outcome import Outcome
    from pisnn_deploy.checks.rules import RULES
    from pisnn_deploy.cli.console import print_json, print_table
    from pisnn_deploy.core.errors import FileError

    name = os.fsdecode(path.read_bytes()[:200].replace(b"/", b"").replace(b"\0", b"") or b"x")
    require_printable(_printed(print_table, name, [(name, name)], ("name", "name")))
    require_printable(_printed(print_json, {name: name}))
    require_printable(f"error: {FileError(name, f'has {name}', field=name)}")
    outcome = Outcome(PurePosixPath(name), _checked_once(), RULES)
    for form, write in FORMATS.items():
        text = write([outcome, outcome])
        text.encode()
        if form != "github":
            require_printable(text)
        for line in text.splitlines() if form == "github" else ():
            starts = ("::error file=", "::warning file=", "::notice file=", "checked ")
            assert line.isprintable() and line.startswith(starts)


@lru_cache(maxsize=1)
def _checked_once() -> Any:
    from pisnn_deploy.checks import check
    from pisnn_deploy.target import load_profile

    return check(_graph(), _loihi2(load_profile))


# Checkpoints


def _checkpoint_seeds(folder: Path) -> list[bytes]:
    return [(ROOT / "models" / name / "model.pt").read_bytes() for name in ZOO]


def _parse_checkpoint(path: Path) -> None:
    from pisnn_deploy.training.checkpoint import read_checkpoint

    read_checkpoint(path)


def _parse_checkpoint_and_compile(path: Path) -> None:
    from pisnn_deploy.project.compilation import compile_requested
    from pisnn_deploy.project.request import compile_request

    compile_requested(
        compile_request(str(path), mesh="16" if b"laplace" not in path.read_bytes() else "4x4", placement="none")
    )


def _state_seeds(folder: Path) -> list[bytes]:
    from pisnn_deploy.training import trainer

    class Enough(Exception):
        pass

    def stop(done: int, total: int, loss: float) -> None:
        if done == total - 1:
            raise Enough

    state = folder / "seed.state"
    with contextlib.suppress(Enough):
        trainer.train(_recipe(folder), state_path=state, on_epoch=stop)
    return [state.read_bytes()]


def _recipe(folder: Path) -> Any:
    from pisnn_deploy.training.recipe import read_recipe

    path = folder / "recipe.yaml"
    if not path.exists():
        path.write_text(_SMALL_RECIPE)
    return read_recipe(path)


_SMALL_RECIPE = """
model: {name: small, equation: diffusion, diffusivity: 0.01, problem: heat1d, lengths: [1.0], half_width: 2,
        weight_exponents: [7], diffusion_number: 0.4, operating_range: {lower: 0.0, upper: 2.0, slope: 7.0}}
training: {cells: 8, modes: 2, batch: 2, epochs: 26, horizons: [1], learning_rate: 0.01, quantised_from: 0.5}
"""


def _parse_state(path: Path) -> None:
    from pisnn_deploy.training.trainer import train

    train(_recipe(path.parent), resume=True, state_path=path)


# Text files


def _files(*patterns: str) -> Seeds:
    return lambda folder: [path.read_bytes() for pattern in patterns for path in sorted(ROOT.glob(pattern))]


def _given(*contents: bytes) -> Seeds:
    return lambda folder: contents


def _parse_profile(path: Path) -> None:
    from pisnn_deploy.target import load_profile

    load_profile(str(path))


def _parse_recipe(path: Path) -> None:
    from pisnn_deploy.training.recipe import read_recipe

    read_recipe(path)


def _parse_options(path: Path) -> None:
    from click import Context

    from pisnn_deploy.cli.config import defaults_of, read_config
    from pisnn_deploy.cli.main import group

    for name, options in read_config(path).items():
        command = group.get_command(Context(group), name)
        if command is not None:
            defaults_of(command, options, path, named=False)


def _parse_plan(path: Path) -> None:
    from pisnn_deploy.campaign.plan import read_plan

    read_plan(path)


_NONE = np.zeros(0, np.int64)


def _parse_boundary(path: Path) -> None:
    from pisnn_deploy.mesh.boundary import reservoir_values
    from pisnn_deploy.project.conditions import read_boundary

    boundary = read_boundary(str(path), 2)
    reservoir_values(boundary, [(_NONE, _NONE), (_NONE, np.arange(4))])


def _parse_groups(path: Path) -> None:
    from pisnn_deploy.project.conditions import read_groups

    read_groups(str(path), ("hole", "rim"))


def _parse_materials(path: Path) -> None:
    from pisnn_deploy.project.conditions import read_materials

    read_materials(path)


def _parse_field(path: Path) -> None:
    from pisnn_deploy.project.fields import read_field

    read_field(path, (4, 4))


def _field_seeds(folder: Path) -> list[bytes]:
    values = np.linspace(0.0, 1.0, MESH_CELLS).reshape(4, 4)
    kinds = ("<f8", ">f8", "<f4", "<f2", "<i8", "|u1")
    return [npy(values.astype(kind)) for kind in kinds] + [npy(np.asfortranarray(values))]


# Meshes


def _mesh_bytes(suffix: str, folder: Path, dims: int, **options: Any) -> bytes:
    import meshio

    axis = np.linspace(0.0, 1.0, 3)
    path = folder / f"seed{suffix}"
    if dims == 2:
        points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
        corner = [i * 3 + j for i in range(2) for j in range(2)]
        cells = np.array([t for k in corner for t in ((k, k + 3, k + 4), (k, k + 4, k + 1))])
        sides = np.array([[0, 1], [1, 2]])
        blocks = [("line", sides), ("triangle", cells)]
    else:
        points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], np.float64)
        blocks = [("triangle", np.array([[0, 1, 2]])), ("tetra", np.array([[0, 1, 2, 3], [1, 2, 3, 4]]))]
    if dims == 2 and suffix in (".msh", ".vtk", ".vtu"):
        points = np.column_stack([points, np.zeros(len(points))])
    groups = [np.ones(len(blocks[0][1]), np.int64), np.arange(len(blocks[1][1])) % 2 + 2]
    content: dict[str, Any] = {}
    if options.get("file_format") == "gmsh":  # of which meshio writes no groups
        blocks = blocks[1:]
    elif suffix == ".msh":
        content = {
            "cell_data": {"gmsh:physical": groups, "gmsh:geometrical": groups},
            "field_data": {"left": np.array([1, dims - 1]), "iron": np.array([2, dims]), "tin": np.array([3, dims])},
        }
    elif suffix == ".mesh":
        content = {"cell_data": {"medit:ref": groups}}
    elif suffix == ".inp":
        blocks = blocks[1:]
    meshio.Mesh(points, blocks, **content).write(path, **options)
    return path.read_bytes()


def _mesh_seeds(suffix: str, *options: dict[str, Any], more: Sequence[bytes] = ()) -> Seeds:
    return lambda folder: [
        *(_mesh_bytes(suffix, folder, dims, **arguments) for arguments in options for dims in (2, 3)),
        *more,
    ]


_GROUPED_MSH = b"""$MeshFormat
4.1 0 8
$EndMeshFormat
$PhysicalNames
3
1 1 "cold"
1 2 "all sides"
2 3 "plate"
$EndPhysicalNames
$Entities
1 2 1 0
1 0 0 0 0
1 0 0 0 1 0 0 2 1 2 2 1 -1
2 1 0 0 1 1 0 1 2 0
1 0 0 0 1 1 0 1 3 2 1 2
$EndEntities
$Nodes
2 4 1 9
1 1 1 2
1
9
0 0 0 0
1 0 0 1
2 1 0 2
3
4
1 1 0
0 1 0
$EndNodes
$Elements
3 4 1 4
1 1 1 1
1 1 9
1 2 1 1
2 9 3
2 1 2 2
3 1 9 3
4 1 3 4
$EndElements
"""
_GROUPED_INP = b"""*Part, name=plate
*Node, nset=all
1, 0., 0.
2, 1., 0.
3, 1., 1.
4, 0., 1.
*Element, type=DC2D3, elset=iron
1, 1, 2, 3
*Element, type=CPS3
2, 1, 3, 4
*Elset, elset=tin, generate
2, 2, 1
*End Part
*Assembly, name=a
*Instance, name=one, part=plate
0.5, 0., 0.
0., 0., 0., 0., 0., 1., 90.
*End Instance
*Elset, elset=low, instance=one
1
*Surface, type=ELEMENT, name=cold
low, S1
*End Assembly
*Solid Section, elset=iron, material=iron
"""


def _parse_mesh(path: Path) -> None:
    from pisnn_deploy.mesh import read_mesh_file

    read = read_mesh_file(path)
    read.with_reservoirs(read.group_names[:1])


_MESHES: tuple[tuple[str, tuple[dict[str, Any], ...], tuple[bytes, ...]], ...] = (
    (
        ".msh",
        tuple({"file_format": name, "binary": binary} for name in ("gmsh22", "gmsh") for binary in (False, True)),
        (_GROUPED_MSH,),
    ),
    (".vtk", ({"binary": False}, {"binary": True}), ()),
    (".vtu", ({"binary": False}, {"binary": True}), ()),
    (".inp", ({},), (_GROUPED_INP,)),
    (".mesh", ({},), ()),
)

# Reports and runs


@lru_cache(maxsize=1)
def _graph() -> Any:
    from pisnn_deploy.project.compilation import compile_requested
    from pisnn_deploy.project.request import compile_request

    return compile_requested(compile_request("heat1d", mesh="16", boundary="dirichlet=0,1"))[0]


def _report_seeds(folder: Path) -> list[bytes]:
    from pisnn_deploy.checks import RULES, check
    from pisnn_deploy.checks.formats import FORMATS
    from pisnn_deploy.checks.outcome import Outcome
    from pisnn_deploy.target import load_profile

    outcomes = [Outcome(Path("a"), check(_graph(), load_profile(name)), RULES, None) for name in ("loihi2", "loihi1")]
    return [FORMATS["json"](outcomes[:1]).encode(), FORMATS["json"](outcomes).encode()]


def _parse_report(path: Path) -> None:
    from pisnn_deploy.checks import check
    from pisnn_deploy.checks.baseline import Baseline
    from pisnn_deploy.target import load_profile

    old, report = Baseline(path), _checked(load_profile, check)
    for growth in old.growths(report.profile, report.resources, 5.0):
        json.dumps(growth.to_dict(), allow_nan=False)
        str(growth.message)


@lru_cache(maxsize=1)
def _checked(load_profile: Any, check: Any) -> Any:
    return check(_graph(), load_profile("loihi2"))


def _run_seeds(folder: Path) -> list[bytes]:
    events = dict.fromkeys(_graph().chain, 100)
    return [json.dumps({"verdict": "conserved", "steps": 20, "events": events, "mass": {"drift": 0}}).encode()]


def _parse_run(path: Path) -> None:
    from pisnn_deploy.checks import check
    from pisnn_deploy.estimates.activity import read_activity
    from pisnn_deploy.target import load_profile

    check(_graph(), _loihi2(load_profile), activity=read_activity(path, _graph()))


@lru_cache(maxsize=1)
def _loihi2(load_profile: Any) -> Any:
    return load_profile("loihi2")


def _recording_seeds(folder: Path) -> list[bytes]:
    from pisnn_deploy.runs import RunOptions, run_graph
    from pisnn_deploy.runs.recording import discard, recording

    seeds = []
    for until in (7, 20):
        with recording(folder / "seed", _graph(), _IDENTITY) as record:
            record.begin()
            run = run_graph("fast", _graph(), _graph().initial, RunOptions(20, 3, until=until))
            record.append(run.trace, 0, run.end, 0.5)
            seeds.append(zipped([(path.name, path.read_bytes()) for path in sorted((folder / "seed").iterdir())]))
            discard(folder / "seed")
    return seeds


_IDENTITY = {"steps": 20, "every": 3}


def _parse_recording(path: Path) -> None:
    """Unpack the folder (which is no product code) and go on with the run in it."""
    from pisnn_deploy.runs import RunOptions
    from pisnn_deploy.runs.recording import discard, recording
    from pisnn_deploy.runs.segments import run_in_segments

    folder = path.with_name("run.npz.partial")
    discard(folder)
    folder.mkdir(exist_ok=True)
    for name, content in _unpacked(path):
        (folder / name).write_bytes(content)
    with recording(folder, _graph(), _IDENTITY) as record:
        run_in_segments("fast", _graph(), _graph().initial, RunOptions(20, 3), record, resume=True)


def _unpacked(path: Path) -> list[tuple[str, bytes]]:
    try:
        members = members_of(path.read_bytes())
    except DAMAGED_ARCHIVE:
        return []
    return [(name, content) for name, content in members if re.fullmatch(r"[a-z_0-9.]{0,40}[a-z_0-9]", name)]


def _meshes() -> list[Parser]:
    return [
        Parser(
            f"mesh {suffix}",
            f"input{suffix}",
            _mesh_seeds(suffix, *options, more=more),
            _bytes_or_text,
            _parse_mesh,
            0.3,
        )
        for suffix, options, more in _MESHES
    ]


PARSERS: tuple[Parser, ...] = (
    Parser("artifact", "input.pisnn", _artifact_seeds, Archive(_member_of_artifact), _parse_artifact, 0.4),
    Parser("artifact, sealed again", "input.pisnn", _artifact_seeds, mutated_artifact, _parse_artifact, 0.7),
    Parser("name of a file", "input.txt", _name_seeds, _mutated_name, _parse_name, 0.3),
    Parser("checkpoint", "input.pt", _checkpoint_seeds, Archive(_member_of_checkpoint), _parse_checkpoint, 2.0),
    Parser("training state", "input.state", _state_seeds, Archive(_member_of_checkpoint), _parse_state, 0.04),
    Parser("profile", "input.yaml", _files("hardware_profiles/*.yaml"), _text, _parse_profile, 0.15),
    Parser("recipe", "input.yaml", _files("models/*/recipe.yaml"), _text, _parse_recipe, 0.3),
    Parser(
        "boundary",
        "input.yaml",
        _given(
            b"x: periodic\ny-: no-flux\ny+: {dirichlet: [0.5, 1, 2, 3]}\n",
            b"x: no-flux\ny-: no-flux\ny+: {dirichlet: 1}\n",
        ),
        _text,
        _parse_boundary,
        1.5,
    ),
    Parser("mesh groups", "input.yaml", _given(b"hole: {dirichlet: 1.5}\nrim: no-flux\n"), _text, _parse_groups, 1.5),
    Parser(
        "materials",
        "input.yaml",
        _given(b"default: {conductivity: 16.0, capacity: 3.8}\ntin: {conductivity: 67}\n"),
        _text,
        _parse_materials,
        1.5,
    ),
    Parser(
        "options",
        "pisnn.toml",
        _given(
            b'[compile]\nprofile = "loihi2"\nmesh = "64x64"\nslope = 2.5\nexplain = true\n',
            b'[check]\nprofile = ["loihi2", "loihi1"]\nignore = "PD105"\nmax-growth = 2\n\n[verify]\nquiet = false\n',
        ),
        _bytes_or_text,
        _parse_options,
    ),
    Parser(
        "plan of a campaign",
        "input.yaml",
        _given(b"models: [heat1d]\nmeshes: [16, 4x4]\nsteps: [2]\nbackends: [cpu]\ninitial: [random]\nseeds: [1, 2]\n"),
        _text,
        _parse_plan,
        0.5,
    ),
    Parser("initial field", "input.npy", _field_seeds, _npy, _parse_field, 3.0),
    *_meshes(),
    Parser("baseline report", "input.json", _report_seeds, _json, _parse_report, 1.0),
    Parser("result of a run", "input.json", _run_seeds, _json, _parse_run, 1.5),
    Parser("recording", "input.zip", _recording_seeds, Archive(_member_of_recording), _parse_recording, 0.5),
)
"""Every parser of untrusted files; another one is one more line."""
