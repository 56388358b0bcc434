import re

from mdctl.demo.picture.emoji import COLOURS, HELD_OUT, HELD_OUT_CAPTIONS, SAID, SHAPES, THINGS, TRAINED, Emoji


def test_192_are_trained_on_and_three_are_not() -> None:
    assert (len(TRAINED), len(HELD_OUT)) == (192, 3)
    both = (*TRAINED, *HELD_OUT)
    for values in zip(*both, strict=True):
        assert len(set(values)) == 195
    assert [emoji.name for emoji in TRAINED] == sorted(emoji.name for emoji in TRAINED)


def test_captions_are_a_few_plain_words() -> None:
    for emoji in (*TRAINED, *HELD_OUT):
        assert re.fullmatch(r"[a-z]+( [a-z]+){0,3}", emoji.caption), emoji


def test_every_colour_of_every_shape_is_seen_or_held_out() -> None:
    combinations = {f"{colour} {shape}" for colour in COLOURS for shape in SHAPES}
    trained = {emoji.caption for emoji in TRAINED} & combinations
    assert trained == combinations - set(HELD_OUT_CAPTIONS)
    assert {emoji.caption for emoji in HELD_OUT} == set(HELD_OUT_CAPTIONS)


def test_each_word_that_is_held_out_is_trained_on_in_other_company() -> None:
    words = {word for emoji in TRAINED for word in emoji.caption.split()}
    assert {word for caption in HELD_OUT_CAPTIONS for word in caption.split()} <= words


def test_captions_that_are_not_short_names_belong_to_something() -> None:
    assert SAID.keys() <= set(THINGS.split())
    assert Emoji("8ball", "billiard ball") in TRAINED
    assert Emoji("alarm_clock", "alarm clock").name == "alarm-clock"
