"""The loops of a PDE step of any graph, in the order in which they run.

A step begins with the channels: the populations between holders and channels have answered the masses at the end of the
step before, so that what they send is counted with the masses that they hear.
"""

from __future__ import annotations

from pisnn_deploy.graph.columns import columns_of
from pisnn_deploy.graph.integer import IntegerGraph
from pisnn_deploy.graph.populations import Population
from pisnn_deploy.runs.kernels.channels import asking_node, channel_node, slope_nodes
from pisnn_deploy.runs.kernels.draft import Draft, UnservedError, ports_of, sent_of, tables_of
from pisnn_deploy.runs.kernels.holders import add_masses, holder_nodes
from pisnn_deploy.runs.kernels.limiter_audit import limiter_audits
from pisnn_deploy.runs.kernels.network import Network, Node, Part, Results
from pisnn_deploy.runs.kernels.turns import Turn


def network_of(graph: IntegerGraph, *, audited: bool = True) -> Network:
    """Return the loops of a PDE step.

    Parameters
    ----------
    graph : IntegerGraph
        A fully compiled graph.
    audited : bool
        Whether to audit; False only to measure what the audit costs.

    Raises
    ------
    UnservedError
        If kernels do not support the graph.
    """
    draft = Draft(graph, audited=audited)
    facts_of = {facts.population: facts for facts in draft.channels}
    if len(facts_of) < len(draft.channels):
        raise UnservedError("a population sends packets at two outputs")
    for field in draft.fields:
        add_masses(draft, field)
    between = {population.name for population in graph.between_fields}
    answering = [population for population in draft.answering() if population.name in between]
    responses = [_answering_node(draft, population, is_sent=True) for population in answering]
    nodes: list[Node] = []
    asked: set[str] = set()
    for population in draft.answering():
        if population.name in graph.order.answers:
            heard = {synapse.source for synapse in graph.synapses if synapse.target == population.name}
            for name in sorted(heard.intersection(graph.order.asking) - asked):
                asked.add(name)
                nodes.append(asking_node(draft, name, graph.order.asking[name]))
            nodes.append(_answering_node(draft, population, is_sent=False))
        elif population.name not in between:
            nodes.append(channel_node(draft, facts_of[population.name]))
    for channels in draft.channels:
        nodes += limiter_audits(draft, channels)
    for field in draft.fields:
        nodes += holder_nodes(draft, field)
    for channels in draft.channels if audited else ():
        nodes += slope_nodes(draft, channels)
    joined = tuple(tuple(draft.masses[field.name] for field in fields) for fields in columns_of(graph).joined)
    # In the order in which the states of a run are loaded, which is not that in which channels run.
    states = ((name, state) for name in facts_of for state in graph.population(name).program.states)
    chains = tuple(draft.chains[key] for key in states) if audited else ()
    results = Results(draft.spikes, joined if audited else (), chains, draft.size)
    return Network(draft.buffers, (*nodes, *responses), results, draft.places)


def _answering_node(draft: Draft, population: Population, *, is_sent: bool) -> Node:
    """A population that neither holds mass nor carries packets.

    Parameters
    ----------
    is_sent : bool
        Whether it hears the masses after the step, for the next one.
    """
    program = population.program
    sums, constants = draft.renumbered(population, draft.heard(population, is_new=is_sent))
    words = draft.words(population, sums)
    own = list(draft.add_states(population, words))
    for output, value in enumerate(program.sends):
        own.append(draft.add(sent_of(population.name, output), population.size, words.bounds[value]))

    def answer(turn: Turn) -> None:
        values = draft.run(turn, population, words, draft.before(turn, population))
        for output, value in enumerate(program.sends):
            buffer = sent_of(population.name, output)
            if draft.is_heard(population, output):
                changes = is_sent and draft.is_delta
                draft.count(turn, population, values[value], turn.read(buffer) if changes else None)
            turn.write(buffer, values[value])

    parts, name = (Part(ports_of(sums), answer),), population.name
    return Node(name, population.size, sums, parts, constants, tuple(own), tables_of(program), is_sent, name)
