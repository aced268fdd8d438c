"""What planning deals in: the shape of a model, a machine, the work of a round, and estimates. All are frozen.

Memory is in bytes, time in seconds, speed a second. A number that is not known is None, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """A causal language model as far as memory and time depend on it."""

    name: str
    """What the user calls it."""
    parameters: int
    """All of them; tied embeddings count once."""
    layers: int
    """Decoder layers."""
    hidden: int
    """Width of the hidden state."""
    intermediate: int
    """Width of the feed-forward block."""
    heads: int
    """Query heads."""
    kv_heads: int
    """Heads of keys and values."""
    head_size: int
    """Width of a head."""
    vocabulary: int
    """Logits a token."""
    positions: int | None = None
    """Longest sequence, prompt and response together; None if the model names no limit."""
    bytes_on_disk: int | None = None
    """Size of its weights as they are stored; None if they are not here."""
    source: str = ""
    """Where these numbers come from."""

    @property
    def kv_bytes_per_value(self) -> int:
        """Keys and values of one token: multiply by the bytes of a number."""
        return 2 * self.layers * self.kv_heads * self.head_size

    @property
    def linear_widths(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of each linear map of a layer: q, k, v, o, gate, up, down."""
        q, kv = self.heads * self.head_size, self.kv_heads * self.head_size
        attention = ((self.hidden, q), (self.hidden, kv), (self.hidden, kv), (q, self.hidden))
        up = (self.hidden, self.intermediate)
        return (*attention, up, up, (self.intermediate, self.hidden))


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where a run is to work: ``devices`` of one sort."""

    device: str
    """Its name; ``cpu`` where there is no accelerator."""
    devices: int
    """How many there are."""
    memory: float
    """Bytes of each device; of a CPU, what is available."""
    bandwidth: float | None = None
    """Bytes a second from a device's memory."""
    flops: float | None = None
    """Floating-point operations a second of one device in dense matrix products: bfloat16, on a CPU float32."""
    source: str = ""
    """Where bandwidth and flops come from: measured, or a data sheet."""

    @property
    def is_cpu(self) -> bool:
        return self.device == "cpu"

    @property
    def usable(self) -> float:
        """Bytes of each device that a plan may fill; the rest is for fragments and for what else runs there."""
        return 0.95 * self.memory


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationWork:
    """What a generator will be asked for in one round."""

    responses: int
    """All of a round, K a problem."""
    prompt_tokens: float
    """Mean over the problems."""
    longest_prompt: int
    """Tokens."""
    response_tokens: float | None = None
    """Mean, from a finished run; None: not known, so the token limit of a response is the upper bound."""
    problems_at_once: int | None = None
    """Problems of one call: the next begins when all its responses are there. None: all."""
    samples: int = 1
    """Responses to each of them in one call."""

    @property
    def at_once(self) -> int:
        """Responses that there are to run side by side."""
        return self.responses if self.problems_at_once is None else self.problems_at_once * self.samples


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingWork:
    """What a trainer will learn from in one round."""

    pairs: int
    """At most, or as many as a finished run leads to expect."""
    explored: int
    """Problems with attempts."""
    samples: int
    """K, responses a problem."""
    prompt_tokens: float
    """Mean over the problems."""
    longest_prompt: int
    """Tokens."""
    response_tokens: float
    """Mean, or its upper bound."""
    longest_response: int
    """Tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One item of memory on each device."""

    what: str
    """Its name, such as ``KV cache``."""
    bytes: float
    """On one device."""
    formula: str
    """How it comes about, with the numbers put in."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a step of a round needs of each device, and how long it takes."""

    memory: tuple[Need, ...]
    """What is held at the same time, at its peak; the sum has to fit."""
    seconds: float | None = None
    """None: not known."""
    time_formula: str = ""
    """How the seconds come about, with the numbers put in."""
    notes: tuple[str, ...] = ()
    """Constants and where they come from, and what is left out."""
    devices: int = 1
    """How many devices it uses."""
    advice: str = ""
    """Where it does not fit: settings with which it would; empty if none were found."""

    @property
    def bytes(self) -> float:
        """Peak of each device."""
        return sum(need.bytes for need in self.memory)


@dataclass(frozen=True, kw_only=True)
class GenerationEstimate(Estimate):
    """Of a generator, for the responses of one round."""

    response_limit: int
    """Tokens of the longest response that can come."""


@dataclass(frozen=True, kw_only=True)
class TrainingEstimate(Estimate):
    """Of a trainer, for one round."""

    steps: int
    """Optimiser steps a round."""
    checkpoint_bytes: float
    """What the new policy of a round takes on disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSize:
    """How large a pool is, said without loading it."""

    problems: int
    """To train on."""
    held_out: int = 0
    """To measure with."""
    question_characters: float = 200.0
    """Mean length of a question."""
    source: str = ""
    """Where these numbers come from."""
