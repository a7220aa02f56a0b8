"""Proves the claims of an artifact from its file alone, with integers and the standard library of Python 3.8 or newer.

``python checker.py model.pisnn`` (`one_file` writes that file) exits with 0 if the artifact is *accepted*, with 1 if a
claim is wrong, with 2 if the file is damaged, and lists what it did not prove. Accepted means that all of these hold:

1. *Seal*: each member is in the file once, stored, and has the hash that ``certificate.json`` or ``seal.json`` says.
2. *Holders*: the program of each field's holders is ``m + arrival``, kept and sent, and nothing else.
3. *Routes*: only packets of channels arrive at holders. By the weights that the target stores, each packet of a channel
   with ends ``s`` and ``t`` enters ``t`` with +1 and ``s`` with -1, and no other holder. So whatever programs the
   channels have, the total of each set of joined holders never changes (``conserves`` in ``proofs/``).
4. *Widths*: assume that states and fields are within their bounds and windows, and currents within the window's limit,
   as runs check. Then in the next step every value of every program fits 64 bits, and every value, payload, product
   and partial sum is within its bound, and that within its bits. As states start at 0, this holds in every step.
5. *Claims*: ``conservation`` and ``overflow`` have the figures of the graph.

What is printed as not proved is excepted, and assumed by the rest. Neurons with equal rows, inputs and parameters are
one class, which is examined once.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections import Counter
from itertools import repeat
from operator import itemgetter
from typing import Any

from pisnn_deploy.verify.plain_artifact import PlainArtifact, Program, Refused, intervals, joined, need, numbering

UNBOUND = re.compile(
    "arrival|(mass|current|residue)_before|size|kept_size|kept|fired|is_sent|raised|next_current|positive|correct(ion|ed)"
)
"""Values that need no bound (docs/reference/artifact.md)."""
PROVED = "seal, holders, routes, widths, figures of conservation and overflow"
PARTS, FAR = ("status", "method", "figures"), 1 << 64


def dashed(value: Any) -> Any:
    """Return the name of the quantity of a value of a program."""
    return value.replace("_", "-")


class Kernel:
    """Proves the claims of an artifact; `left` is what it leaves out."""

    def __init__(self, path: Any) -> None:
        self.file, self.is_loose = PlainArtifact(path), False
        self.left: list[str] = []
        self.assumed: set[str] = set()  # holders whose payload is left out
        self.sent: dict[Any, Any] = {}
        self.payloads: dict[Any, Any] = {}
        self.programs = {name: Program(p["program"]) for name, p in self.file.populations.items()}
        self.others: dict[str, Any] = {}  # synapses to other neurons than holders, by their source
        for s in self.file.synapses.values():
            self.others.setdefault(s["source"], []).extend([s] * (s["target"] not in self.file.fields))
        self.firing = {name for name, _ in self.file.channels}
        asked = {s["target"] for s in self.file.synapses.values() if s["source"] in self.firing}
        self.answers = asked - {*self.file.fields, *self.firing}
        for s in self.file.synapses.values():
            is_sent = 0 <= s["output"] < len(self.programs[s["source"]].sends)
            need(is_sent and s["port"] in self.programs[s["target"]].ports, f"{s['name']} joins nothing")
        self.mantissas = {name: self.file.weights(s) for name, s in self.file.synapses.items()}
        self.routes()
        self.widths()
        self.claims(self.file.claims)

    def routes(self) -> None:
        """Prove that holders only add, and that packets go from one end of their channel to the other."""
        ends = {(*key, c[end]) for key, c in self.file.channels.items() for end in ("source_holder", "target_holder")}
        routes = [s for s in self.file.synapses.values() if s["target"] in self.file.fields]
        for s in routes:
            key = s["source"], s["output"], s["target"]
            need(key in ends, f"conservation: {s['name']} brings holders something else than packets", 1)
        for holder in self.file.fields:
            need(self.programs[holder].is_holder(), f"conservation: {holder} does more than add what arrives", 1)
        self.ends: dict[Any, Any] = {}
        for (name, output), c in self.file.channels.items():
            size, of_mesh = self.file.size(name), c["source"] is None and c["target"] is None
            self.ends[name, output] = source, target = [
                mesh if c[end] is None else self.file.numbers(c[end], size)
                for end, mesh in (("source", self.file.source), ("target", self.file.target))
            ]
            need(len(source) == len(target) == size, f"the channels of {name} are not the faces of the mesh")
            loops = [c["source_holder"] == c["target_holder"] and s == t for s, t in zip(source, target)]
            missing = {1: bytearray(not loop for loop in loops), -1: bytearray(not loop for loop in loops)}
            for s in [s for s in routes if (s["source"], s["output"]) == (name, output)]:
                self.route(s, c, of_mesh, {1: target, -1: source}, missing)
            lost = max(missing[1].find(1), missing[-1].find(1))
            need(lost < 0, f"conservation: a packet of {name} [{lost}] does not reach both its ends", 1)

    def route(self, s: Any, c: Any, of_mesh: Any, ends: Any, missing: Any) -> None:
        """Cross out the packets that a synapse brings to an end of their channel, by its sign."""
        holders = {1: c["target_holder"], -1: c["source_holder"]}
        unit = 1 << -s["exponent"] if s["exponent"] <= 0 else 0
        if s["kind"] == "incidence" and of_mesh and holders[1] == holders[-1]:
            is_unit = list(self.file.numbers(s["parts"]["mantissas"], 1)) == [unit]
            inside = 0 <= min(map(min, ends.values())) <= max(map(max, ends.values())) < self.file.size(s["target"])
            whole = missing[1] == missing[-1] == bytearray(a != b for a, b in zip(ends[-1], ends[1]))
            need(is_unit and inside and whole, f"conservation: {s['name']} does not bring packets as they are", 1)
            missing.update({sign: bytearray(len(marks)) for sign, marks in missing.items()})
            return
        for holder, row in enumerate(self.file.rows(s)):
            for channel, value in zip(*row):
                sign = 1 if value > 0 else -1
                is_end = value == sign * unit and holders[sign] == s["target"] and ends[sign][channel] == holder
                text = f"conservation: a packet of {s['source']} [{channel}] comes to {s['target']} [{holder}]"
                need(is_end and missing[sign][channel], f"{text}, where its channel does not end", 1)
                missing[sign][channel] = 0

    def heard(self, source: Any, output: Any, target: Any) -> Any:
        """Return the class of each neuron by what it sends, and (low, high, divisor) of each class."""
        if source in self.file.fields:
            kinds, volumes = joined([self.file.volumes[source]], self.file.cells)
            window = self.file.fields[source]["window"]
            return kinds, [(window["lower"], window["upper"], volume) for (volume,) in volumes]
        if source not in self.firing:
            return self.sent[source, output]
        name = self.programs[source].sends[output]
        need((source, dashed(name)) in self.file.bounds, f"widths: {source} {dashed(name)} has no bound", 1)
        known = source != target or name in self.programs[source].after.values()
        need(known, "a population hears a value of itself that is no state")
        return repeat(0), [(*self.file.bounds[source, dashed(name)], 1)]

    def sums(self, source: Any, output: Any, group: Any) -> Any:
        """Return the class of each target neuron by the sum of some synapses, and the interval of each class."""
        kinds, spans = self.heard(source, output, group[0]["target"])
        difference = self.file.fields[source]["window"]["difference"] if source in self.file.fields else None
        is_stencil, result = group[0]["kind"] == "stencil", []
        table = numbering()
        need(len(spans) == 1 or not is_stencil, f"{group[0]['name']} is a stencil of cells that differ")
        if len(spans) == 1 and not is_stencil:
            values = map(itemgetter(1), self.file.added(group)) if len(group) > 1 else self.file.mantissas(group[0])
            keys: Any = zip(repeat(()), values)
        else:
            keys = self.file.added(group) if len(group) > 1 else self.file.rows(group[0])
            if not is_stencil:
                keys = ((tuple([kinds[n] for n in places]), values) for places, values in keys)
        ids = array("q", map(table.__getitem__, keys))
        need(len(ids) == self.file.size(group[0]["target"]), f"{group[0]['name']} has another size than its target")
        exponent = group[0]["exponent"] if len(group) == 1 else 0
        for places, values in table:
            weights = [value << exponent if exponent > 0 else value >> -exponent for value in values]
            ends = spans * len(values) if len(spans) == 1 else [spans[place] for place in places]
            low = sum(min(w * a, w * b) // v for w, (a, b, v) in zip(weights, ends))
            high = sum(-(-max(w * a, w * b) // v) for w, (a, b, v) in zip(weights, ends))
            steep = difference is not None and is_stencil and spans[0][2] == 1
            reach = self.steep(places, weights) if steep else None
            self.is_loose = self.is_loose or (reach is None and difference is not None)
            reach = max(-low, high) if reach is None else reach * difference
            result.append((max(low, -reach), min(high, reach)))
        return ids, result

    def steep(self, places: Any, weights: Any) -> Any:
        """Return the most that a row sums to if neighbours differ by 1; None if a line along the axis has a sum."""
        lines: dict[Any, Any] = {}
        reach = 0
        for (axis, *offset), weight in zip(places, weights):
            _, count, lower, _ = self.file.axes[axis]
            along = offset.pop(axis)
            along = (along + count // 2) % count - count // 2 if lower == "periodic" else along
            lines.setdefault(tuple(offset), Counter())[along] += weight
        for line in lines.values():
            steps, partial = sorted(line), 0
            for here, there in zip(steps, steps[1:]):
                partial += line[here]
                reach += abs(partial) * (there - here)
        return None if any(sum(line.values()) for line in lines.values()) else reach

    def arrivals(self, target: Any, port: Any) -> Any:
        """Return the class of each neuron by what arrives at a port, and the interval of each class."""
        groups: dict[Any, Any] = {}
        for s in self.file.synapses.values():
            if (s["target"], s["port"]) == (target, port):
                groups.setdefault((s["source"], s["output"]), []).append(s)
        parts = [self.sums(source, output, group) for (source, output), group in groups.items()]
        ids, keys = joined([ids for ids, _ in parts], self.file.size(target))
        spans = [[spans[kind] for kind, (_, spans) in zip(key, parts)] for key in keys]
        return ids, [(sum(low for low, _ in row), sum(high for _, high in row)) for row in spans]

    def within(self, population: Any, value: Any, low: Any, high: Any, is_open: Any = None) -> None:
        """Compare the interval of a quantity with its bound, which is crossed out; if open, it may be left out."""
        bound, label = self.open.pop((population, dashed(value)), None), f"{population} {dashed(value)}"
        if bound is None:
            need(UNBOUND.fullmatch(value), f"widths: {label} has no bound", 1)
        elif not bound[0] <= low <= high <= bound[1]:
            text = f"widths: {label} ranges from {low} to {high}, its bound is {bound[0]} to {bound[1]}"
            need(self.is_loose if is_open is None else is_open, text, 1)
            self.left.append(f"the bound of {label}, which needs theorems on sides or on changes")

    def widths(self) -> None:
        """Prove the bounds of all quantities."""
        self.open = dict(self.file.bounds)
        for b in self.file.graph["bounds"]:
            fits = -1 << b["bits"] - 1 <= b["lower"] <= b["upper"] < 1 << b["bits"] - 1 and b["bits"] < 64
            need(fits, f"widths: the bound of {b['population']} {b['quantity']} does not fit its bits", 1)
        for name, program in self.programs.items():
            if name not in self.file.fields:
                self.population(name, program)
        for holder, field in self.file.fields.items():
            self.holder(holder, field)
        for s in self.file.synapses.values():
            self.synapse(s)
        need(not self.open, f"widths: there is no quantity {' '.join(next(iter(self.open), ()))}", 1)

    def population(self, name: Any, program: Any) -> None:
        """Prove the bounds of the values of a population, and of what it sends."""
        size, parameters = self.file.size(name), self.file.populations[name]["parameters"]
        states: dict[str, Any] = {}
        fields = [self.file.fields[c["source_holder"]] for (n, _), c in self.file.channels.items() if n == name]
        limits = [field["window"]["current"] for field in fields[:1]]
        for start in self.file.populations[name]["start"].values():
            need(not any(self.file.numbers(start, size)), f"widths: {name} does not start at 0", 1)
        for state, after in program.after.items():
            bounds = [self.file.bounds.get((name, dashed(value))) for value in (after, state)]
            known = [bound for bound in bounds if bound]
            need(known, f"widths: state {state} of {name} has no bound", 1)
            states[state] = min(known[0][0], 0), max(known[0][1], 0)
        heard = [self.arrivals(name, port) for port in program.ports]
        fixed = [self.file.numbers(parameters[n], size) for n in program.parameters]
        ids, keys = joined([kinds for kinds, _ in heard] + fixed, size)
        for _ in range(2):  # what states become from any within their bounds is all that they can be
            outputs: list[Any] = []
            hulls: dict[str, Any] = {}
            for key in keys:
                spans = [h[1][kind] for h, kind in zip(heard, key)] + [(n, n) for n in key[len(heard) :]]
                values = intervals(program, {**dict(zip(program.ports + program.parameters, spans)), **states}, *limits)
                outputs.append([(*values[value], 1) for value in program.sends])
                for value, (low, high) in values.items():
                    hulls[value] = min(low, hulls.get(value, (low,))[0]), max(high, hulls.get(value, (0, high))[1])
            for state, after in program.after.items():
                low, high = hulls[after]
                is_kept = states[state][0] <= low <= high <= states[state][1]
                need(is_kept or self.is_loose, f"widths: state {state} of {name} may leave its bound", 1)
                if is_kept:  # else its bound is left to the checker, with that of the value that it becomes
                    states[state] = min(low, 0), max(high, 0)
        if "drive" not in hulls and (name, "drive") in self.open:  # the bound of what a late input becomes
            hulls["drive"] = hulls[next(iter(program.after.values()))]
        for value in sorted(hulls.keys() - set(program.parameters)):  # a set has another order in each run
            self.within(name, value, *hulls[value])
        for output, sent in enumerate(zip(*outputs)):
            table = {span: kind for kind, span in enumerate(dict.fromkeys(sent))}
            self.sent[name, output] = array("q", (table[sent[kind]] for kind in ids)), list(table)
            low, high = min(span[0] for span in table), max(span[1] for span in table)
            asks = any(s["target"] in self.answers for s in self.others.get(name, ()))
            is_value = name in self.answers or asks or (name, output) in self.file.channels
            changes = not is_value and (self.file.graph["coding"] == "delta" or name in self.firing)
            self.payloads[name, output] = (low - high, high - low) if changes else (low, high)
        self.payload(name)

    def payload(self, name: Any) -> None:
        """Prove the bound of what a population sends, except for packets."""
        heard = {s["output"] for s in self.others.get(name, ())}
        spans = [self.payloads[name, output] for output in heard or ([] if name in self.firing else [0])]
        if spans:
            self.within(name, "payload", min(low for low, _ in spans), max(high for _, high in spans))

    def holder(self, holder: Any, field: Any) -> None:
        """Prove the bounds of a field, and that what arrives in a step fits a word."""
        window, volumes = field["window"], self.file.volumes[holder]
        carried: Any = Counter()
        low, high, thinnest = window["lower"], window["upper"], min(volumes)
        if max(volumes) > 1:
            low, high = min(0, -(-low // thinnest) - 1), max(0, high // thinnest + 1)
        for (name, output), c in self.file.channels.items():
            most = max(-self.payloads[name, output][0], self.payloads[name, output][1])
            for end, numbers in zip(("source_holder", "target_holder"), self.ends[name, output]):
                for number, count in Counter(numbers).items() if c[end] == holder else ():
                    carried[number] += count * most
        in_cells = max((carried[cell] for cell in range(self.file.cells)), default=0)
        in_ledgers = max((n for number, n in carried.items() if number >= self.file.cells), default=0)
        self.payloads[holder, 0] = low, high
        if self.file.graph["coding"] == "delta":
            change = min((window["upper"] - window["lower"]) // thinnest + (max(volumes) > 1), in_cells)
            least, most = self.file.bounds.get((holder, "payload"), (0, 0))
            if self.file.graph["operator"] and (least > -change or most < change):
                self.left.append(f"the bound of {holder} payload: weights of the faces of a cell may cancel")
                self.payloads[holder, 0] = least, most
                self.assumed.add(holder)
            else:
                self.payloads[holder, 0] = -change, change
        self.within(holder, "mass", low, high, False)
        self.payload(holder)
        edge = self.file.bounds.get((holder, "ledger"), (0, 0))[1]
        if self.file.size(holder) > self.file.cells:
            need((edge + 1) & edge == 0, "widths: a ledger has less than all of its bits", 1)
            self.within(holder, "ledger", -edge, edge, False)
            need(edge + in_ledgers < 1 << 63, "widths: a ledger may exceed a word", 1)
        need(max(-low, high) + in_cells < 1 << 63, f"widths: {holder} may exceed a word", 1)

    def synapse(self, s: Any) -> None:
        """Prove the bounds of the products of a synapse, and of their partial sums in any order."""
        sums, least, most = self.mantissas[s["name"]]
        low, high = self.payloads[s["source"], s["output"]]
        products = [value * end for value in (least, most) for end in (low, high)]
        is_open = self.is_loose or s["source"] in self.assumed
        self.within(s["name"], "product", min(products), max(products), is_open)
        low, high, added = min(low, 0), max(high, 0), 0
        for op, operands, _ in self.programs[s["target"]].values.values():
            others = [operand for operand in operands if operand != s["port"]]
            if op == "add" and s["port"] in operands and isinstance(others[0], int):
                added = others[0] << -s["exponent"] if s["exponent"] < 0 else others[0] >> s["exponent"]
        bottom, top = min(up * low - down * high for up, down in sums), max(up * high - down * low for up, down in sums)
        self.within(s["name"], "accumulator", min(bottom, 0), max(top, 0) + added, is_open)

    def sets(self) -> Any:
        """Return the number of sets of holders that channels join, directly or through others."""
        first, total = {}, 0
        for holder in self.file.fields:
            first[holder], total = total, total + self.file.size(holder)
        parents = list(range(total))
        for key, (source, target) in self.ends.items():
            one, other = (first[self.file.channels[key][end]] for end in ("source_holder", "target_holder"))
            for pair in zip(source, target):
                roots = [one + pair[0], other + pair[1]]
                for n, number in enumerate(roots):
                    while parents[number] != number:
                        parents[number] = number = parents[parents[number]]
                    roots[n] = number
                parents[roots[0]] = roots[1]
        return sum(parent == number for number, parent in enumerate(parents))

    def claims(self, claims: Any) -> None:
        """Compare the figures of the claims; the statements on conservation and widths are proved."""
        window, is_law = next(iter(self.file.fields.values()))["window"], self.file.graph["spec"]["equation"] == "law"
        conservation, overflow = claims["conservation"], claims["overflow"]
        reservoirs = sum(self.file.size(holder) - self.file.cells for holder in self.file.fields)
        figures = {"reservoirs": reservoirs, "faces": len(self.file.source)}
        if is_law:
            channels = sum(len(source) for source, _ in self.ends.values())
            figures = {"reservoirs": reservoirs, "channels": channels, "sets": self.sets()}
        if reservoirs:
            figures["ledger_steps"] = min(self.lasting(), conservation["figures"].get("ledger_steps", FAR))
        expected = ("proved", "joined-holders" if is_law else "incidence", figures)
        need(tuple(conservation[n] for n in PARTS) == expected, f"conservation: the graph has the figures {figures}", 1)
        figures = {"bounds": len(self.file.bounds), "lower": window["lower"], "upper": window["upper"]}
        figures.update({n: window[n] for n in ("difference", "current") if window[n] is not None})
        expected = "assumed", "operating-window", figures
        if is_law:
            figures = {"bounds": len(self.file.bounds), "fields": len(self.file.fields)}
            expected = "assumed", "operating-windows", figures
        is_more = overflow["method"] in ("invariant-range", "limited-range") and overflow["status"] == "proved"
        need(is_more or tuple(overflow[n] for n in PARTS) == expected, f"overflow: the graph has {figures}", 1)
        if is_more:
            self.left.append(f"that fields stay in their windows ({overflow['method']})")
        for name in ("stability", "positivity", "equation"):
            if claims.get(name) and claims[name]["status"] != "none":
                self.left.append(f"{name} ({claims[name]['method']})")

    def lasting(self) -> Any:
        """Return the number of PDE steps in which no ledger can wrap."""
        steps = FAR
        for holder in [holder for holder in self.file.fields if self.file.size(holder) > self.file.cells]:
            carried: Any = Counter()
            for (name, output), c in self.file.channels.items():
                low, high = self.file.bounds[name, dashed(self.programs[name].sends[output])]
                for end, numbers in zip(("source_holder", "target_holder"), self.ends[name, output]):
                    for number in numbers if c[end] == holder else ():
                        if number >= self.file.cells:
                            carried[number] += max(-low, high)
            steps = min(steps, self.file.bounds[holder, "ledger"][1] // max(1, *carried.values(), 1))
        return steps


ALWAYS_LEFT = "units, time step and equation", "accuracy, start, placement, names and provenance"


def check(path: Any) -> Any:
    """Return what an artifact claims and this module does not prove; raise `Refused` for a wrong or damaged file."""
    try:
        return [*Kernel(path).left, *ALWAYS_LEFT]
    except Refused:
        raise
    except Exception as error:  # whatever a file makes of types, sizes and names
        raise Refused(f"is no artifact ({type(error).__name__}: {' '.join(str(error).split())[:200]})", 2) from None


def main(arguments: Any) -> Any:
    """Check the file that the command line names; return the exit code."""
    try:
        (path,) = arguments
        left = check(path)
    except ValueError:
        print("usage: python checker.py MODEL.pisnn", file=sys.stderr)
        return 2
    except Refused as refused:
        text, code = refused.args
        print(f"{path}: {text}", file=sys.stderr)
        return code
    print(f"{path} is accepted: {PROVED}")
    for text in left:
        print(f"not proved: {text}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
