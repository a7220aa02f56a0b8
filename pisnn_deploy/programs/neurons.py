"""The programs of this project's neurons (docs/architecture.md has the equations).

A value with a declared width has the name of its quantity. The residue is the last state of a face, after its current
if it keeps one; the values that I3 compares are named ``current`` and ``residue``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from pisnn_deploy.core.arithmetic import LEAK_BITS, MEMORYLESS
from pisnn_deploy.core.errors import UsageError
from pisnn_deploy.programs.language import Program, parse
from pisnn_deploy.programs.limiter import FaceLimiter, face_limiter

LOW = "low"
"""Port of a face for the residues of the faces near it, weighted like the masses of the cells that they belong to."""


@dataclass(frozen=True)
class FaceConstants:
    """Constants of a face.

    Attributes
    ----------
    exponent : int
        A constant drive of ``2^exponent`` sends one quantum in every PDE step.
    leak : int
        Part of the current that decays in a PDE step, in units of 2^-12.
    limiter : FaceLimiter or None
        How the cells on both sides limit packets; None if they do not.
    send_threshold : int or None
        Smallest packet in quanta of a face with a delay of one step; None for a face that fires its input.
    sees_residues : bool
        Whether the face corrects its drive by what the residues of faces near it add to the masses, and sends its own.
    """

    exponent: int
    leak: int = MEMORYLESS
    limiter: FaceLimiter | None = None
    send_threshold: int | None = None
    sees_residues: bool = False

    @property
    def is_late(self) -> bool:
        """Whether the input of a face takes effect one PDE step late."""
        return self.send_threshold is not None

    @property
    def packet_exponent(self) -> int:
        """A packet of one quantum reduces the residue by ``2^packet_exponent``."""
        return 0 if self.is_late else self.exponent

    @property
    def program(self) -> Program:
        """Program of the face."""
        if self.send_threshold is not None:
            return sigma_delta(self.send_threshold, self.exponent)
        return flux(self.exponent, self.leak, self.limiter, sees_residues=self.sees_residues)


@lru_cache(maxsize=64)
def face_constants(program: Program) -> FaceConstants | None:
    """Return the constants for which this module builds a program, or None if it does not build it."""
    last = {operation.results[0]: operation.operands[-1] for operation in program.operations}
    factors = {op.results[0]: op.operands[1] for op in program.operations if op.name == "mul_shr"}
    kept = factors.pop("kept_size", 0)
    numbers = {
        "exponent": last.get("fired", last.get("packet") if "drive" in last else last.get("next_current")),
        "leak": MEMORYLESS - kept if isinstance(kept, int) else None,
        "send_threshold": last.get("is_sent"),
    }
    integers = {name: number for name, number in numbers.items() if isinstance(number, int)}
    try:
        limiter = face_limiter({name: number for name, number in factors.items() if type(number) is int}, program.ports)
        constants = FaceConstants(**integers, limiter=limiter, sees_residues=LOW in program.ports)
        return constants if constants.program == program else None
    except (TypeError, UsageError):
        return None  # no exponent, or an invalid one


def rectifier_shift(program: Program) -> int | None:
    """Return the shift ``s`` for which a program equals ``rectifier(s)``, or None."""
    shifts = [int(operation.operands[-1]) for operation in program.operations if operation.name == "asr"]
    return shifts[0] if len(shifts) == 1 and program == rectifier(shifts[0]) else None


UNDECLARED = frozenset(
    {
        *("arrival", "mass_before", "current_before", "residue_before"),
        *("size", "kept_size", "kept", "fired", "is_sent", "raised", "next_current", "positive"),
        *("correction", "corrected"),
    }
)
"""Values that may need no declared width, because other declared values bound them."""


def undeclared(program: Program) -> frozenset[str]:
    """Values of a program that need no declared width.

    What arrives needs one, unless the program adds a constant, a parameter or a state to it: then it keeps that sum.
    """
    sums = (operation.values for operation in program.operations if operation.name == "add")
    others = {value for values in sums if "arrival" in values for value in values}
    is_kept = any(isinstance(value, int) or value in (*program.parameters, *program.states) for value in others)
    return UNDECLARED if is_kept else UNDECLARED - {"arrival"}


def membrane() -> Program:
    """Holder of mass that sends its mass: ``m <- m + arrival``, like Lava's `Sigma`.

    Holders with this program conserve mass, whatever the other programs of a graph are.
    """
    return parse("""neuron membrane(arrival; mass_before; )
