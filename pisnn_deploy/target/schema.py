"""Schema of hardware profiles: figures with their ranges, confidence and sources.

Names end with the unit (`_bits`, `_words`, `_ns`, `_pj`, `_w`); others are counts. A null value means either that no
figure is public (confidence ``unpublished``) or that the target has no such limit (any other confidence). Checks list
the unpublished limits that they skip, but not limits that do not exist.

The text below a field is its description in the JSON Schema (docs/reference/profile.schema.json), which editors show.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Confidence = Literal["documented", "quoted", "inferred", "contradictory", "unpublished"]
"""How well a figure is known: stated in public material, quoted from it by others, derived from it, contradictory in
it, or absent from it."""

Value = TypeVar("Value")

NonNegative = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Sentence = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """Part of a profile: immutable, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


_CONFIDENCE_RULES: dict[str, Any] = {
    "allOf": [
        {
            "if": {"properties": {"confidence": {"const": "unpublished"}}, "required": ["confidence"]},
            "then": {"properties": {"value": {"type": "null"}}},
        },
        {
            "if": {"properties": {"confidence": {"const": "contradictory"}}, "required": ["confidence"]},
            "then": {
                "properties": {"low": {"not": {"type": "null"}}, "high": {"not": {"type": "null"}}},
                "required": ["low", "high"],
            },
        },
        {
            "if": {"properties": {"confidence": {"const": "quoted"}}, "required": ["confidence"]},
            "then": {"properties": {"source": {"pattern": "quoted by"}}},
        },
    ]
}
"""Rules of `Figure._consistent` that JSON Schema can express, which are all except that low, value and high ascend."""


class Figure(Section, Generic[Value]):
    """One figure of a profile, with its range, confidence and source."""

    model_config = ConfigDict(json_schema_extra=_CONFIDENCE_RULES)

    value: Value
    """Value to compute with; null if none is public or the target has no such limit."""
    low: Value | None = None
    """Lowest value that public sources allow."""
    high: Value | None = None
    """Highest value that public sources allow."""
    confidence: Confidence
    """How well the figure is known: documented, quoted (the source says by whom), inferred, contradictory (low and high
    are required) or unpublished (value must be null)."""
    source: Sentence
    """Where the figure is published, or how it was derived."""

    @model_validator(mode="after")
    def _consistent(self) -> Figure[Value]:
        if self.confidence == "unpublished" and self.value is not None:
            raise ValueError(f"the value of an unpublished figure must be null, not {self.value}")
        if self.confidence == "contradictory" and (self.low is None or self.high is None):
            raise ValueError("a contradictory figure needs low and high")
        if self.confidence == "quoted" and "quoted by" not in self.source:
            raise ValueError("the source of a quoted figure must say 'quoted by' whom")
        ends = [end for end in (self.low, self.value, self.high) if isinstance(end, (int, float))]
        if any(left > right for left, right in pairwise(ends)):
            raise ValueError(f"low, value and high must ascend, but are {', '.join(map(str, ends))}")
        return self

    @property
    def is_unpublished(self) -> bool:
        """Whether no figure is public."""
        return self.confidence == "unpublished"


Bits: TypeAlias = Figure[Positive]
Count: TypeAlias = Figure[Positive]
Limit: TypeAlias = Figure[NonNegative | None]
"""A count or capacity that may be unpublished or absent."""
Quantity: TypeAlias = Figure[Amount | None]
"""A physical amount, or a fraction of a word, that may be unpublished or absent."""
Integers: TypeAlias = Figure[Annotated[tuple[NonNegative, ...], Field(strict=False)]]


_NOT_SAID = "The profile does not say"


class Chip(Section):
    """A chip."""

    cores_max: Limit
    """Nominal number of neuron cores of a chip. For information only: no rule or estimate uses it."""
    cores_usable: Limit
    """Neuron cores of a chip that a mapper may use."""
    embedded_processors: Limit
    """Embedded processors of a chip."""
    cores_per_router: Limit
    """Cores that share a router (a tile); null if the network of routers is unknown. `export --to sanafe` uses
    it."""
    router_columns: Limit
    """Routers in each row of a chip, from west to east."""
    router_rows: Limit
    """Rows of routers of a chip, from north to south."""


