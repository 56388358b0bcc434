"""Rendered jobs that are kept as files: one recipe on every accelerator family, and the examples.

python -m tests.render.golden        write them all again, after a change that is meant
"""

from pathlib import Path

from mdctl.render.jobset import render_jobset
from mdctl.spec.job import DiffusionJob
from mdctl.spec.overrides import apply_overrides
from mdctl.spec.reading import parse_job
from mdctl.spec.recipes import find_recipe
from mdctl.spec.yaml_text import dump

REPOSITORY = Path(__file__).parents[2]
GOLDEN = Path("tests/render/golden")
EXAMPLES = Path("manifests/examples")

DATA = ("output_dir=gs://my-bucket/train-wan", "data.path=gs://my-bucket/clips")

FAMILIES = (
    "v4-64",
    "v5e-16",
    "v5p-64",
    "v6e-16",
    "tpu7x-16",
    "a3-high:2",
    "a3-mega:2",
    "a3-ultra:2",
    "a4:2",
)

TWO_SLICES = (
    "run_name=train-wan-2",
    "slice=v5p-64",
    "num_slices=2",
    "queue={name: tpu, priority: high, topology: cloud.google.com/gke-nodepool}",
    "capacity.type=spot",
    "service_account=trainer",
    "secrets=[{name: hub, key: token, env: HF_TOKEN}, {name: notes, mount_path: /secrets/notes}]",
    "resources={cpu: '100', memory: 300Gi, shared_memory: 64Gi}",
    "environment={JAX_LOG_COMPILES: '1'}",
)

FOUR_SLICES = (
    "num_slices=4",
    "sampling={prompts: [], prompts_file: gs://my-bucket/prompts.txt}",
    "output_dir=gs://my-bucket/generate-wan",
)


def recipe_job(recipe: str, *overrides: str) -> DiffusionJob:
    """Return a recipe's job with overrides."""
    return parse_job(apply_overrides(find_recipe(recipe).job(), overrides), where=recipe)


def jobs() -> dict[Path, DiffusionJob]:
    """Return the job of every file."""
    families = {
        GOLDEN / f"train-wan-{family.replace(':', 'x')}.yaml": recipe_job("train-wan", f"slice={family}", *DATA)
        for family in FAMILIES
    }
    return {
        **families,
        GOLDEN / "train-wan-two-slices.yaml": recipe_job("train-wan", *TWO_SLICES, *DATA),
        EXAMPLES / "train-wan-v5p-64.yaml": recipe_job("train-wan", *DATA),
        EXAMPLES / "train-wan-h200-16.yaml": recipe_job("train-wan", "slice=h200-16", *DATA),
        EXAMPLES / "generate-wan-v6e-8.yaml": recipe_job("generate-wan", "output_dir=gs://my-bucket/generate-wan"),
        EXAMPLES / "generate-wan-4-slices.yaml": recipe_job("generate-wan", *FOUR_SLICES),
    }


def render(job: DiffusionJob) -> str:
    """Return the text of a job's file."""
    return dump(render_jobset(job))


def main() -> None:
    """Write every file."""
    for path, job in jobs().items():
        (REPOSITORY / path).parent.mkdir(parents=True, exist_ok=True)
        (REPOSITORY / path).write_text(render(job), encoding="utf-8")


if __name__ == "__main__":
    main()
