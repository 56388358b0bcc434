"""What is done to a clip that is trained on, and never to one that is held out: which size, which side, which part."""

from dataclasses import dataclass, replace

from mdctl.data.draws import corner, is_mirrored
from mdctl.data.video import Decoding
from mdctl.spec.buckets import Size, nearest


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """How clips are decoded to be trained on; the default is as those held out are.

    `sizes` are those of the buckets, empty for one size. Where `is_kept`, clips are encoded once in every way that they
    are trained on; otherwise whenever they are.
    """

    sizes: tuple[Size, ...] = ()
    mirrors: bool = False
    crops: bool = False
    is_kept: bool = True

    def __post_init__(self) -> None:
        assert not (self.crops and self.is_kept), "endlessly many crops cannot be kept"

    def bucket(self, decoding: Decoding, size: Size) -> Decoding:
        """Return how clips of a size are decoded where they belong."""
        target = nearest(size, self.sizes)
        return replace(decoding, shape=decoding.shape._replace(height=target.height, width=target.width))

    def kept(self, decoding: Decoding) -> tuple[Decoding, ...]:
        """Return every way to decode a clip that is worth keeping."""
        if not self.is_kept:
            return ()
        return (decoding, replace(decoding, mirrored=True)) if self.mirrors else (decoding,)

    def in_row(self, decoding: Decoding, seed: int, row: int) -> Decoding:
        """Return how a clip is decoded in a row of training."""
        return replace(
            decoding,
            mirrored=self.mirrors and is_mirrored(seed, row),
            corner=corner(seed, row) if self.crops else None,
        )
