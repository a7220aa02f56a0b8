"""The typed intermediate representation and the artifact that holds it."""

from pisnn_deploy.graph.cell_graph import CellGraph
from pisnn_deploy.graph.claims import Certificate, Claim
from pisnn_deploy.graph.floating import FloatGraph, FloatLayer
from pisnn_deploy.graph.integer import (
    Bound,
    Channels,
    Field,
    IntegerGraph,
    IntegerLayer,
    OperatingWindow,
    PassRecord,
    Placement,
    Population,
    Quantisation,
    Synapse,
)
from pisnn_deploy.graph.two_point import MultiPointGraph, TwoPointGraph

__all__ = [
    "Bound",
    "CellGraph",
    "Certificate",
    "Channels",
    "Claim",
    "Field",
    "FloatGraph",
    "FloatLayer",
    "IntegerGraph",
    "IntegerLayer",
    "MultiPointGraph",
    "OperatingWindow",
    "PassRecord",
    "Placement",
    "Population",
    "Quantisation",
    "Synapse",
    "TwoPointGraph",
]
