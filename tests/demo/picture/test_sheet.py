import numpy as np

from mdctl.demo.picture.sheet import NUM_COLUMNS, NUM_ROWS, every_so_many, sheet
from mdctl.inference.contact_sheet import LABEL_HEIGHT, MARGIN, TILE_HEIGHT, Row

CELL = TILE_HEIGHT + MARGIN
ROW = LABEL_HEIGHT + CELL


def rows(count: int, num_pictures: int = 2) -> list[Row]:
    """Return rows of black and grey."""
    return [Row(str(n), [np.full((1, 8, 8, 3), 20 * k, np.uint8) for k in range(num_pictures)]) for n in range(count)]


def test_rows_are_chosen_evenly_by_their_place() -> None:
    assert [row.label for row in every_so_many(rows(11), 6)] == ["0", "2", "4", "6", "8", "10"]
    assert len(every_so_many(rows(4), 6)) == 4


def test_prompts_stand_in_columns() -> None:
    made = sheet(rows(192), [])
    assert made.shape == (MARGIN + NUM_ROWS * ROW, NUM_COLUMNS * (MARGIN + 2 * CELL), 3)


def test_what_is_held_out_stands_below() -> None:
    made = sheet(rows(NUM_COLUMNS), rows(3, num_pictures=9))
    assert made.shape == (2 * MARGIN + 4 * ROW, NUM_COLUMNS * (MARGIN + 2 * CELL), 3)
    third = made[2 * MARGIN + 2 * ROW + LABEL_HEIGHT + TILE_HEIGHT // 2]
    assert [int(third[MARGIN + n * CELL + CELL // 2, 0]) for n in range(5)] == [0, 20, 40, 60, 80]


def test_what_is_short_or_narrow_is_filled_up_with_white() -> None:
    made = sheet(rows(NUM_COLUMNS + 1), rows(1))
    assert (made[-TILE_HEIGHT:, -CELL:] == 255).all()
    assert (made[ROW + MARGIN : 2 * ROW, -CELL:] == 255).all()
