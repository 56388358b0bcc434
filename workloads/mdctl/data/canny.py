"""The edges of a picture, as ControlNets of the canny kind were trained on them: white lines on black.

Where they lie is OpenCV's to say, on the picture as it is, in colour: of a pixel's channels the one that changes most
counts, by the sum of what it changes across and down.
"""

import numpy as np
from jaxtyping import UInt8

from mdctl.spec.errors import DataError

Edges = UInt8[np.ndarray, "H W"]


def canny(image: UInt8[np.ndarray, "H W 3"], low: int = 100, high: int = 200) -> Edges:
    """Return 255 on edges and 0 elsewhere.

    An edge begins where the change is above `high`, and goes on while it is above `low`. A step of n levels between two
    halves of a picture is a change of 4 n.

    Raises DataError if OpenCV is not installed, or the thresholds are not in order.
    """
    if not 0 <= low <= high:
        raise DataError(f"canny: the low threshold {low} and the high one {high} must be in order, and not below 0")
    try:
        import cv2
    except ImportError as error:
        advice = "Install mdctl[workloads], or give the edges instead of the picture."
        raise DataError(
            f"canny: edges are found by opencv-python-headless, which does not load: {error}. {advice}"
        ) from None
    edges: Edges = np.asarray(cv2.Canny(np.ascontiguousarray(image), low, high), np.uint8)
    return edges