class System(Section):
    """A board or machine."""

    chips: Limit
    """Number of chips; null if unlimited."""


class Core(Section):
    """Capacities of one core, and the cost of neurons and axons."""

    word_bits: Bits
    """Width of a memory word, the unit of all fields that end in words."""
    neurons_max: Limit
    """Maximum number of neurons of a core."""
    neuron_groups_max: Limit
    """Maximum number of populations on a core, even in part: each is a group with its own program and configuration."""
    neuron_words: Quantity
    """Words of `total_words` per neuron."""
    neuron_state_words: Limit
    """Words of memory for neuron states."""
    memory_bytes: Limit
    """Total memory of a core. For information only: no rule or estimate uses it."""
    synaptic_memory_words: Limit
    """Words for the packed incoming synapses of a core."""
    pool_words: Limit
    """Words of a memory shared by synapses and axons. For information only: no rule or estimate uses it."""
    total_words: Limit
    """Limit of the sum of all uses: neurons, synapses, input axons, axon map and axon memory."""
    input_axons_max: Limit
    """Maximum number of input axons of a core: one per source neuron and synapse population that reaches it."""
    input_axon_words: Quantity
    """Words of `total_words` per input axon."""
    output_axons_max: Limit
    """Maximum number of output axon entries of a core: one per neuron, synapse population and target core."""
    output_axon_cross_chip: Limit
    """Additional entries for an output axon to another chip."""
    neuron_output_axons_max: Limit
    """Maximum number of output axon entries of one neuron."""
    axon_map_words: Limit
    """Words of the axon map."""
    axon_map_entry_words: Quantity
    """Words per entry of the axon map; there is one entry per neuron and outgoing synapse population."""
    axon_memory_words: Limit
    """Words of the axon memory."""
    axon_memory_entry_words: Quantity
    """Words of axon memory per output axon beyond the first of an axon map entry."""


class SynapsePacking(Section):
    """Packing of the synapses of one input axon into words.

    ``bits = n * (weight + index_bits) + ceil(n / entry_synapses_max) * header_bits``, rounded up to whole words, plus
    one word if the number of bits modulo the word is in `extra_word_residues_bits`.
    """

    index_bits: Figure[NonNegative]
    """Bits per weight for the index of its target neuron."""
    header_bits: Figure[NonNegative]
    """Bits before each entry of synapses."""
    entry_synapses_max: Figure[Positive | None]
    """Maximum number of synapses per header; null if each input axon has one header."""
    extra_word_residues_bits: Integers
    """Numbers of bits modulo the word that need one more word."""
    axon_words_max: Limit
    """Maximum number of words for the packed synapses of one input axon."""


class Weights(Section):
    """Stored weights. Mixed means that a synapse population has both signs; otherwise the step is 1."""

    bits: Bits
    """Bits of a stored weight."""
    mantissa_limit_mixed: Count
    """Largest absolute mantissa that is valid for either sign in a population of both signs."""
    mantissa_lowest_mixed: Figure[int]
    """Most negative mantissa in a population of both signs."""
    mantissa_limit_single: Count
    """Largest absolute mantissa in a population of one sign."""
    step_mixed: Count
    """Mantissas in a population of both signs are multiples of this."""
    exponent_lowest: Figure[int]
    """Lowest exponent that all weights of a population share."""
    exponent_highest: Figure[int]
    """Highest exponent that all weights of a population share."""


class State(Section):
    """States of a neuron."""

    bits: Bits
    """Signed width of one state."""
    programmable: Figure[bool]
    """Whether neurons are programmable; if not, they are integrate-and-fire neurons only."""


class Microcode(Section):
    """What programs of neurons can do, beyond sums, shifts and comparisons."""

    multiply: Figure[bool | None] = Figure[bool | None](value=None, confidence="unpublished", source=_NOT_SAID)
    """Whether a program multiplies two values (`mul_shr`)."""
    product_bits: Figure[Positive | None] = Figure[Positive | None](
        value=None, confidence="unpublished", source=_NOT_SAID
    )
    """Signed width of the full product of two values."""
    table_words: Limit = Limit(value=None, confidence="unpublished", source=_NOT_SAID)
    """Words of a core for the tables that programs look up."""


