"""What ``export`` writes for formats that hold a flux network."""

from __future__ import annotations

from pathlib import Path

from pisnn_deploy.formats.reading import Request
from pisnn_deploy.project.graphs import read_graph
from pisnn_deploy.project.model_file import is_artifact, read_model


def exported_network(name_or_path: str, target: str) -> tuple[bytes, dict[str, object]]:
    """A model or an artifact in the format of others.

    Parameters
    ----------
    name_or_path : str
        An artifact, a model's file or a model of the zoo.
    target : str
        ``netx`` or ``nir``.

    Returns
    -------
    content : bytes
    facts : dict
        What to tell of it.

    Raises
    ------
    UsageError
        It cannot be read, or the format cannot hold it.
    """
    from pisnn_deploy.formats.flux_model import model_of

    if is_artifact(Path(name_or_path)):
        graph = read_graph(name_or_path).graph
        if target == "nir":
            from pisnn_deploy.formats.nir.writer import graph_file

            return graph_file(graph), {"holds": "the whole graph, one PDE step in each time step"}
        model = model_of(graph)
        is_integer = True
    else:
        is_integer = False
        model = read_model(name_or_path, Request()).model
    if target == "nir":
        from pisnn_deploy.formats.nir.writer import network_file

        return network_file(model), {"holds": "the flux network of one face"}
    from pisnn_deploy.formats.netx.writer import LARGEST_MANTISSA, clipped_layers, netx_file

    clipped = ", ".join(str(number) for number in clipped_layers(model))
    fits = f"no: mantissas beyond {LARGEST_MANTISSA} in layer {clipped}, which netx clips" if clipped else "yes"
    return netx_file(model, is_integer=is_integer), {
        "holds": "the flux network of one face",
        "netx keeps the weights": fits,
    }
