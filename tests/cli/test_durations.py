import pytest
import typer

from mdctl.cli.durations import seconds


@pytest.mark.parametrize(
    ("text", "number"), [("45s", 45), ("10m", 600), ("1h30m", 5400), ("2d", 172_800), ("0.5h", 1800), (" 1M ", 60)]
)
def test_a_length_of_time_is_read_as_it_is_written(text, number):
    assert seconds(text) == number


@pytest.mark.parametrize("text", ["", "10", "m", "-5m", "10x", "5m 3s", "3s5m", "1e3s"])
def test_what_is_none_is_refused_with_examples(text):
    with pytest.raises(typer.BadParameter, match="write one such as 45s, 10m, 1h30m or 2d"):
        seconds(text)
