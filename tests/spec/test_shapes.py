import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdctl.spec.catalogue import CATALOGUE, find_model
from mdctl.spec.errors import SpecError
from mdctl.spec.shapes import LatentShape, PixelShape, Strides

WAN = Strides(4, 8, 8)
PATCH = Strides(1, 2, 2)
SIZES = st.integers(1, 64)


def test_the_full_video_has_75600_tokens():
    latent = PixelShape(81, 720, 1280).latent(WAN, 16)
    assert latent == (21, 90, 160, 16)
    assert latent.patches(PATCH) == (21, 45, 80)
    assert latent.patches(PATCH).tokens == 75_600
    assert find_model("wan2.1-t2v-14b").tokens(PixelShape(81, 720, 1280)) == 75_600


def test_an_image_is_a_video_of_one_frame():
    assert PixelShape(1, 64, 64).latent(WAN, 16).frames == 1


@given(SIZES, SIZES, SIZES)
def test_latents_decode_to_the_video_they_came_from(frames, height, width):
    latent = LatentShape(frames, height, width, 16)
    assert latent.pixels(WAN).latent(WAN, 16) == latent


@pytest.mark.parametrize("shape", [PixelShape(80, 64, 64), PixelShape(81, 60, 64), PixelShape(81, 64, 60)])
def test_a_video_that_does_not_fit_has_no_latents(shape):
    with pytest.raises(AssertionError):
        shape.latent(WAN, 16)


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_model_is_found_by_its_name(name):
    assert find_model(name).name == name
    strides = {"wan": (4, 16, 16), "stable-diffusion": (1, 8, 8)}[find_model(name).family]
    assert find_model(name).pixel_strides == ((1, 4, 4) if name in ("sd-tiny", "sdxl-tiny") else strides)


def test_a_name_of_no_model_is_refused_with_the_nearest():
    with pytest.raises(SpecError, match=r"no model is called 'wan2.1-14b'; the nearest is 'wan2.1-t2v-14b' \(all: "):
        find_model("wan2.1-14b")
