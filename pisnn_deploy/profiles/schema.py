"""What a hardware profile says: figures with their ranges, confidence and sources.

Keys carry their unit (`_bits`, `_words`, `_ns`, `_pj`, `_w`); a key without one is a count. A figure whose value is
null says either that the public record has none (confidence ``unpublished``) or that the target has no such limit (any
other confidence). A check says which unpublished limits it did not check and is silent about limits that do not exist.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Confidence = Literal["documented", "inferred", "contradictory", "unpublished"]
"""How well a figure is known: stated in public material, derived from it, disputed within it, or absent from it."""

Value = TypeVar("Value")

NonNegative = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Sentence = Annotated[str, Field(min_length=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Figure(_Frozen, Generic[Value]):
    """One figure of a profile.

    Attributes
    ----------
    value : Value
        What the package computes with; None where there is none.
    low, high : Value or None
        Range that the public record allows, both ends included.
    confidence : str
    source : str
        Where the figure stands, or how it was derived.
    """

    value: Value
    low: Value | None = None
    high: Value | None = None
    confidence: Confidence
    source: Sentence

    @model_validator(mode="after")
    def _consistent(self) -> Figure[Value]:
        if self.confidence == "unpublished" and self.value is not None:
            raise ValueError(f"the figure is unpublished, so its value must be null, not {self.value}")
        if self.confidence == "contradictory" and (self.low is None or self.high is None):
            raise ValueError("sources contradict each other, so low and high must give their range")
        ends = [end for end in (self.low, self.value, self.high) if isinstance(end, (int, float))]
        if any(left > right for left, right in pairwise(ends)):
            raise ValueError(f"low, value and high must ascend, found {', '.join(map(str, ends))}")
        return self

    @property
    def is_unpublished(self) -> bool:
        """Whether the public record has no such figure."""
        return self.confidence == "unpublished"


Bits: TypeAlias = Figure[Positive]
Count: TypeAlias = Figure[Positive]
Limit: TypeAlias = Figure[NonNegative | None]
"""A count or capacity that may be unpublished or absent."""
Quantity: TypeAlias = Figure[Amount | None]
"""A physical amount, or a fraction of a word, that may be unpublished or absent."""
Integers: TypeAlias = Figure[Annotated[tuple[NonNegative, ...], Field(strict=False)]]


class Chip(_Frozen):
    """A chip. `cores_usable` is what a mapper may use; `cores_max` is the nominal number."""

    cores_max: Limit
    cores_usable: Limit
    embedded_processors: Limit


class System(_Frozen):
    """A board or machine. `chips` is null where the number of chips is not limited."""

    chips: Limit


class Core(_Frozen):
    """Capacities of one core, and what a neuron or an axon costs of them.

    `total_words` limits the sum of all uses; `neuron_words`, `input_axon_words`, `axon_map_entry_words` (one per neuron
    and outgoing synapse population) and `axon_memory_entry_words` (one per output axon beyond the first of such an
    entry) are the costs. `output_axon_cross_chip` is what an output axon to another chip costs on top, in entries.
    """

    word_bits: Bits
    neurons_max: Limit
    neuron_groups_max: Limit
    neuron_words: Quantity
    neuron_state_words: Limit
    memory_bytes: Limit
    synaptic_memory_words: Limit
    pool_words: Limit
    total_words: Limit
    input_axons_max: Limit
    input_axon_words: Quantity
    output_axons_max: Limit
    output_axon_cross_chip: Limit
    axon_map_words: Limit
    axon_map_entry_words: Quantity
    axon_memory_words: Limit
    axon_memory_entry_words: Quantity


class SynapsePacking(_Frozen):
    """How the synapses of one input axon are packed into words.

    ``bits = n * (weight + index_bits) + ceil(n / entry_synapses_max) * header_bits``, rounded up to whole words; one
    word more where the number of bits modulo the word is in `extra_word_residues_bits`. Without `entry_synapses_max`
    there is one header per axon.
    """

    index_bits: Figure[NonNegative]
    header_bits: Figure[NonNegative]
    entry_synapses_max: Figure[Positive | None]
    extra_word_residues_bits: Integers
    axon_words_max: Limit


class Weights(_Frozen):
    """Stored weights. Mixed means that a synapse population holds both signs; otherwise the step is 1.

    `mantissa_limit_mixed` is the largest mantissa of either sign that is always legal; `mantissa_lowest_mixed` is the
    most negative one. `mantissa_limit_single` is the largest absolute value where all mantissas have one sign.
    """

    bits: Bits
    mantissa_limit_mixed: Count
    mantissa_lowest_mixed: Figure[int]
    mantissa_limit_single: Count
    step_mixed: Count
    exponent_lowest: Figure[int]
    exponent_highest: Figure[int]


class State(_Frozen):
    """Signed width of one state of a neuron."""

    bits: Bits


class Accumulator(_Frozen):
    """Signed width in which a neuron sums mantissa times payload over its inputs, before the exponent."""

    bits: Figure[Positive | None]
    overflow: Figure[Literal["wrap", "saturate"] | None]


class Payload(_Frozen):
    """What a spike carries. `bits` is 0 where spikes are binary."""

    graded: Figure[bool]
    bits: Figure[NonNegative]
    legal_widths_bits: Integers


class Decay(_Frozen):
    """Decay constant of a current, in units of 2^-bits; 2^bits forgets everything."""

    bits: Bits


class Delay(_Frozen):
    """Synaptic delay in time steps."""

    steps_max: Limit


class Time(_Frozen):
    """Time of one operation in one core, and of the barrier that ends a time step."""

    synaptic_operation_ns: Quantity
    neuron_update_ns: Quantity
    barrier_ns: Quantity


class Energy(_Frozen):
    """Dynamic energy of one operation."""

    synaptic_operation_pj: Quantity
    neuron_update_active_pj: Quantity
    neuron_update_inactive_pj: Quantity


class Power(_Frozen):
    """Power of a chip at rest."""

    static_chip_w: Quantity


class Profile(_Frozen):
    """A hardware target.

    Attributes
    ----------
    name : str
        Name in the library, or of the user's choice.
    description : str
        One sentence for lists.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
    description: Sentence
    system: System
    chip: Chip
    core: Core
    synapse: SynapsePacking
    weights: Weights
    state: State
    accumulator: Accumulator
    payload: Payload
    decay: Decay
    delay: Delay
    time: Time
    energy: Energy
    power: Power
