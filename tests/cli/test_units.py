import pytest

from mdctl.cli.units import duration, size


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.977 KiB"),
        (1024, "1 KiB"),
        (560_748, "548 KiB"),
        (1 << 20, "1 MiB"),
        (52_345_678_901, "48.8 GiB"),
        (5 << 50, "5120 TiB"),
    ],
)
def test_sizes(count, words):
    assert size(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (12_000, "3 h 20 min"),
        (86_400, "1 d"),
        (444_000, "5 d 3 h"),
    ],
)
def test_durations(seconds, words):
    assert duration(seconds) == words
