import numpy as np

from mdctl.data.synthetic import SyntheticShape, synthetic_dataset
from mdctl.spec.shapes import LatentShape

SHAPE = SyntheticShape(latents=LatentShape(3, 2, 4, 16), conditioning={"text": (6, 5), "image": (2, 5)})


def test_examples_have_the_shapes_asked_for() -> None:
    batch = next(synthetic_dataset(SHAPE, num_samples=None, seed=0).batches(0, 2, [0, 1]))
    assert batch["latents"].shape == (2, 3, 2, 4, 16)
    assert {name: array.shape for name, array in batch["conditioning"].items()} == {
        "text": (2, 6, 5),
        "image": (2, 2, 5),
    }


def test_an_example_is_a_function_of_seed_and_index() -> None:
    one, same, other = (synthetic_dataset(SHAPE, num_samples=None, seed=seed).load(4, 4) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one["latents"], same["latents"])
    np.testing.assert_array_equal(one["conditioning"]["text"], same["conditioning"]["text"])
    assert not np.array_equal(one["latents"], other["latents"])


def test_a_finite_set_repeats_and_an_endless_one_does_not() -> None:
    def distinct(num_samples: int | None) -> int:
        data = synthetic_dataset(SHAPE, num_samples=num_samples, seed=3)
        batches = data.batches(0, 4, range(4))
        return len({latents.tobytes() for _ in range(3) for latents in next(batches)["latents"]})

    assert (distinct(3), distinct(None)) == (3, 12)


def test_held_out_examples_are_never_trained_on() -> None:
    data = synthetic_dataset(SHAPE, num_samples=4, seed=3, num_held_out=2)
    trained = {data.load(i, i)["latents"].tobytes() for i in range(4)}
    assert not trained & {latents.tobytes() for latents in data.held_out_batch(range(2))["latents"]}
