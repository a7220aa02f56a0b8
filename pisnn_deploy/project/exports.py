"""Export models and artifacts to other formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pisnn_deploy.core.archive import zip_bytes
from pisnn_deploy.core.errors import CheckError, FileError, UsageError
from pisnn_deploy.core.optional import require
from pisnn_deploy.core.output import write_whole
from pisnn_deploy.formats.reading import Request
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.traits import SEEING, SEVERAL_FIELDS, refuse
from pisnn_deploy.physics.model import Model
from pisnn_deploy.project.graphs import read_graph
from pisnn_deploy.project.model_file import is_artifact, read_model
from pisnn_deploy.project.outputs import check_outputs
from pisnn_deploy.project.simulation import Source
from pisnn_deploy.target import Figure, load_profile
from pisnn_deploy.verify import check_certificate

Files = tuple[dict[str, bytes], dict[str, Any]]
"""Content of files by name, and facts for the user."""
ENDINGS = {
    "onnx": ".onnx",
    "netx": ".net",
    "nir": ".nir",
    "lava": "-lava",
    "c": "-c",
    "torch": "-torch",
    "verilog": "-verilog",
    "sanafe": "-sanafe",
}
"""Ending of the default output name, by format."""
SANAFE_PROFILE = "loihi1"
"""Profile whose public figures are the costs for SANA-FE: of messages on Loihi 2 there are none."""
STEPS = 10
"""PDE steps of a run whose spikes are exported, unless named."""
MOST_STEPS = 1 << 20


def export(
    name: str,
    source: Source | None,
    to: str,
    output: Path | None,
    *,
    loop: bool = False,
    serial: bool = False,
    streamed: bool = False,
    steps: int | None = None,
) -> dict[str, Any]:
    """Export a model or an artifact to another format.

    Parameters
    ----------
    name : str
        An artifact, a model's file or a model of the zoo.
    source : Source or None
        The artifact, if it was already read.
    to : str
        ``onnx``, ``netx``, ``nir``, ``lava``, ``c``, ``torch``, ``verilog`` or ``sanafe``.
    output : Path or None
        File to write (a folder or ``.zip`` for ``lava``, ``c``, ``torch``, ``verilog`` and ``sanafe``); by default in
        the current folder, named after the model.
    loop : bool
        Write an ONNX model that runs the number of PDE steps given as an input.
    serial : bool
        Write Verilog that runs the neurons one after the other.
    streamed : bool
        Write Verilog that streams the rows of a grid.
    steps : int or None
        PDE steps of the run whose spikes ``sanafe`` replays (default: 10).

    Returns
    -------
    dict
        Facts about what was written.

    Raises
    ------
    UsageError
        It cannot be read or written, or the format cannot hold it.
    """
    _require_options_of(to, loop=loop, serial=serial, streamed=streamed, steps=steps)
    named = Path(Path(name).name)
    path = output or named.with_name(f"{named.stem}{ENDINGS[to]}")

    def graph() -> Source:
        return read_graph(name) if source is None else source

    def graph_of_one_field() -> Source:
        read = graph()
        refuse(read.graph, f"export --to {to}", (SEVERAL_FIELDS, SEEING), "use `to` onnx")
        return read

    if to == "onnx":
        return _write_onnx(name, graph, path, loop)
    if to == "lava":
        return _write_files(name, "lava", path, lambda: _lava_files(graph_of_one_field()))
    if to == "c":
        return _write_files(name, "c", path, lambda: _c_files(graph()))
    if to == "verilog":
        return _write_files(name, "verilog", path, lambda: _verilog_files(graph(), serial, streamed))
    if to == "torch":
        return _write_files(name, "torch", path, lambda: _torch_files(graph()))
    if to == "sanafe":
        return _write_files(name, "sanafe", path, lambda: _sanafe_files(graph(), STEPS if steps is None else steps))
    check_outputs([path], [name])
    if source is None and not is_artifact(Path(name)):
        content, facts = exported_network(name, to)
    else:
        content, facts = graph_network(graph_of_one_field(), to)
    write_whole(path, content)
    return {"file": str(path), "format": to, "bytes": len(content), **facts}


def _require_options_of(to: str, *, loop: bool, serial: bool, streamed: bool, steps: int | None) -> None:
    """Refuse options that the format does not have."""
    if to not in ENDINGS:
        raise UsageError(f"`to` {to!r}: expected one of {', '.join(ENDINGS)}")
    if loop and to != "onnx":
        raise UsageError("`loop`: needs `to` onnx")
    if serial and to != "verilog":
        raise UsageError("`serial`: needs `to` verilog")
    if streamed and (to != "verilog" or serial):
        raise UsageError("`streamed`: needs `to` verilog, without `serial`")
    if steps is not None and to != "sanafe":
        raise UsageError("`steps`: needs `to` sanafe")
    if steps is not None and not 1 <= steps <= MOST_STEPS:
        raise UsageError(f"`steps` {steps}: expected 1 to {MOST_STEPS}")


def _write_onnx(name: str, graph: Callable[[], Source], path: Path, loop: bool) -> dict[str, Any]:
    require("export --to onnx", "onnx")
    from pisnn_deploy.formats.onnx.writer import run_model, step_model

    check_outputs([path], [name])
    read = graph()
    content = (run_model if loop else step_model)(read.graph, read.sha256).SerializeToString(deterministic=True)
    write_whole(path, content)
    return {"file": str(path), "format": "onnx", "bytes": len(content), "steps": "input" if loop else "one"}


def _lava_files(source: Source) -> Files:
    from pisnn_deploy.formats.lava.script import lava_files

    return lava_files(source.graph, source.sha256), {}


def _c_files(source: Source) -> Files:
    from pisnn_deploy.formats.c.plan import plan
    from pisnn_deploy.formats.c.writer import c_files, memory

    require_proved(source.graph)
    parts = plan(source.graph)
    return c_files(parts, source.sha256), memory(parts)


def _verilog_files(source: Source, is_serial: bool, is_streamed: bool) -> Files:
    from pisnn_deploy.formats.c.plan import plan
    from pisnn_deploy.formats.verilog.writer import layout_named, verilog_files

    require_proved(source.graph)
    layout = layout_named("streamed" if is_streamed else "serial" if is_serial else "parallel")
    return verilog_files(plan(source.graph), source.sha256, layout), {}


def _torch_files(source: Source) -> Files:
    from pisnn_deploy.formats.torch.writer import torch_files

    require_proved(source.graph)
    return torch_files(source.graph, source.sha256), {}


def _sanafe_files(source: Source, steps: int) -> Files:
    from pisnn_deploy.formats.sanafe.writer import COUNTS, Costs, Layout, require_text, sanafe_files
    from pisnn_deploy.project.spike_trains import spike_trains

    require_text(source.graph, steps)
    profile = load_profile(SANAFE_PROFILE)
    energy, time, chip = profile.energy, profile.time, profile.chip

    def cost(joules: Figure[float | None], seconds: Figure[float | None]) -> tuple[float, float]:
        return joules.value or 0.0, seconds.value or 0.0

    inactive = energy.neuron_update_inactive_pj.value or 0.0
    active, update = energy.neuron_update_active_pj.value or 0.0, time.neuron_update_ns
    idle = update.value if update.low is None else update.low
    costs = Costs(
        (inactive, idle or 0.0),
        (active - inactive, (update.value or 0.0) - (idle or 0.0)),
        cost(energy.synaptic_operation_pj, time.synaptic_operation_ns),
        cost(energy.message_out_pj, time.message_out_ns),
        cost(energy.message_in_pj, time.message_in_ns),
        cost(energy.hop_east_west_pj, time.hop_east_west_ns),
        cost(energy.hop_north_south_pj, time.hop_north_south_ns),
        time.barrier_ns.value or 0.0,
    )
    trains, run = spike_trains(source.graph, steps)
    files = sanafe_files(
        source.graph, trains, costs, Layout(chip.cores_per_router.value or 1, chip.router_columns.value or 1)
    )
    counts = json.loads(files[COUNTS])
    if counts["spikes"] != run.events:
        raise AssertionError(f"sanafe: {counts['spikes']} spikes written, the run has {run.events}")
    return files, {**counts, "spikes": sum(run.events.values()), "costs": SANAFE_PROFILE}


def require_proved(graph: IntegerGraph) -> None:
    """Refuse a graph whose claims do not hold: nothing else keeps values within the types that bounds choose."""
    failed = [finding for finding in check_certificate(graph) if not finding.holds]
    if failed:
        first = failed[0]
        raise CheckError(f"{graph.spec.name}: not exported, because verification fails: {first.claim}: {first.text}")


def _write_files(name: str, target: str, path: Path, files_of: Callable[[], Files]) -> dict[str, Any]:
    """Write files into a folder, new or with only files of these names, or into a zip."""
    if path.suffix == ".zip":
        check_outputs([path], [name])
        files, facts = files_of()
        content = zip_bytes(files)
        write_whole(path, content)
        return {"file": str(path), "format": target, "bytes": len(content), "files": sorted(files), **facts}
    if path.exists() and not path.is_dir():
        raise FileError(
            path, "cannot be written (Not a directory)", remedy="name a folder, or a file that ends in .zip"
        )
    if not path.is_dir():
        check_outputs([path], [name])
    files, facts = files_of()
    check_outputs([path / member for member in files] if path.is_dir() else [], [name])
    if path.is_dir() and {entry.name for entry in path.iterdir()} - files.keys():
        raise FileError(path, "cannot be written (Directory not empty)", remedy="name a new folder")
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise FileError(path, f"cannot be written ({error.strerror})") from error
    for member, content in files.items():
        write_whole(path / member, content)
    total = sum(map(len, files.values()))
    return {"folder": str(path), "format": target, "bytes": total, "files": sorted(files), **facts}


def exported_network(name_or_path: str, target: str) -> tuple[bytes, dict[str, object]]:
    """Convert a model or an artifact to another format.

    Parameters
    ----------
    name_or_path : str
        An artifact, a model's file or a model of the zoo.
    target : str
        ``netx`` or ``nir``.

    Returns
    -------
    facts : dict
        Facts for the user.

    Raises
    ------
    UsageError
        It cannot be read, or the format cannot hold it.
    """
    if is_artifact(Path(name_or_path)):
        return graph_network(read_graph(name_or_path), target)
    model = read_model(name_or_path, Request()).model
    if target == "nir":
        from pisnn_deploy.formats.nir.writer import network_file

        return network_file(model), {"holds": "the flux network of one face"}
    return _netx(model, is_integer=False)


def graph_network(source: Source, target: str) -> tuple[bytes, dict[str, object]]:
    """As `exported_network`, for an artifact that was already read."""
    from pisnn_deploy.formats.flux_model import model_of

    if target == "nir":
        from pisnn_deploy.formats.nir.writer import graph_file

        return graph_file(source.graph), {"holds": "the whole graph, one PDE step in each time step"}
    return _netx(model_of(source.graph), is_integer=True)


def _netx(model: Model, *, is_integer: bool) -> tuple[bytes, dict[str, object]]:
    from pisnn_deploy.formats.netx.writer import LARGEST_MANTISSA, clipped_layers, netx_file

    clipped = ", ".join(str(number) for number in clipped_layers(model))
    fits = f"no: mantissas beyond {LARGEST_MANTISSA} in layer {clipped}, which netx clips" if clipped else "yes"
    return netx_file(model, is_integer=is_integer), {
        "holds": "the flux network of one face",
        "netx keeps the weights": fits,
    }