mass = add(mass_before, arrival)
keep mass_before = mass
send mass""")


def rectifier(shift: int) -> Program:
    """Hidden neuron: ``a = max(arrival + bias, 0) >> shift``.

    Parameters
    ----------
    shift : int
        ``s``, from 0 to 62.
    """
    return parse(f"""neuron rectifier(arrival; ; bias)
drive = add(arrival, bias)
positive = max(drive, 0)
activation = asr(positive, {shift})
send activation""")


def flux(
    threshold_exponent: int,
    leak: int = MEMORYLESS,
    limiter: FaceLimiter | None = None,
    *,
    sees_residues: bool = False,
) -> Program:
    """C-LIF flux compartment of a face.

    ::

        c <- sign(c) ((|c| (4096 - leak)) >> 12) + d        d = arrival + bias
        d <- d + ((low + theta/2) >> F)                     if it sees residues
        k, r <- fire(r + c)                                 with theta = 2^F
        k <- low + sign(A) ((|A| (256 - kept back)) >> 8)   with a limiter; A = k - low

    Parameters
    ----------
    threshold_exponent : int
        ``F``, from 1 to 62.
    leak : int
        Decay constant of the current in units of 2^-12; with 4096 no current is kept.
    limiter : FaceLimiter, optional
        Adds the ports and outputs of a limiter.
    sees_residues : bool
        Whether the face has the port ``low`` for weighted residues, and sends its own residue besides its packet.
    """
    keeps = leak != MEMORYLESS
    ports = ", ".join(("arrival", *((LOW,) if sees_residues else ()), *(limiter.ports if limiter else ())))
    parameters = ", ".join(("bias", *(limiter.parameters if limiter else ())))
    states = "current_before, residue_before" if keeps else "residue_before"
    lines = [f"neuron flux({ports}; {states}; {parameters})", "drive = add(arrival, bias)"]
    driven = "drive"
    if sees_residues:
        lines += [
            f"raised = add({LOW}, {1 << threshold_exponent >> 1})",
            f"correction = asr(raised, {threshold_exponent})",
            f"{'corrected' if keeps else 'current'} = add(drive, correction)",
        ]
        driven = "corrected"
    if keeps:
        lines += [
            "size = abs(current_before)",
            f"kept_size = mul_shr(size, {MEMORYLESS - leak}, {LEAK_BITS})",
            "kept = copysign(kept_size, current_before)",
            f"current = add(kept, {driven})",
        ]
    elif not sees_residues:
        lines += ["current = add(drive, 0)"]
    fired = "fired" if limiter else "packet"
    lines += ["potential = add(residue_before, current)", f"{fired}, residue = fire(potential, {threshold_exponent})"]
    lines += limiter.lines(threshold_exponent) if limiter else []
    keep = "current_before = current, residue_before = residue" if keeps else "residue_before = residue"
    sends = ", ".join((*(limiter.sends() if limiter else ("packet",)), *(("residue",) if sees_residues else ())))
    return parse("\n".join([*lines, f"keep {keep}", f"send {sends}"]))


def sigma_delta(send_threshold: int, shift: int) -> Program:
    """Face like Lava's `SigmaDelta`: sends its whole residue above a threshold, with inputs one step late.

    Parameters
    ----------
    send_threshold : int
        Smallest packet in quanta, at least 1.
    shift : int
        Bits by which the sum of the input is shifted, rounding to nearest; at least 1.
    """
    return parse(f"""neuron sigma-delta(arrival; current, residue_before; )
potential = add(residue_before, current)
size = abs(potential)
is_sent = ge(size, {send_threshold})
packet = select(is_sent, potential, 0)
residue = sub(potential, packet)
raised = add(arrival, {1 << shift >> 1})
next_current = asr(raised, {shift})
keep current = next_current, residue_before = residue
send packet""")
