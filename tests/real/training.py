"""The training job of these tests: the recipe's small size on two v5p-16 slices of two hosts each."""

STEPS = 24
"""Enough that a job told to stop after `EVERY` + 2 has some left, however quick a step is."""
EVERY = 4
HOSTS = 4


def training(demo, output, steps=STEPS, slices=2):
    """Return what follows `mdctl submit` for the recipe's small size on some slices."""
    return [
        *("train-wan", "--size", "small", "--slice", "v5p-16", "--num-slices", str(slices), "--output-dir", output),
        f"data.path={demo}/clips",
        f"model.weights={demo}/model",
        f"training.steps={steps}",
        "training.logEvery=1",
        "training.schedule.warmupSteps=1",
        f"training.checkpoint.every={EVERY}",
    ]


EVALUATION = [
    f"training.evaluation.every={STEPS}",
    'training.evaluation.prompts=["a bird over the water"]',
    "sampling.steps=4",
]

LOW = "queue.priority=low"
