"""What a hardware profile says: figures with their ranges, confidence and sources.

Keys carry their unit (`_bits`, `_words`, `_ns`, `_pj`, `_w`); a key without one is a count. A figure whose value is
null says either that the public record has none (confidence ``unpublished``) or that the target has no such limit (any
other confidence). A check says which unpublished limits it did not check and is silent about limits that do not exist.

The text below a field is its description in the JSON Schema (docs/reference/profile.schema.json), which editors show.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Confidence = Literal["documented", "quoted", "inferred", "contradictory", "unpublished"]
"""How well a figure is known: stated in public material, known from a quotation of it, derived from it, disputed within
it, or absent from it."""

Value = TypeVar("Value")

NonNegative = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Sentence = Annotated[str, Field(min_length=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


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
"""What `Figure._consistent` demands, as far as JSON Schema can say it: that low, value and high ascend, it cannot."""


class Figure(_Frozen, Generic[Value]):
    """One figure of a profile, with its range, confidence and source."""

    model_config = ConfigDict(json_schema_extra=_CONFIDENCE_RULES)

    value: Value
    """What the package computes with; null where the public record has none or the target has no such limit."""
    low: Value | None = None
    """Lowest value that the public record allows."""
    high: Value | None = None
    """Highest value that the public record allows."""
    confidence: Confidence
    """How well the figure is known: documented, quoted (the source says by whom), inferred, contradictory (give low and
    high) or unpublished (give null as value)."""
    source: Sentence
    """Where the figure stands, or how it was derived."""

    @model_validator(mode="after")
    def _consistent(self) -> Figure[Value]:
        if self.confidence == "unpublished" and self.value is not None:
            raise ValueError(f"the figure is unpublished, so its value must be null, not {self.value}")
        if self.confidence == "contradictory" and (self.low is None or self.high is None):
            raise ValueError("sources contradict each other, so low and high must give their range")
        if self.confidence == "quoted" and "quoted by" not in self.source:
            raise ValueError("the figure is known from a quotation, so its source must say 'quoted by' whom")
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
    """A chip."""

    cores_max: Limit
    """Nominal number of neuron cores of a chip. For information: no rule or estimate reads it."""
    cores_usable: Limit
    """Neuron cores of a chip that a mapper may use."""
    embedded_processors: Limit
    """Embedded processors of a chip."""
    cores_per_router: Limit
    """Cores that share a router, a tile; null where nothing is known of a network of routers. For information: no
    rule or estimate reads it."""
    router_columns: Limit
    """Routers of a chip in a row, from west to east."""
    router_rows: Limit
    """Rows of routers of a chip, from north to south."""


class System(_Frozen):
    """A board or machine."""

    chips: Limit
    """Chips; null where their number is not limited."""


class Core(_Frozen):
    """Capacities of one core, and what a neuron or an axon costs of them."""

    word_bits: Bits
    """Width of a memory word, the unit of all keys that end in words."""
    neurons_max: Limit
    """Neurons of a core."""
    neuron_groups_max: Limit
    """Populations of which a core may hold a part: each is a group with its own program and configuration."""
    neuron_words: Quantity
    """Words that a neuron takes of `total_words`."""
    neuron_state_words: Limit
    """Words of the memory of neuron states."""
    memory_bytes: Limit
    """All memory of a core. For information: no rule or estimate reads it."""
    synaptic_memory_words: Limit
    """Words for the packed synapses that arrive at a core."""
    pool_words: Limit
    """Words of a memory that synapses and axons share. For information: no rule or estimate reads it."""
    total_words: Limit
    """Limit of the sum of all uses: neurons, synapses, input axons, axon map and axon memory."""
    input_axons_max: Limit
    """Input axons of a core: one for each source neuron and synapse population that reach it."""
    input_axon_words: Quantity
    """Words that an input axon takes of `total_words`."""
    output_axons_max: Limit
    """Output axon entries of a core: one for each of its neurons, synapse population and core reached."""
    output_axon_cross_chip: Limit
    """Entries that an output axon to another chip costs on top."""
    neuron_output_axons_max: Limit
    """Output axon entries of one neuron."""
    axon_map_words: Limit
    """Words of the axon map."""
    axon_map_entry_words: Quantity
    """Words of an entry of the axon map: one for each neuron and synapse population that leaves it."""
    axon_memory_words: Limit
    """Words of the axon memory."""
    axon_memory_entry_words: Quantity
    """Words that each output axon beyond the first of an entry of the axon map takes of the axon memory."""


class SynapsePacking(_Frozen):
    """How the synapses of one input axon are packed into words.

    ``bits = n * (weight + index_bits) + ceil(n / entry_synapses_max) * header_bits``, rounded up to whole words; one
    word more where the number of bits modulo the word is in `extra_word_residues_bits`.
    """

    index_bits: Figure[NonNegative]
    """Bits beside each weight that say which neuron it reaches."""
    header_bits: Figure[NonNegative]
    """Bits before each entry of synapses."""
    entry_synapses_max: Figure[Positive | None]
    """Synapses that share a header; null where there is one header for each input axon."""
    extra_word_residues_bits: Integers
    """Numbers of bits modulo the word at which the packing takes one word more."""
    axon_words_max: Limit
    """Words that the packed synapses of one input axon may take."""


class Weights(_Frozen):
    """Stored weights. Mixed means that a synapse population holds both signs; otherwise the step is 1."""

    bits: Bits
    """Bits of a stored weight."""
    mantissa_limit_mixed: Count
    """Largest mantissa of either sign that is always legal in a population of both signs."""
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


class State(_Frozen):
    """States of a neuron."""

    bits: Bits
    """Signed width of one state."""
    programmable: Figure[bool]
    """Whether neurons run programs; others are integrate-and-fire neurons and nothing else."""


class Accumulator(_Frozen):
    """The sum of mantissa times payload over the inputs of a neuron, before the exponent."""

    bits: Figure[Positive | None]
    """Signed width of the accumulator."""
    overflow: Figure[Literal["wrap", "saturate"] | None]
    """What a sum beyond that width does. For information: no rule or estimate reads it."""


class Payload(_Frozen):
    """What a spike carries."""

    graded: Figure[bool]
    """Whether a spike carries an integer."""
    bits: Figure[NonNegative]
    """Signed width of a payload; 0 where spikes are binary."""
    legal_widths_bits: Integers
    """Widths in which a payload may be sent."""


class Decay(_Frozen):
    """Decay constant of a current."""

    bits: Bits
    """The constant counts in units of 2^-bits; 2^bits forgets everything."""


class Threshold(_Frozen):
    """Firing threshold."""

    bits: Bits
    """Unsigned width of a threshold, on the scale of the weighted input."""


class Bias(_Frozen):
    """What is added to the weighted input of a neuron in every time step."""

    bits: Figure[Positive | None]
    """Signed width of a bias, on the scale of the weighted input."""


class Delay(_Frozen):
    """Synaptic delay."""

    steps_max: Limit
    """Longest delay in time steps. For information: no rule or estimate reads it."""
    slots_lowest: Limit
    """Fewest accumulators that a neuron has for input of later time steps."""
    accumulators_max: Limit
    """Accumulators of a core for input of later time steps."""


class InputOutput(_Frozen):
    """What leaves and enters a chip."""

    spike_counters: Limit
    """Counters of an embedded processor, each for the spikes of one neuron."""


class Time(_Frozen):
    """Time of one operation in one core, of one message on its way, and of the barrier that ends a time step."""

    synaptic_operation_ns: Quantity
    """Time of one synaptic operation."""
    neuron_update_ns: Quantity
    """Time of one neuron update."""
    message_out_ns: Quantity
    """Time that a message takes to leave its core."""
    message_in_ns: Quantity
    """Time that a message takes to enter its core."""
    within_tile_ns: Quantity
    """Time of a message between two cores of a tile."""
    hop_east_west_ns: Quantity
    """Time of a message from one router to the next in its row."""
    hop_north_south_ns: Quantity
    """Time of a message from one router to the next in its column."""
    barrier_ns: Quantity
    """Time of the barrier over all chips of the system that ends a time step."""


class Energy(_Frozen):
    """Dynamic energy of one operation, and of one message on its way."""

    synaptic_operation_pj: Quantity
    """Energy of one synaptic operation."""
    neuron_update_active_pj: Quantity
    """Energy of the update of an active neuron."""
    neuron_update_inactive_pj: Quantity
    """Energy of the update of an inactive neuron."""
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


class Power(_Frozen):
    """Power at rest."""

    static_chip_w: Quantity
    """Static power of a chip. For information: no rule or estimate reads it."""


class Profile(_Frozen):
    """A hardware target: figures with their ranges, confidence and sources."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
    """Name in the library, or of your choice: lower-case letters, digits, - and _."""
    description: Sentence
    """One sentence for lists."""
    system: System
    chip: Chip
    core: Core
    synapse: SynapsePacking
    weights: Weights
    state: State
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
