"""What a LoRA file says: for each part of a pipeline and each module there, two factors and how they are scaled."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32


class Pair(NamedTuple):
    """The factors of one module in the published layout: `up` has two dims, `down` those of the module's kernel."""

    down: Float32[np.ndarray, "R ..."]
    up: Float32[np.ndarray, "O R"]
    alpha: float

    @property
    def rank(self) -> int:
        """Return the rank of the two."""
        return int(self.up.shape[1])


Pairs = Mapping[str, Pair]
"""Published name of a module -> its factors."""

Adapter = Mapping[str, Pairs]
"""`unet`, `transformer`, `text_encoder` or `text_encoder_2` -> the factors of its modules."""
