"""Where a step of mdctl's Stable Diffusion spends its time on a CPU, by the kind of what XLA made of it.

    python benchmarks/stable_diffusion_diffusers.py FOLDER CASE eager < /dev/null      (with .venv-parity's python)
    python benchmarks/stable_diffusion_profile.py FOLDER CASE

Seconds are added up over threads. Products and convolutions go to a library (`ynn`) or to XLA's own
code. What is `back` belongs to a backward pass.
"""

import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) .*\{$", re.MULTILINE)
INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (.*)$", re.MULTILINE)
CALLED = re.compile(r"(?:calls|to_apply)=%?([\w.\-]+)")
SHOWN = 20


def main(folder: Path, case: str) -> None:
    with tempfile.TemporaryDirectory() as dumped, tempfile.TemporaryDirectory() as traced:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_dump_to={dumped} --xla_dump_hlo_as_text"
        step = compiled_step(folder, case)
        seconds = Counter(dict(operations(step, Path(traced))))
        programs = Path(dumped).glob("*cpu_after_optimizations.txt")
        kinds = kinds_of(max(programs, key=lambda path: path.stat().st_size).read_text())
    spent: Counter[str] = Counter()
    for name, taken in seconds.items():
        if name in kinds:
            spent[kinds[name]] += taken
    for kind, taken in spent.most_common(SHOWN):
        print(f"{taken:9.3f} s {taken / spent.total():6.1%}  {kind}")


def compiled_step(folder: Path, case: str) -> Callable[[], None]:
    """Return our side's step, taken twice."""
    from stable_diffusion_mdctl import prepared

    run = prepared(folder, case, "cpu")
    run()
    run()
    return run


def operations(step: Callable[[], None], folder: Path) -> Iterator[tuple[str, float]]:
    """Take a step, and yield each operation that XLA's threads ran, with its seconds."""
    import jax

    with jax.profiler.trace(str(folder)):
        step()
    (trace,) = folder.rglob("*.xplane.pb")
    spent: Counter[str] = Counter()
    for plane in jax.profiler.ProfileData.from_file(str(trace)).planes:
        for line in plane.lines:
            for event in line.events if line.name.startswith("tf_XLA") else ():
                spent[event.name] += event.duration_ns / 1e9
    yield from spent.items()


def kinds_of(program: str) -> Mapping[str, str]:
    """Return what each instruction of an optimised program is."""
    parts = COMPUTATION.split(program)
    bodies = dict(zip(parts[1::2], parts[2::2], strict=True))
    return {name: _kind(name, rest, bodies) for body in bodies.values() for name, rest in INSTRUCTION.findall(body)}


def _kind(name: str, rest: str, bodies: Mapping[str, str]) -> str:
    text = "\n".join([rest, *(bodies.get(called, "") for called in CALLED.findall(rest))])
    named = {"convolution": " convolution(", "product": " dot(", "sum": " reduce("}
    what = next((kind for kind, mark in named.items() if mark in text), re.sub(r"[.\d]+$", "", name))
    way = "back" if "transpose(" in text else "forward"
    return f"{what}, {way}, {'ynn' if 'ynn' in name else 'xla'}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
