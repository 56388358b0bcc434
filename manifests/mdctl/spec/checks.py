"""What two fields of a spec must have in common. Each problem names both values and the way out."""

from collections import Counter
from collections.abc import Iterator
from math import lcm
from pathlib import PurePosixPath
from posixpath import normpath
from typing import TYPE_CHECKING

from mdctl.spec.catalogue import CatalogueModel, find_model
from mdctl.spec.errors import SpecError
from mdctl.spec.model import ADAPTER_SUFFIXES
from mdctl.spec.names import SHARED_MEMORY, SPEC_FOLDER
from mdctl.spec.refused import refused
from mdctl.spec.slices import resolve_slice

if TYPE_CHECKING:
    from mdctl.spec.job import JobSpec
    from mdctl.spec.model import VideoSpec
    from mdctl.spec.training import Synthetic


def problems(spec: "JobSpec") -> list[str]:
    """Return everything that keeps the parts of a spec from working together; empty when they do."""
    try:
        model = find_model(spec.model.name)
    except SpecError as error:
        return [f"model.name: {error}"]
    return [
        *refused(spec),
        *_hardware(spec),
        *_size("video", spec.video, model),
        *(_size("data.synthetic", spec.data.synthetic, model) if spec.data.type == "synthetic" else ()),
        *_heads(spec, model),
        *_process(spec, model),
        *_trained(spec, model),
        *_steps(spec, model),
        *_picture(spec),
        *_control_nets(spec, model),
        *_buckets(spec, model),
        *_mesh_and_batch(spec),
        *_prior(spec),
        *_task(spec),
        *_weights(spec),
        *_adapters(spec),
        *_secrets(spec),
    ]


def _hardware(spec: "JobSpec") -> Iterator[str]:
    kind = resolve_slice(spec.slice).kind
    if spec.hardware not in (None, kind):
        yield f"hardware is {spec.hardware!r} but slice {spec.slice} is {kind!r}; change one of them"


def neighbours(size: int, stride: int) -> str:
    """Return the nearest multiples of a stride, to choose from: `1072 or 1088`."""
    lower = size // stride * stride
    return " or ".join(str(n) for n in (lower, lower + stride) if n > 0)


def _size(field: str, video: "VideoSpec | Synthetic", model: CatalogueModel) -> Iterator[str]:
    strides = model.pixel_strides
    if model.makes_pictures and video.frames not in (1, None):
        yield f"{field}.frames is {video.frames}, but {model.name} makes pictures; set {field}.frames=1"
    if video.frames is not None and (video.frames - 1) % strides.temporal:
        lower = (video.frames - 1) // strides.temporal * strides.temporal + 1
        yield (
            f"{field}.frames {video.frames} is not {strides.temporal}k + 1, which {model.name}'s VAE needs; "
            f"use {lower} or {lower + strides.temporal}"
        )
    for side, size, vae, patch in (
        ("height", video.height, model.vae.height, model.patch.height),
        ("width", video.width, model.vae.width, model.patch.width),
    ):
        if size is not None and size % (vae * patch):
            yield (
                f"{field}.{side} {size} is not a multiple of {vae * patch} (VAE stride {vae} x patch {patch}); "
                f"use {neighbours(size, vae * patch)}"
            )


def _heads(spec: "JobSpec", model: CatalogueModel) -> Iterator[str]:
    for group in ("ici", "dcn"):
        tensor = getattr(spec.mesh, group).tensor
        if tensor > 0 and model.num_heads % tensor:
            fits = [str(n) for n in range(1, model.num_heads + 1) if model.num_heads % n == 0]
            yield (
                f"mesh.{group}.tensor {tensor} does not divide the {model.num_heads} attention heads of {model.name}; "
                f"use one of {', '.join(fits)}"
            )


def _process(spec: "JobSpec", model: CatalogueModel) -> Iterator[str]:
    """Yield settings of one kind of process that are given for a model of the other."""
    objective, sampling = spec.training.objective, spec.sampling
    of_flow = {
        "training.objective.weighting 'bell'": objective.weighting == "bell",
        "sampling.shift": sampling.shift is not None,
    }
    of_steps = {
        "training.objective.weighting 'min-snr'": objective.weighting == "min-snr",
        "sampling.spacing": sampling.spacing is not None,
    }
    others, kind = (of_steps, "flow matching") if model.process == "flow" else (of_flow, "diffusion in steps")
    for name, is_given in others.items():
        if is_given:
            yield f"{name} is given, but {model.name} was trained by {kind}, which knows nothing of it; leave it out"
    if objective.time_bias is not None and (objective.time_density, objective.weighting == "bell") != (
        "uniform",
        False,
    ):
        yield (
            f"training.objective.timeBias is for timeDensity 'uniform' without the weighting 'bell', and the spec has "
            f"{objective.time_density!r} and {objective.weighting!r}; change these, or leave timeBias out"
        )


