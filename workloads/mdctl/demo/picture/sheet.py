"""Pictures and samples on one sheet, which is chosen by their names and not by how well they came out.

Above stand columns of prompts, each with its picture on the left and its sample on the right; below, the prompts that
were held out, each with its picture first and its samples after it.

Letters: H height, W width.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from mdctl.inference.contact_sheet import Row, contact_sheet

Sheet = UInt8[np.ndarray, "H W 3"]

NUM_COLUMNS, NUM_ROWS = 6, 6
WHITE = 255


def sheet(rows: Sequence[Row], held_out: Sequence[Row]) -> Sheet:
    """Show every so manieth of `rows`, and all of `held_out`, of which there may be none."""
    shown = every_so_many(rows, NUM_COLUMNS * NUM_ROWS)
    height = -(-len(shown) // NUM_COLUMNS)
    columns = [contact_sheet(shown[start : start + height]) for start in range(0, len(shown), height)]
    above = side_by_side(columns)
    return stacked([above, contact_sheet(held_out)]) if held_out else above


def every_so_many(rows: Sequence[Row], count: int) -> list[Row]:
    """Return at most `count` rows, evenly spaced from the first to the last."""
    numbers = np.linspace(0, len(rows) - 1, min(count, len(rows))).round()
    return [rows[int(number)] for number in numbers]


def side_by_side(sheets: Sequence[Sheet]) -> Sheet:
    """Put sheets beside each other, white where one is shorter than the highest."""
    height = max(len(each) for each in sheets)
    padded = [np.pad(each, ((0, height - len(each)), (0, 0), (0, 0)), constant_values=WHITE) for each in sheets]
    return np.concatenate(padded, axis=1)


def stacked(sheets: Sequence[Sheet]) -> Sheet:
    """Put sheets under each other, white where one is narrower than the widest."""
    width = max(each.shape[1] for each in sheets)
    padded = [np.pad(each, ((0, 0), (0, width - each.shape[1]), (0, 0)), constant_values=WHITE) for each in sheets]
    return np.concatenate(padded, axis=0)
