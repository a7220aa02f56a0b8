"""Functions that run PDE steps: the nodes in their order, the end of a step, and the meeting of threads.

A step has rounds. In a round each thread runs its items, ranges of tiles of nodes, one after the other; then threads
wait for each other. The first thread ends the step: it adds up the results of all, compares the sums that must not
change, and swaps the arrays of doubled buffers. Where some neurons are copies whose spikes and packets do not count,
each thread has a second row of results for their tiles; these rows follow those of all threads.

A sweep has the rounds of several steps in one pass. Each step has a list of addresses of its own, in which the arrays
of doubled buffers are swapped as its place in the sweep asks for, and results of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pisnn_deploy.runs.kernels.ir import LONG, Function, Value, number
from pisnn_deploy.runs.kernels.loops import POINTERS, function_name
from pisnn_deploy.runs.kernels.network import FLAGS, QUANTA, Network, Results

COUNTERS, RESULTS, ITEMS, ROUNDS, MEETING, FIRST_BUFFER = range(6)
"""First places in the list of addresses; the rest are arrays of nodes."""
NODE, FIRST, LAST, IS_SENT, STEP, ROW, COLUMNS = range(7)
"""Columns of the table of items."""
FLAG_GLOBAL, FLAG_LOCAL, FLAG_FLUX, FLAG_WIDTH, FLAG_RANGE, FLAG_CHAIN = 1, 2, 4, 8, 16, 32
FLAG_NAMES = ("global", "local", "flux", "width", "range", "state changed between steps")
"""Names of the flags, from the lowest bit."""
SPINS = 256
"""Looks at a counter before a waiting thread gives way to others."""


def counters_size(results: Results) -> int:
    """Number of counters: one for each result, the sum of each set of fields, and the quanta of the last step."""
    return results.size + len(results.masses) + 1


def step_functions(network: Network, swapped: Sequence[tuple[int, int]], *, has_copies: bool = False) -> str:
    """Return the text of the functions.

    Parameters
    ----------
    swapped : sequence of (int, int)
        Places of the two arrays of each doubled buffer.
    has_copies : bool
        Whether some tiles do not count.
    """
    settle = _settle(network.results, has_copies=has_copies)
    return "\n".join([settle, _swap(swapped), _meet(), _advance(network), _sweep(network), _respond(network)])


def _settle(results: Results, *, has_copies: bool) -> str:
    code = Function("settle", f"ptr {POINTERS}, i64 %shares")
    counters, rows = code.pointer(POINTERS, COUNTERS), code.pointer(POINTERS, RESULTS)
    count = Value("%shares", LONG)
    if has_copies:
        with code.loop(count) as share:
            row = code.times(code.add(share, count, LONG), results.size, LONG)
            for added in results.counts:
                code.store(code.at(rows, LONG, code.add(row, number(added), LONG)), number(0), LONG)
        count = code.add(count, count, LONG)

    def place(base: str, index: int) -> str:
        return code.at(base, LONG, number(index))

    with code.loop(number(results.size)) as result:
        total = code.local(LONG)
        code.store(total, number(0), LONG)
        with code.loop(count) as share:
            each = code.at(rows, LONG, code.add(code.times(share, results.size, LONG), result, LONG))
            value = code.load(each, LONG)
            summed = code.both("or", code.load(total, LONG), value, LONG)
            is_flags = code.compare("eq", result, number(FLAGS))
            code.store(total, code.choose(is_flags, summed, code.add(code.load(total, LONG), value, LONG), LONG), LONG)
            code.store(each, number(0), LONG)
        # The first row holds the totals until the end of this function.
        code.store(code.at(rows, LONG, result), code.load(total, LONG), LONG)
    flags = code.load(place(rows, FLAGS), LONG)
    for at, fields in enumerate(results.masses):
        total_mass = number(0)
        for field in fields:
            total_mass = code.add(total_mass, code.load(place(rows, field), LONG), LONG)
        wrong = code.compare("ne", total_mass, code.load(place(counters, results.size + at), LONG))
        flags = code.both("or", flags, code.choose(wrong, number(FLAG_GLOBAL), number(0), LONG), LONG)
    for chain in results.chains:
        wrong = code.compare("ne", code.load(place(rows, chain), LONG), code.load(place(counters, chain), LONG))
        flags = code.both("or", flags, code.choose(wrong, number(FLAG_CHAIN), number(0), LONG), LONG)
        code.store(place(counters, chain), code.load(place(rows, chain + 1), LONG), LONG)
    for added in results.counts:
        counter = place(counters, added)
        code.store(counter, code.add(code.load(counter, LONG), code.load(place(rows, added), LONG), LONG), LONG)
    code.store(place(counters, results.size + len(results.masses)), code.load(place(rows, QUANTA), LONG), LONG)
    code.store(place(counters, FLAGS), flags, LONG)
    with code.loop(number(results.size)) as result:
        code.store(code.at(rows, LONG, result), number(0), LONG)
    code.line("ret void")
    return code.text()


def _swap(swapped: Sequence[tuple[int, int]]) -> str:
    code = Function("swap", f"ptr {POINTERS}")
    for now, new in swapped:
        first, second = (code.set(f"getelementptr inbounds ptr, ptr {POINTERS}, i64 {at}") for at in (now, new))
        old, young = code.set(f"load ptr, ptr {first}"), code.set(f"load ptr, ptr {second}")
        code.line(f"store ptr {young}, ptr {first}")
        code.line(f"store ptr {old}, ptr {second}")
    code.line("ret void")
    return code.text()


def _meet() -> str:
    """Text of a function in which all threads wait for the last one: a counter, and the number of meetings so far."""
    # Windows has no such function, so threads only look again there.
    is_posix = os.name == "posix"
    gives_way = "  %given = call i32 @sched_yield()" if is_posix else ""
    declared = "declare i32 @sched_yield()" if is_posix else ""
    return f"""define internal void @meet(ptr {POINTERS}, i64 %shares) noinline {{
entry:
  %alone = icmp eq i64 %shares, 1
  br i1 %alone, label %done, label %come
come:
  %place = getelementptr inbounds ptr, ptr {POINTERS}, i64 {MEETING}
  %counter = load ptr, ptr %place
  %meetings = getelementptr inbounds i64, ptr %counter, i64 8
  %before = load atomic i64, ptr %meetings acquire, align 8
  %others = atomicrmw add ptr %counter, i64 1 acq_rel
  %missing = sub i64 %shares, %others
  %last = icmp eq i64 %missing, 1
  br i1 %last, label %open, label %wait
open:
  store atomic i64 0, ptr %counter release, align 8
  %opened = atomicrmw add ptr %meetings, i64 1 acq_rel
  br label %done
wait:
  %looks = phi i64 [0, %come], [%more, %again], [0, %give]
  %now = load atomic i64, ptr %meetings acquire, align 8
  %waits = icmp eq i64 %now, %before
  br i1 %waits, label %again, label %done
again:
  %more = add i64 %looks, 1
  %tired = icmp sgt i64 %more, {SPINS}
  br i1 %tired, label %give, label %wait
give:
{gives_way}
  br label %wait
done:
  ret void
}}
{declared}
"""


def _advance(network: Network) -> str:
    arguments = f"ptr {POINTERS}, i64 %share, i64 %shares, i64 %rounds, i64 %steps, i64 %ends"
    code = Function("advance", arguments, "i64", is_entry=True)
    steps = Value("%steps", LONG)
    own = _own_results(code, POINTERS, network)
    final = code.sub(steps, number(1), LONG)
    with code.loop(steps) as step:
        is_last = code.both("and", code.truth(code.compare("eq", step, final), LONG), Value("%ends", LONG), LONG)
        _rounds(code, lambda items, place: _item(code, network, items, place, is_last, (POINTERS, own)))
        with _first_thread(code):
            code.line(f"call void @settle(ptr {POINTERS}, i64 %shares)")
            code.line(f"call void @swap(ptr {POINTERS})")
        _stop_at_flags(code, step)
    code.line("ret i64 %steps")
    return code.text()


def _sweep(network: Network) -> str:
    """Text of a function that runs sweeps and returns their number; its first argument is a list of lists."""
    arguments = "ptr %lists, i64 %share, i64 %shares, i64 %rounds, i64 %sweeps, i64 %steps"
    code = Function("sweep", arguments, "i64", is_entry=True)
    code.opening.append(f"  {POINTERS} = load ptr, ptr %lists")

    def list_of(step: Value) -> str:
        place = code.set(f"getelementptr inbounds ptr, ptr %lists, i64 {step.text}")
        return code.set(f"load ptr, ptr {place}")

    def run(items: str, place: Value) -> None:
        row = code.at(items, LONG, code.times(place, COLUMNS, LONG))
        addresses = list_of(code.load(code.at(row, LONG, number(STEP)), LONG))
        _item(code, network, items, place, number(0), (addresses, _own_results(code, addresses, network)))

    with code.loop(Value("%sweeps", LONG)) as sweep:
        _rounds(code, run)
        with _first_thread(code):
            counter = code.at(code.pointer(POINTERS, COUNTERS), LONG, number(FLAGS))
            flags = code.local(LONG)
            code.store(flags, number(0), LONG)
            with code.loop(Value("%steps", LONG)) as step:
                code.line(f"call void @settle(ptr {list_of(step)}, i64 %shares)")
                raised = code.both("or", code.load(flags, LONG), code.load(counter, LONG), LONG)
                code.store(flags, raised, LONG)
            code.store(counter, code.load(flags, LONG), LONG)
        _stop_at_flags(code, sweep)
    code.line("ret i64 %sweeps")
    return code.text()


def _own_results(code: Function, addresses: str, network: Network) -> str:
    """Address of the results of this thread."""
    place = code.set(f"getelementptr inbounds ptr, ptr {addresses}, i64 {RESULTS}")
    rows = code.set(f"load ptr, ptr {place}")
    return code.at(rows, LONG, code.times(Value("%share", LONG), network.results.size, LONG))


def _rounds(code: Function, run: Callable[[str, Value], None]) -> None:
    """Run the items of this thread, round by round; `run` takes the table of items and the place in it."""
    rounds = Value("%rounds", LONG)
    items, starts = code.pointer(POINTERS, ITEMS), code.pointer(POINTERS, ROUNDS)
    with code.loop(rounds) as turn:
        at = code.add(code.both("mul", Value("%share", LONG), rounds, LONG), turn, LONG)
        begin = code.load(code.at(starts, LONG, at), LONG)
        end = code.load(code.at(starts, LONG, code.add(at, number(1), LONG)), LONG)
        count = code.sub(end, begin, LONG)
        some, nothing = f"some{code.name()}", f"nothing{code.name()}"
        code.branch(code.compare("sgt", count, number(0)), some, nothing)
        code.label(some)
        with code.loop(count) as place:
            run(items, code.add(begin, place, LONG))
        code.jump(nothing)
        code.label(nothing)
        code.line(f"call void @meet(ptr {POINTERS}, i64 %shares)")


@contextmanager
def _first_thread(code: Function) -> Iterator[None]:
    """Run the lines written within the context on the first thread; then all go on together."""
    settles, settled = f"settles{code.name()}", f"settled{code.name()}"
    code.branch(code.compare("eq", Value("%share", LONG), number(0)), settles, settled)
    code.label(settles)
    yield
    code.jump(settled)
    code.label(settled)
    code.line(f"call void @meet(ptr {POINTERS}, i64 %shares)")


def _stop_at_flags(code: Function, turn: Value) -> None:
    """Return the number of turns so far if a flag is set."""
    counters = code.pointer(POINTERS, COUNTERS)
    stops, goes_on = f"stops{code.name()}", f"goes{code.name()}"
    flags = code.load(code.at(counters, LONG, number(FLAGS)), LONG)
    code.branch(code.compare("ne", flags, number(0)), stops, goes_on)
    code.label(stops)
    done = code.add(turn, number(1), LONG)
    code.line(f"ret i64 {done.text}")
    code.label(goes_on)


def _respond(network: Network) -> str:
    """Text of a function that runs items outside of a step and forgets their results."""
    code = Function("respond", f"ptr {POINTERS}, i64 %first, i64 %count", "i64", is_entry=True)
    rows, items = code.pointer(POINTERS, RESULTS), code.pointer(POINTERS, ITEMS)
    with code.loop(Value("%count", LONG)) as place:
        at = code.add(Value("%first", LONG), place, LONG)
        _item(code, network, items, at, number(0), (POINTERS, rows))
    with code.loop(number(network.results.size)) as result:
        code.store(code.at(rows, LONG, result), number(0), LONG)
    code.line("ret i64 0")
    return code.text()


def _item(
    code: Function, network: Network, items: str, place: Value, is_last: Value, arguments: tuple[str, str]
) -> None:
    """Run an item.

    Parameters
    ----------
    arguments : tuple of str
        List of addresses, and first row of results of this thread, of its step.
    """
    addresses, results = arguments
    row = code.at(items, LONG, code.times(place, COLUMNS, LONG))
    further = code.load(code.at(row, LONG, number(ROW)), LONG)
    results = code.at(results, LONG, code.times(further, network.results.size, LONG))
    columns = NODE, FIRST, LAST, IS_SENT
    node, first, last, is_sent = (code.load(code.at(row, LONG, number(column)), LONG) for column in columns)
    runs, done = f"runs{code.name()}", f"ran{code.name()}"
    code.branch(code.compare("eq", code.both("and", is_sent, is_last, LONG), number(0)), runs, done)
    code.label(runs)
    labels = [f"node{code.name()}" for _ in network.nodes]
    cases = " ".join(f"i64 {at}, label %{label}" for at, label in enumerate(labels))
    code.line(f"switch i64 {node.text}, label %{done} [ {cases} ]")
    for each, label in zip(network.nodes, labels, strict=True):
        code.label(label)
        tiles = f"i64 {first.text}, i64 {last.text}"
        code.line(f"call void @{function_name(each)}(ptr {addresses}, ptr {results}, {tiles})")
        code.jump(done)
    code.label(done)