def _trained(spec: "JobSpec", model: CatalogueModel) -> Iterator[str]:
    """Yield what cannot be trained, or not together."""
    training = spec.training
    if training.text_encoder is not None and not model.trainable_text:
        yield f"training.textEncoder is not implemented for {model.name}, only for Stable Diffusion; set it to null"
    if training.text_encoder is not None and training.lora is not None:
        yield "training.lora leaves the model as it is, and training.textEncoder trains a part of it; keep one"


def _steps(spec: "JobSpec", model: CatalogueModel) -> Iterator[str]:
    steps = spec.sampling.steps
    if model.distilled and spec.task == "generate" and steps not in model.distilled:
        yield (
            f"sampling.steps is {steps}, but {model.name} was distilled to "
            f"{', '.join(map(str, model.distilled))} steps; use one of these"
        )
    if model.distilled and spec.task == "train":
        yield f"{model.name} was distilled from sdxl and is not trained further; set model.name=sdxl"


def _picture(spec: "JobSpec") -> Iterator[str]:
    """Yield what does not go with a picture to start from."""
    sampling = spec.sampling
    if sampling.mask is not None and sampling.image is None:
        yield f"sampling.mask {sampling.mask!r} says what is kept of sampling.image, which is unset; give both"
    if sampling.image is not None and not spec.catalogue_model.makes_pictures:
        yield f"sampling.image is given, but {spec.model.name} makes videos from text alone; use a model of pictures"
    if sampling.image is not None and int(sampling.steps * sampling.strength) < 1:
        yield (
            f"sampling.strength {sampling.strength} of {sampling.steps} steps is less than one step; "
            f"use at least {1 / sampling.steps:.3g}, or more steps"
        )


def _control_nets(spec: "JobSpec", model: CatalogueModel) -> Iterator[str]:
    """Yield what keeps ControlNets from being trained or followed."""
    trained, controls = spec.training.control_net, spec.sampling.control
    for field, is_given in (("training.controlNet", trained is not None), ("sampling.control", bool(controls))):
        if is_given and not model.control_nets:
            yield f"{field} is given, but {model.name} has no ControlNets; use a model of Stable Diffusion"
    for field, other in (("textEncoder", spec.training.text_encoder), ("lora", spec.training.lora)):
        if trained is not None and other is not None:
            yield f"training.controlNet leaves the model as it is, and training.{field} trains with it; keep one"
    yield from (_control_nets_evaluated(spec) if spec.task == "train" else _control_nets_sampled(spec))


def _control_nets_sampled(spec: "JobSpec") -> Iterator[str]:
    for number, control in enumerate(spec.sampling.control):
        if control.weights is None and (number or spec.model.checkpoint is None):
            yield (
                f"sampling.control.{number}.weights is unset; name a ControlNet, hf://ORG/NAME, gs:// or a folder "
                "(only the first may leave it to model.checkpoint, a run of train-controlnet)"
            )


def _control_nets_evaluated(spec: "JobSpec") -> Iterator[str]:
    evaluation, controls = spec.training.evaluation, spec.sampling.control
    if spec.training.control_net is None:
        if controls:
            yield "sampling.control is given, but the job trains no ControlNet to sample with; leave it out"
        return
    if evaluation is not None and evaluation.prompts and [control.weights for control in controls] != [None]:
        yield (
            "training.evaluation.prompts are sampled with the ControlNet that is trained, and need one picture to "
            "follow; give it as sampling.control=[{image: PATH}], without weights, or leave the prompts out"
        )


def _buckets(spec: "JobSpec", model: CatalogueModel) -> Iterator[str]:
    buckets, stride = spec.data.buckets, lcm(model.pixel_strides.height, model.pixel_strides.width)
    if buckets is not None and buckets.step % stride:
        yield (
            f"data.buckets.step {buckets.step} is not a multiple of {stride}, the pixels that a position of "
            f"{model.name} spans; use {neighbours(buckets.step, stride)}"
        )


def _mesh_and_batch(spec: "JobSpec") -> Iterator[str]:
    model = find_model(spec.model.name)
    if spec.fans_out and (across := [f"{axis} {size}" for axis, size in spec.mesh.dcn if size > 1]):
        yield (
            f"mesh.dcn: {' x '.join(across)}, but each of the {spec.num_slices} slices generates alone, and no mesh "
            "spans two; leave mesh.dcn out"
        )
        return
    try:
        layout = spec.layout
    except SpecError as error:
        yield str(error)
        return
    tensor = layout.total.tensor
    if model.num_heads % tensor and -1 in (spec.mesh.ici.tensor, spec.mesh.dcn.tensor):
        yield f"the tensor axis fills up to {tensor}, which does not divide the {model.num_heads} heads of {model.name}"
    pieces = spec.training.gradient_accumulation
    if spec.task == "train" and layout.global_batch % (pieces * layout.batch_shards):
        yield (
            f"a global batch of {layout.global_batch} cannot be cut into {pieces} pieces "
            f"(training.gradientAccumulation) of {layout.batch_shards} shards; "
            f"use a batch of {neighbours(layout.global_batch, pieces * layout.batch_shards)}"
        )


