"""Which picture samples are nearest to.

Every sample is held against all pictures; the rank of a picture is how many others are nearer to the sample, by the
mean squared difference of pixels. A sample is right if the picture that was asked for has rank 0.

Letters: S samples, N pictures, T = 1 frame, H height, W width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from mdctl.demo.measure import Videos, distance

ENOUGH = 0.8
"""The part of the samples that must be nearest to the picture that was asked for."""


@dataclass(frozen=True, kw_only=True)
class Recall:
    """How samples lie among pictures: `distances[s, n]` is that of sample s to picture n, which asked for `asked[s]`.

    A distance is the root mean square difference of pixels in [-1, 1].
    """

    distances: Float[np.ndarray, "S N"]
    asked: Int[np.ndarray, " S"]

    @property
    def ranks(self) -> Int[np.ndarray, "S N"]:
        """Return the rank of each picture for each sample."""
        return np.stack([np.searchsorted(np.sort(row), row) for row in self.distances])

    @property
    def nearest(self) -> Int[np.ndarray, " S"]:
        """Return the picture nearest to each sample."""
        return self.distances.argmin(axis=1)

    @property
    def num_pictures(self) -> int:
        """Return how many pictures there are."""
        return len(self.distances[0])

    @property
    def own(self) -> float:
        """Return the mean distance of samples to the pictures that were asked for."""
        return float(self.distances[self._is_asked].mean())

    @property
    def shuffled_own(self) -> float:
        """Return what that would be with every prompt swapped for another, over all ways to do so."""
        return float(self.distances[~self._is_asked].mean())

    def top(self, count: int) -> float:
        """Return for which part of the samples the picture that was asked for is among the `count` nearest."""
        return float((self.ranks[self._is_asked] < count).mean())

    def shuffled_top(self, count: int) -> float:
        """Return what that would be with every prompt swapped for another, over all ways to do so."""
        return float((self.ranks[~self._is_asked] < count).mean())

    @property
    def _is_asked(self) -> Bool[np.ndarray, "S N"]:
        is_asked: Bool[np.ndarray, "S N"] = self.asked[:, None] == np.arange(self.num_pictures)[None]
        return is_asked


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What the samples of a model come to; None is what was not asked for.

    `codec` is of what the codec makes of the pictures themselves; `held_out` is of samples of captions that were never
    trained on, whose pictures come after all others.
    """

    samples: Recall
    codec: Recall
    untrained: Recall | None = None
    held_out: Recall | None = None

    @property
    def passed(self) -> bool:
        """Say whether the model recalls enough of the pictures."""
        return self.samples.top(1) >= ENOUGH


def recall(samples: Videos, asked: Sequence[int], pictures: Videos) -> Recall:
    """Compare samples with pictures."""
    distances = [[distance(sample, picture) for picture in pictures] for sample in samples]
    return Recall(distances=np.array(distances), asked=np.array(asked))
