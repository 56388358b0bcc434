"""The optimised HLO of a TPU program, as far as its cost is written in it.

libtpu notes on most instructions how many cycles it expects (`estimated_cycles`). It notes none on Pallas kernels and
collectives, and no trip counts: a loop's are read off its condition.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

COLLECTIVES = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")
_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4, "s64": 8, "u64": 8, "f64": 8}

_HEADER = re.compile(r"^(?:ENTRY )?%(\S+) \(.*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%(\S+) = (.*)$")
_OPCODE = re.compile(r"(?:^|(?<=[\s}\])]))([a-z][a-z0-9-]*)\(")
_ARRAY = re.compile(r"\b(" + "|".join(_BYTES) + r")\[([0-9,]*)\]")


@dataclass(frozen=True)
class Instruction:
    """One line of a computation."""

    name: str
    opcode: str
    shape: str
    """As written: one array, or a tuple of them."""
    text: str

    @property
    def cycles(self) -> int:
        """Return what the compiler expects this to take; 0 where it does not say."""
        found = re.search(r'"estimated_cycles":"(\d+)"', self.text)
        return int(found[1]) if found else 0

    def named(self, role: str) -> str | None:
        """Return the name that follows `role=%`."""
        found = re.search(rf"\b{role}=%([^\s,)}}]+)", self.text)
        return found[1] if found else None


@dataclass(frozen=True)
class Module:
    """Computations by name, and which of them is run."""

    computations: Mapping[str, list[Instruction]]
    entry: str

    def executed(self) -> Iterator[tuple[Instruction, int]]:
        """Yield every instruction that is run, with how often: bodies of loops times their trip counts."""
        yield from self._executed(self.entry, 1)

    def contains(self, computation: str | None, opcode: str) -> bool:
        """Return whether a computation has an instruction of this opcode, itself or in what it calls."""
        return computation is not None and any(
            inner.opcode == opcode or self.contains(inner.named("calls"), opcode)
            for inner in self.computations[computation]
        )

    def _executed(self, computation: str, times: int) -> Iterator[tuple[Instruction, int]]:
        for instruction in self.computations[computation]:
            if instruction.opcode == "while":
                body = instruction.named("body")
                assert body is not None
                yield from self._executed(body, times * self._trip_count(instruction))
            elif instruction.opcode in ("call", "async-start"):
                called = instruction.named("to_apply") or instruction.named("calls")
                assert called is not None
                yield from self._executed(called, times)
            else:
                yield instruction, times

    def _trip_count(self, loop: Instruction) -> int:
        """Return the one bound that a loop's condition compares its counter with."""
        condition = loop.named("condition")
        assert condition is not None
        texts = (inner.text for inner in self.computations[condition])
        (bound,) = (int(found[1]) for text in texts if (found := re.search(r"constant\((\d+)\)", text)))
        return bound


def parse(text: str) -> Module:
    """Read the text of a compiled module."""
    computations: dict[str, list[Instruction]] = {}
    entry = current = ""
    for line in text.splitlines():
        if header := _HEADER.match(line):
            current = header[1]
            computations[current] = []
            entry = current if line.startswith("ENTRY") else entry
        elif found := _INSTRUCTION.match(line):
            name, rest = found.groups()
            opcode = _OPCODE.search(rest)
            assert opcode is not None, line[:200]
            computations[current].append(Instruction(name, opcode[1], rest[: opcode.start()].strip(), rest))
    return Module(computations, entry)


def sizes(shape: str) -> list[int]:
    """Return the bytes of each array of a shape."""
    return [_BYTES[kind] * prod(dims) for kind, dims in arrays(shape)]


def arrays(text: str) -> list[tuple[str, tuple[int, ...]]]:
    """Return element type and dimensions of each array that a text names."""
    return [(kind, tuple(int(n) for n in dims.split(",") if n)) for kind, dims in _ARRAY.findall(text)]


def group_size(collective: Instruction) -> int:
    """Return the number of devices that take part in one collective together."""
    text = collective.text
    if "collective-permute" in collective.opcode:
        return 2
    if found := re.search(r"replica_groups=mesh\[([^\]]*)\] \{([^}]*)\}", text):
        axes = {name: int(size) for name, size in re.findall(r"'(\w+)'=(\d+)", found[1])}
        return prod(axes[name] for name in re.findall(r"'(\w+)'", found[2]))
    if found := re.search(r"replica_groups=\[\d+,(\d+)\]<=", text):
        return int(found[1])
    found = re.search(r"replica_groups=\{\{([\d,]*)\}", text)
    assert found is not None, text[:300]
    return len(found[1].split(","))


def wire_bytes(collective: Instruction) -> int:
    """Return what one device sends in a collective, each by its best algorithm on a ring.

    A start of an asynchronous one names its operand and its result; the larger is the whole array, but for a reduction
    of many arrays at once, which names each once.
    """
    kind = collective.opcode.removesuffix("-start")
    group, named = group_size(collective), sizes(collective.shape)
    whole = max(named) if collective.opcode.endswith("-start") else sum(named)
    if kind == "reduce-scatter":
        whole *= group
    factor = {"all-reduce": 2.0, "collective-permute": 2.0}.get(kind, 1.0)
    return round(factor * whole * (group - 1) / group)