class Accumulator(Section):
    """The sum of mantissa times payload over the inputs of a neuron, before the exponent."""

    bits: Figure[Positive | None]
    """Signed width of the accumulator."""
    overflow: Figure[Literal["wrap", "saturate"] | None]
    """Behaviour of a sum that exceeds the width. For information only: no rule or estimate uses it."""


class Payload(Section):
    """Payload of a spike."""

    graded: Figure[bool]
    """Whether a spike carries an integer."""
    bits: Figure[NonNegative]
    """Signed width of a payload; 0 if spikes are binary."""
    legal_widths_bits: Integers
    """Supported payload widths."""


class Decay(Section):
    """Decay constant of a current."""

    bits: Bits
    """The constant is in units of 2^-bits; 2^bits decays to 0 at once."""


class Threshold(Section):
    """Firing threshold."""

    bits: Bits
    """Unsigned width of a threshold, on the scale of the weighted input."""


class Bias(Section):
    """Constant added to the weighted input of a neuron in every time step."""

    bits: Figure[Positive | None]
    """Signed width of a bias, on the scale of the weighted input."""


class Delay(Section):
    """Synaptic delay."""

    steps_max: Limit
    """Longest delay in time steps. For information only: no rule or estimate uses it."""
    slots_lowest: Limit
    """Minimum number of accumulators of a neuron for input of later time steps."""
    accumulators_max: Limit
    """Maximum number of accumulators of a core for input of later time steps."""


class InputOutput(Section):
    """Input and output of a chip."""

    spike_counters: Limit
    """Spike counters of an embedded processor, each for one neuron."""


class Time(Section):
    """Times of operations in a core, of messages, and of the barrier that ends a time step."""

    synaptic_operation_ns: Quantity
    """Time of one synaptic operation."""
    neuron_update_ns: Quantity
    """Time of one neuron update."""
    message_out_ns: Quantity
    """Time of a message to leave its core."""
    message_in_ns: Quantity
    """Time of a message to enter its core."""
    within_tile_ns: Quantity
    """Time of a message between two cores of a tile."""
    hop_east_west_ns: Quantity
    """Time of a message from one router to the next in its row."""
    hop_north_south_ns: Quantity
    """Time of a message from one router to the next in its column."""
    barrier_ns: Quantity
    """Time of the barrier across all chips of the system at the end of a time step."""


class Energy(Section):
    """Dynamic energy of operations and messages."""

    synaptic_operation_pj: Quantity
    """Energy of one synaptic operation."""
    neuron_update_active_pj: Quantity
    """Energy of one update of an active neuron."""
    neuron_update_inactive_pj: Quantity
    """Energy of one update of an inactive neuron."""
    message_out_pj: Quantity
    """Energy of a message that leaves its core."""
    message_in_pj: Quantity
    """Energy of a message that enters its core."""
    within_tile_pj: Quantity
    """Energy of a message between two cores of a tile."""
    hop_east_west_pj: Quantity
    """Energy of a message from one router to the next in its row."""
    hop_north_south_pj: Quantity
    """Energy of a message from one router to the next in its column."""


class Power(Section):
    """Power at rest."""

    static_chip_w: Quantity
    """Static power of a chip. For information only: no rule or estimate uses it."""


class Profile(Section):
    """A hardware target: figures with their ranges, confidence and sources."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
    """Name of the profile: a letter followed by lower-case letters, digits, - and _."""
    description: Sentence
    """One sentence that lists show."""
    system: System
    chip: Chip
    core: Core
    synapse: SynapsePacking
    weights: Weights
    state: State
    microcode: Microcode = Microcode()
    accumulator: Accumulator
    payload: Payload
    decay: Decay
    threshold: Threshold
    bias: Bias
    delay: Delay
    io: InputOutput
    time: Time
    energy: Energy
    power: Power
