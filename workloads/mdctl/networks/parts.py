"""The parameters of a network that are trained, and those that are not: names at the top of its tree."""

from collections.abc import Set

from mdctl.diffusion.denoise import Params


def split(params: Params, frozen: Set[str]) -> tuple[Params, Params]:
    """Return what of a tree is trained, and what is not: None if all is."""
    if not frozen:
        return params, None
    trained = {name: part for name, part in params.items() if name not in frozen}
    return trained, {name: part for name, part in params.items() if name in frozen}


def together(trained: Params, frozen: Params) -> Params:
    """Return the tree that was split so."""
    return trained if frozen is None else {**trained, **frozen}