def _prior(spec: "JobSpec") -> Iterator[str]:
    """Yield what keeps half of a batch from being of a subject, and half of its class."""
    if spec.training.prior is None or spec.task != "train":
        return
    if spec.data.type == "synthetic":
        yield "training.prior is for a folder of a subject, and data.type is 'synthetic'; set the prior to null"
    if spec.data.buckets is not None:
        yield (
            "training.prior takes pictures of one size, and data.buckets gives several; "
            "add data.buckets=null, or leave training.prior out"
        )
    try:
        batch = spec.layout.global_batch
    except SpecError:
        return  # said elsewhere
    pieces = spec.training.gradient_accumulation
    if batch % (2 * pieces):
        whole = lcm(2 * pieces, pieces * spec.layout.batch_shards)
        each = f" in each of {pieces} pieces (training.gradientAccumulation)" if pieces > 1 else ""
        yield (
            f"training.prior takes half of every batch, and a global batch of {batch} cannot be halved{each}; "
            f"use a batch of {neighbours(batch, whole)}"
        )


def _task(spec: "JobSpec") -> Iterator[str]:
    if spec.task == "train":
        schedule, steps = spec.training.schedule, spec.training.steps
        if schedule.warmup_steps > steps:
            yield (
                f"training.schedule.warmupSteps {schedule.warmup_steps} exceeds training.steps {steps}; "
                f"add training.schedule.warmupSteps={steps // 10}, or another number up to {steps}"
            )
        return
    if not spec.sampling.prompts and spec.sampling.prompts_file is None:
        yield "task is generate, and sampling.prompts and sampling.promptsFile are both unset; give one"
    if spec.sampling.prompts and spec.sampling.prompts_file:
        yield f"sampling.prompts and sampling.promptsFile {spec.sampling.prompts_file!r} are both given; give one"
    if spec.fans_out and 0 < len(spec.sampling.prompts) < spec.num_slices:
        yield (
            f"numSlices is {spec.num_slices}, each of which makes prompts of its own, but sampling.prompts has "
            f"{len(spec.sampling.prompts)}; use numSlices {len(spec.sampling.prompts)}, or give more prompts"
        )


def _weights(spec: "JobSpec") -> Iterator[str]:
    of_a_run = spec.model.checkpoint is not None
    if spec.model.weights is None and find_model(spec.model.name).weights is None and not of_a_run:
        yield f"model.weights is unset and {spec.model.name} has no published repository; name a folder or gs://"
    if spec.model.revision is not None and not (spec.model.weights or "hf://").startswith("hf://"):
        yield f"model.revision {spec.model.revision!r} needs hf:// weights, not {spec.model.weights!r}"


def _adapters(spec: "JobSpec") -> Iterator[str]:
    adapters = spec.model.lora
    if adapters and spec.task == "train":
        yield (
            "model.lora is for sampling, and the task is train; leave it out, and generate with the model that was "
            "trained and the LoRA together"
        )
    for name, count in Counter(adapter.called for adapter in adapters).items():
        if count > 1:
            yield f"model.lora: {count} are called {name!r}; give each of them a name of its own, with `name`"
    for index, adapter in enumerate(adapters):
        is_file = PurePosixPath(adapter.weights).suffix in ADAPTER_SUFFIXES
        if is_file and adapter.weight_name is not None:
            yield (
                f"model.lora.{index}.weights {adapter.weights!r} is a file, and weightName {adapter.weight_name!r} "
                "names one as well; leave weightName out"
            )


def _secrets(spec: "JobSpec") -> Iterator[str]:
    variables = Counter([*spec.environment, *(secret.env for secret in spec.secrets if secret.env is not None)])
    for index, secret in enumerate(spec.secrets):
        if secret.env is not None and secret.env.startswith("MDCTL_"):
            yield f"secrets.{index}.env {secret.env!r} is set by mdctl itself; choose a name without MDCTL_"
    for name, count in variables.items():
        if count > 1:
            yield f"the variable {name} is given {count} times in environment and secrets; keep one"
    folders = [f"/{normpath(secret.mount_path).lstrip('/')}" for secret in spec.secrets if secret.mount_path]
    for folder, count in Counter(folders).items():
        for taken in (SPEC_FOLDER, SHARED_MEMORY):
            if _is_nested(folder, taken):
                yield f"a secret's mountPath {folder!r} and {taken}, in every pod, overlap; choose another folder"
        if count > 1:
            yield f"{count} secrets have the mountPath {folder!r}; give each its own folder"


def _is_nested(one: str, other: str) -> bool:
    return PurePosixPath(one).is_relative_to(other) or PurePosixPath(other).is_relative_to(one)
