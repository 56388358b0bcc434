import pytest

from mdctl.spec.errors import SpecError
from mdctl.spec.merging import changes, merge
from mdctl.spec.overrides import apply_overrides
from mdctl.spec.reading import parse_job
from mdctl.spec.recipes import find_recipe, recipe_names
from mdctl.spec.slices import all_slices

SIZED = [(name, size) for name in recipe_names() for size in find_recipe(name).size_names]


def test_the_recipes():
    models = ("sd15", "sd2", "sd21", "sdxl", "wan")
    assert {f"{task}-{model}" for task in ("generate", "train") for model in models} <= set(recipe_names())
    assert {"generate-sdxl-lightning", "dreambooth-sd15", "dreambooth-sdxl"} <= set(recipe_names())


@pytest.mark.parametrize(("name", "size"), SIZED)
def test_every_size_of_every_recipe_is_valid(name, size):
    data = find_recipe(name).job(size)
    if size != "full":
        data["spec"]["slice"] = "cpu-1"
    job = parse_job(data, name)
    assert job.metadata.name == name
    verb = name.partition("-")[0]
    assert job.spec.task == ("train" if verb == "dreambooth" else verb)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_has_a_small_size(name):
    assert find_recipe(name).size_names == ("full", "small")


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_a_difference(name):
    """The full size repeats no default, but for its slice."""
    recipe = find_recipe(name)
    picture = {"model": {"name": "sd-tiny", "weights": "any"}, "video": {"frames": 1}}
    plain = {"task": recipe.spec["task"], "sampling": {"prompts": ["any"]}, **({} if "wan" in name else picture)}
    default, job = (parse_job({"metadata": {"name": "a"}, "spec": spec}, name) for spec in (plain, recipe.spec))
    dumps = (each.spec.model_dump(mode="json", by_alias=True) for each in (default, job))
    differing = {change.path for change in changes(*dumps)}
    assert {change.path for change in changes({}, recipe.spec)} - {"task", "slice", "video.frames"} <= differing


def test_train_wan_is_the_full_model_on_v5p_64():
    spec = parse_job(find_recipe("train-wan").job(), "train-wan").spec
    assert (spec.model.name, spec.slice) == ("wan2.1-t2v-14b", "v5p-64")
    assert (spec.video.height, spec.video.width, spec.video.frames) == (720, 1280, 81)
    assert spec.layout.describe() == "mesh fsdp 8 x context 4 (32 devices): batch 8 in 8, tokens in 4"


def test_train_wan_scales_with_the_slice():
    """On every slice whose devices the context axis divides, the batch follows the devices."""
    for slice_ in all_slices():
        if slice_.devices % 4 == 0:
            data = apply_overrides(find_recipe("train-wan").job(), [f"slice={slice_.name}"])
            assert parse_job(data, "train-wan").spec.layout.global_batch == slice_.devices // 4


def test_an_unknown_recipe_or_size_is_refused_with_what_there_is():
    with pytest.raises(SpecError, match="no recipe is called 'train-wann'; the nearest is 'train-wan'"):
        find_recipe("train-wann")
    with pytest.raises(SpecError, match="recipe train-wan has no size 'tiny'; there are: full, small"):
        find_recipe("train-wan").job("tiny")


def test_taking_a_recipe_does_not_change_it():
    first = find_recipe("train-wan").job("small")
    merge(first, {"spec": {"video": {"height": 1}}})
    assert find_recipe("train-wan").job("small") == first
    assert find_recipe("train-wan").job()["spec"]["batch"] == {"perDevice": 0.25}
