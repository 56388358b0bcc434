"""Video files and arrays: decode a clip at the size and rate that a model wants, and encode what it made.

A clip is read from its first frame on. At a wanted rate f, frame k is the one whose presentation time lies nearest to

    first time + k / f                                                    (1)

(the earlier of two as near); the last frame counts for half as long as the one before it lasts. Each frame is cut to
the largest rectangle of the wanted proportions, in its centre if nothing else is said, and that is scaled: area average
to shrink, bicubic to enlarge. An image is a video of one frame; what is transparent in it is white.

Dimensions: T frames, H height, W width, RGB bytes.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain, islice, pairwise
from pathlib import PurePath

import av
import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image, ImageOps

from mdctl.data.framing import Corner, framed
from mdctl.spec.buckets import Size
from mdctl.spec.errors import DataError
from mdctl.spec.shapes import PixelShape

IMAGES = frozenset({".jpeg", ".jpg", ".png", ".webp"})
VIDEOS = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})
MEDIA = IMAGES | VIDEOS

H264 = {
    # Constant rate factor: 0 is lossless, 18 looks so.
    "crf": "8",
    # Macroblock trees read memory that nobody wrote: with them the same video gives other bytes every time.
    "x264-params": "mbtree=0",
}

Pixels = UInt8[np.ndarray, "T H W 3"]


class UnreadableClip(DataError):  # noqa: N818 - named like its family
    """A clip that does not decode to the frames wanted; the message says why, without the clip's name."""


@dataclass(frozen=True)
class Decoding:
    """The size that clips are decoded to, and the rate; `fps` None takes every frame that the file has.

    Clips are mirrored if they are to be, and then cut: in the centre, or where `corner` says.
    """

    shape: PixelShape
    fps: int | None = None
    # Entries of caches are named for what is shown of this: the two below came later.
    mirrored: bool = field(default=False, repr=False)
    corner: Corner | None = field(default=None, repr=False)

    @property
    def size(self) -> Size:
        """Return the size of a frame."""
        return Size(self.shape.height, self.shape.width)


def decode(name: str, content: bytes, decoding: Decoding) -> Pixels:
    """Decode the content of a video or image, which one its name says.

    Raises UnreadableClip if it is no such file, is damaged, or has too few frames.
    """
    wanted = decoding.shape
    frames = islice(_frames(name, content, decoding.fps), wanted.frames)
    upright = (ImageOps.mirror(picture) if decoding.mirrored else picture for picture in frames)
    fitted = [fit(picture, wanted.height, wanted.width, decoding.corner) for picture in upright]
    if len(fitted) < wanted.frames:
        rate = "" if decoding.fps is None else f" at {decoding.fps} frames a second"
        raise UnreadableClip(f"too short: {len(fitted)} of {wanted.frames} frames{rate}")
    return np.stack(fitted)


def measure(name: str, content: bytes) -> Size:
    """Return the size of a video's frames or of an image, upright; raises UnreadableClip."""
    for first in _frames(name, content, None):
        return Size(first.height, first.width)
    raise UnreadableClip("it has no frames")


def video_frames(content: bytes, fps: int | None = None) -> Iterator[Image.Image]:
    """Yield the frames of a video upright, as it has them or at the rate wanted; raises UnreadableClip."""
    try:
        with av.open(io.BytesIO(content), "r") as container:
            if not container.streams.video:
                raise UnreadableClip("it has no video stream")
            timed = ((_time(frame), frame) for frame in container.decode(container.streams.video[0]))
            for frame in (frame for _, frame in timed) if fps is None else at_rate(timed, fps):
                yield _upright(frame)
    except av.FFmpegError as error:
        raise UnreadableClip(f"damaged, or no video ({error.args[1]})") from error


def encode_mp4(pixels: Pixels, fps: int) -> bytes:
    """Encode to h264 in MP4, near-lossless but for the halved chroma of yuv420p; height and width are even.

    The same video gives the same bytes on the same machine.
    """
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options=H264)
        _, stream.height, stream.width, _ = pixels.shape
        stream.pix_fmt = "yuv420p"
        for frame in pixels:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def encode_png(pixels: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """Encode one picture."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png")
    return buffer.getvalue()


def to_model(pixels: Pixels) -> Float32[np.ndarray, "T H W 3"]:
    """Map bytes to [-1, 1]."""
    return pixels.astype(np.float32) / np.float32(127.5) - np.float32(1)


def to_bytes(pixels: Float32[np.ndarray, "T H W 3"]) -> Pixels:
    """Map [-1, 1] to the nearest bytes; what lies outside is clamped."""
    return np.clip(np.rint((pixels + np.float32(1)) * np.float32(127.5)), 0, 255).astype(np.uint8)


def fit(picture: Image.Image, height: int, width: int, corner: Corner | None = None) -> UInt8[np.ndarray, "H W 3"]:
    """Cut a picture to the proportions height : width, around its centre or at a corner, and scale it to that size."""
    scale = min(picture.height / height, picture.width / width)
    left, top = (picture.width - width * scale) / 2, (picture.height - height * scale) / 2
    if corner is not None:
        crop = framed(Size(picture.height, picture.width), Size(height, width), corner).crop
        left, top = crop.left * scale, crop.top * scale
    left, top = max(0.0, left), max(0.0, top)  # rounding may have gone below
    box = (left, top, left + width * scale, top + height * scale)
    resampling = Image.Resampling.BOX if scale > 1 else Image.Resampling.BICUBIC
    return np.asarray(picture.resize((width, height), resampling, box))


def at_rate[F](timed: Iterable[tuple[Fraction, F]], fps: int) -> Iterator[F]:
    """Yield the frame nearest to each of the times (1); `timed` are (presentation time in seconds, frame)."""
    wanted, interval = None, Fraction(1, fps)
    for current, following in pairwise(chain[tuple[Fraction, F] | None](timed, [None])):
        assert current is not None
        time, frame = current
        wanted = time if wanted is None else wanted
        interval = interval if following is None else following[0] - time
        while 2 * (wanted - time) <= interval:
            yield frame
            wanted += Fraction(1, fps)


def _time(frame: av.VideoFrame) -> Fraction:
    # libav patches up what it can of a damaged frame, and marks it.
    if frame.is_corrupt or frame.pts is None or frame.time_base is None:
        raise UnreadableClip("damaged: a frame is incomplete or has no time")
    return Fraction(frame.pts) * frame.time_base


def _upright(frame: av.VideoFrame) -> Image.Image:
    return Image.fromarray(frame.to_ndarray(format="rgb24")).rotate(frame.rotation, expand=True)


def _frames(name: str, content: bytes, fps: int | None) -> Iterator[Image.Image]:
    return _decode_image(content) if PurePath(name).suffix.lower() in IMAGES else video_frames(content, fps)


def _decode_image(content: bytes) -> Iterator[Image.Image]:
    try:
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
        yield _on_white(image) if image.has_transparency_data else image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableClip("damaged, or no image") from error


def _on_white(image: Image.Image) -> Image.Image:
    """Return an image without transparency; under it, files hold any colour."""
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return white.convert("RGB")
