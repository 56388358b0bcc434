import pytest
from pydantic import ValidationError

from mdctl.spec.training import DataSpec


def test_a_random_crop_and_kept_latents_are_refused_with_the_way_out() -> None:
    with pytest.raises(ValidationError) as caught:
        DataSpec.model_validate({"crop": "random"})
    (error,) = caught.value.errors()
    assert error["msg"] == (
        "Value error, crop random takes another part of a clip each time, but cacheLatents true keeps the latents of "
        "one; add data.cacheLatents=false, or use crop center"
    )
    DataSpec.model_validate({"crop": "random", "cacheLatents": False})
    DataSpec.model_validate({"crop": "center", "cacheLatents": False})


def test_buckets_are_off_until_they_are_asked_for() -> None:
    assert DataSpec().buckets is None
    asked = DataSpec.model_validate({"buckets": {}}).buckets
    assert asked is not None
    assert (asked.step, asked.max_ratio) == (64, 2)
