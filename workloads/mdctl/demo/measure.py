"""How far videos are from clips.

The distance of two videos is the root mean square difference of their pixels in [-1, 1]: black and white are 2 apart.

Letters: N captions, T frames, H height, W width.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

Videos = Float32[np.ndarray, "N T H W 3"]

ENOUGH = 10 / 12
"""Of the samples, as many must be nearer to their own clip than to any other."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What the samples of a trained model come to; caption i is that of clip i.

    `distances[i, j]` is that of the sample of caption i to clip j; the others are means over all clips: of what an
    untrained model samples, of the mean of all clips, and of what the codec makes of each.
    """

    distances: Float[np.ndarray, "N N"]
    untrained: float
    mean_clip: float
    codec: float

    @property
    def nearest(self) -> list[int]:
        """Return the clip nearest to each sample."""
        return [int(clip) for clip in self.distances.argmin(axis=1)]

    @property
    def num_own(self) -> int:
        """Return how many samples are nearest to their own clip."""
        return sum(clip == caption for caption, clip in enumerate(self.nearest))

    @property
    def own(self) -> float:
        """Return the mean distance of the samples to their own clips."""
        return float(self.distances.diagonal().mean())

    @property
    def shuffled(self) -> float:
        """Return what the mean distance would be with every prompt swapped for another, over all ways to do so."""
        others = ~np.eye(len(self.distances), dtype=bool)
        return float(self.distances[others].mean())

    @property
    def passed(self) -> bool:
        """Say whether the model did what the demo claims."""
        return self.num_own >= ENOUGH * len(self.distances) and self.own < self.mean_clip


def measure(samples: Videos, clips: Videos, untrained: Videos, decoded: Videos) -> Findings:
    """Compare samples, those of an untrained model, and what the codec decodes, with the clips."""
    mean_clip = np.broadcast_to(clips.mean(axis=0), clips.shape)
    return Findings(
        distances=np.stack([[distance(sample, clip) for clip in clips] for sample in samples]),
        untrained=mean_distance(untrained, clips),
        mean_clip=mean_distance(mean_clip, clips),
        codec=mean_distance(decoded, clips),
    )


def mean_distance(videos: Videos, clips: Videos) -> float:
    """Return the mean distance of each video to its clip."""
    return float(np.mean([distance(video, clip) for video, clip in zip(videos, clips, strict=True)]))


def distance(video: Float32[np.ndarray, "T H W 3"], clip: Float32[np.ndarray, "T H W 3"]) -> float:
    """Return the root mean square difference."""
    return float(np.sqrt(np.mean(np.square(video - clip), dtype=np.float64)))
