"""What a rendered job lacks to be worth running on a cluster: `render` warns of it, `submit` refuses."""

from mdctl.spec.job import DiffusionJob


def concerns(job: DiffusionJob) -> list[str]:
    """Return one sentence for each thing that pods would lack; empty when there is none."""
    spec = job.spec
    found = []
    if not (spec.output_dir or "").startswith("gs://"):
        found.append(
            f"outputDir is {spec.output_dir!r}: pods lose what they write outside gs://, and hosts do not see each "
            "other's files; set outputDir=gs://BUCKET/FOLDER"
        )
    for field, place, schemes in (
        ("model.weights", spec.model.weights, "hf://ORG/NAME or gs://BUCKET/FOLDER"),
        ("model.checkpoint", spec.model.checkpoint, "gs://BUCKET/FOLDER"),
        ("sampling.promptsFile", spec.sampling.prompts_file, "gs://BUCKET/FILE"),
    ):
        if place is not None and "://" not in place:
            found.append(f"{field} is {place!r}: pods see no folder of this computer; set {field}={schemes}")
    if spec.task == "train" and spec.data.type == "folder" and not (spec.data.path or "").startswith("gs://"):
        found.append(
            f"data.path is {spec.data.path!r}: pods see no folder of this computer; "
            "set data.path=gs://BUCKET/FOLDER, or data.type=synthetic"
        )
    return found
