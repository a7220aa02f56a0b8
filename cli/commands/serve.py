"""``pisnn-deploy serve``."""

from __future__ import annotations

import threading
from contextlib import closing

import click

from pisnn_deploy.cli.console import print_json, print_line
from pisnn_deploy.cli.messages import print_message
from pisnn_deploy.cli.options import HELP, JSON
from pisnn_deploy.live.player import FASTEST, Player
from pisnn_deploy.live.server import LiveServer, require_free, serving
from pisnn_deploy.live.session import Session
from pisnn_deploy.project.graphs import read_graph
from pisnn_deploy.project.simulate_request import simulate_request
from pisnn_deploy.project.starting import initial_mass


@click.command("serve", context_settings=HELP)
@click.argument("artifact", default="heat1d")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="Port on 127.0.0.1; 0 takes a free one.",
)
@click.option(
    "--backend",
    type=click.Choice(["fast"]),
    default="fast",
    show_default=True,
    help="What runs the graph; the others cannot pause after every PDE step.",
)
@click.option(
    "--initial",
    metavar="NAME|FILE|EXPRESSION",
    help="Initial condition, as of simulate (default: the problem's own).",
)
@click.option(
    "--speed",
    type=click.FloatRange(0.1, FASTEST),
    default=100.0,
    show_default=True,
    metavar="STEPS",
    help="PDE steps per second at first.",
)
@JSON
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but the address.")
def command(
    artifact: str, port: int, backend: str, initial: str | None, speed: float, as_json: bool, quiet: bool
) -> None:
    """Watch and steer a run of ARTIFACT (.pisnn) or a model of the zoo (default: heat1d) in a browser.

    \b
    Examples:
      pisnn-deploy serve
      pisnn-deploy serve heat.pisnn --port 8000
      pisnn-deploy serve heat2d --speed 1000

    Prints the address of a page on this machine: field, balance, spikes and widths while it runs; run, pause, step,
    speed, reset; and faults to inject. Whoever has the address can steer the run; other machines cannot reach it.
    Ctrl-C ends it.
    """
    require_free(port)
    source = read_graph(artifact)
    mass, _ = initial_mass(source.graph, simulate_request(initial=initial).length.initial)
    player = Player(Session(source.graph, mass), speed)
    with closing(player), serving(LiveServer(player, port)) as server:
        if as_json:
            print_json({"address": server.address, "port": server.port})
        else:
            print_line(server.address)
            if not quiet:
                print_message(f"{source.graph.spec.name}: open the address in a browser; Ctrl-C ends the server")
        threading.Event().wait()
