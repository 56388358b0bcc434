"""`mdctl slices`."""

from typing import Annotated

import typer

from mdctl.cli import output
from mdctl.cli.options import Output


def slices(
    family: Annotated[str | None, typer.Argument(help="Only names that begin so, such as v5p or h100.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also those written out, such as v5p-4x4x32.")] = False,
    form: Output = output.Format.TABLE,
) -> None:
    """List the slices that jobs run on.

    \b
    mdctl slices v6e
    mdctl slices --all -o json
    """
    from mdctl.spec.errors import SliceError
    from mdctl.spec.slices import Slice, all_slices, named_slices

    def row(slice_: Slice) -> output.Row:
        return {
            "name": slice_.name,
            "topology": slice_.topology_label,
            "chips": slice_.chips,
            "cores": slice_.cores,
            "hosts": slice_.hosts,
            "devices": slice_.devices,
            "hbm GiB": slice_.hbm_gib,
            "machine": slice_.machine_type,
        }

    begins = (family or "").lower()
    slices_ = (all_slices if every else named_slices)()
    found = [
        row(slice_) for slice_ in slices_ if any(name.startswith(begins) for name in (slice_.name, slice_.generation))
    ]
    if not found:
        raise SliceError(f"no slice's name begins with {family!r}; `mdctl slices` lists all")
    output.rows(found, form)
