"""The neurons of this project, each a program (docs/architecture.md has the equations)."""

from __future__ import annotations

from pisnn_deploy.arithmetic import BOUNDLESS, LEAK_BITS, MEMORYLESS
from pisnn_deploy.programs.language import Operation, Program


def _line(text: str) -> Operation:
    left, _, right = text.partition(" = ")
    name, _, rest = right.partition("(")
    words = [word.strip() for word in rest.rstrip(")").split(",")]
    operands = tuple(int(word) if word.lstrip("-").isdigit() else word for word in words)
    return Operation(tuple(word.strip() for word in left.split(",")), name, operands)


MEMBRANE = Program("membrane", ("arrival",), ("m",), (), (_line("m1 = add(m, arrival)"),), after=("m1",), sends=("m1",))
"""Holds mass and sends it: ``m <- m + arrival``. Whatever else a graph does, holders of this program conserve."""


def rectifier(shift: int) -> Program:
    """Hidden neuron: ``a = max(arrival + bias, 0) >> shift``.

    Parameters
    ----------
    shift : int
        0 to 62.
    """
    lines = ("d = add(arrival, bias)", "p = max(d, 0)", f"a = asr(p, {shift})")
    return Program("rectifier", ("arrival",), (), ("bias",), tuple(map(_line, lines)), after=(), sends=("a",))


def flux(threshold_exponent: int, leak: int = MEMORYLESS, share_shift: int | None = None) -> Program:
    """C-LIF flux compartment of a face.

    ::

        c <- sign(c) ((|c| (4096 - leak)) >> 12) + d        d = arrival + bias
        k, r <- fire(r + c)                                 with theta = 2^F
        k <- min(max(k, -share(target)), share(source))     with a limiter; share(m) = max(m, 0) >> s

    Parameters
    ----------
    threshold_exponent : int
        ``F``, 1 to 62.
    leak : int
        Decay constant of the current in units of 2^-12; 4096 forgets everything.
    share_shift : int, optional
        ``s`` of the limiter. Then the ports ``source`` and ``target`` bring the masses at both ends, and where the
        parameters ``source_open`` and ``target_open`` are not 0 an end is a reservoir, which gives without limit.
    """
    lines = ["d = add(arrival, bias)"]
    if leak < MEMORYLESS:
        lines += ["a = abs(c)", f"b = mul_shr(a, {MEMORYLESS - leak}, {LEAK_BITS})", "e = copysign(b, c)"]
        lines += ["c1 = add(e, d)"]
    else:
        lines += ["c1 = add(d, 0)"]
    lines += ["v = add(r, c1)", f"k, r1 = fire(v, {threshold_exponent})"]
    if share_shift is None:
        return Program(
            "flux", ("arrival",), ("c", "r"), ("bias",), tuple(map(_line, lines)), after=("c1", "r1"), sends=("k",)
        )
    for end in ("source", "target"):
        lines += [f"{end}_kept = max({end}, 0)", f"{end}_part = asr({end}_kept, {share_shift})"]
        lines += [f"{end}_share = select({end}_open, {BOUNDLESS}, {end}_part)"]
    lines += ["target_least = neg(target_share)", "k_least = max(k, target_least)", "sent = min(k_least, source_share)"]
    return Program(
        "flux",
        ("arrival", "source", "target"),
        ("c", "r"),
        ("bias", "source_open", "target_open"),
        tuple(map(_line, lines)),
        after=("c1", "r1"),
        sends=("sent",),
    )


SIGMA = Program("sigma", ("arrival",), ("m",), (), (_line("m1 = add(m, arrival)"),), after=("m1",), sends=("m1",))
"""Lava's `Sigma`: sums what arrives and sends its sum; as a program it is a membrane."""


def sigma_delta(send_threshold: int) -> Program:
    """Lava's `SigmaDelta` as a face: sends its whole residue once it reaches the send threshold.

    Parameters
    ----------
    send_threshold : int
        Quanta below which nothing is sent, at least 1.
    """
    lines = (
        *("p = add(r, arrival)", "size = abs(p)", f"sends = ge(size, {send_threshold})"),
        *("k = select(sends, p, 0)", "r1 = sub(p, k)"),
    )
    return Program("sigma-delta", ("arrival",), ("r",), (), tuple(map(_line, lines)), after=("r1",), sends=("k",))
