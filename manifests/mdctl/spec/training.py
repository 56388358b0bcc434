"""How a model is trained: data, objective, optimiser, checkpoints, evaluation."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mdctl.spec.buckets import Buckets
from mdctl.spec.edges import Edges
from mdctl.spec.model import Directory, Location, Place
from mdctl.spec.part import Part
from mdctl.spec.text import Prompt

Count = Annotated[int, Field(ge=1, lt=2**31)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class Batch(Part):
    """The batch, given once: in all, or per JAX device (then possibly a fraction)."""

    global_size: Count | None = None
    """Videos in one optimiser step, over all devices."""
    per_device: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    """Videos per JAX device; times all devices it must be whole: 0.25 on 4 devices is a batch of 1."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if self.global_size is not None and self.per_device is not None:
            raise ValueError(
                f"globalSize {self.global_size} and perDevice {self.per_device} are both given; give one of them"
            )
        return self


class Synthetic(Part):
    """A data set made of noise, to measure speed or to try a mesh."""

    num_samples: Count | None = None
    """Distinct samples; unset is endless."""
    height: Count | None = None
    """Unset is that of `video`; likewise width and frames."""
    width: Count | None = None
    frames: Count | None = None


class DataSpec(Part):
    """What is trained on."""

    type: Literal["folder", "synthetic"] = "folder"
    """`folder`: videos or images with captions in .txt sidecars, metadata.jsonl or metadata.csv."""
    path: Place | None = None
    """The folder, local or `gs://`."""
    caption: Prompt | None = None
    """That of every clip which has none of its own: `a photo of sks dog` for a few photographs of one dog. Null leaves
    such clips out, and says so."""
    held_out: Annotated[int, Field(ge=0)] = 0
    """Clips kept from training for the held-out loss."""
    cache: Directory | None = None
    """Where latents and text embeddings are kept; unset is `cache` in the output directory."""
    latents: Literal["sample", "mode"] = "sample"
    """What a clip's latents are where the VAE gives a distribution of them, as Stable Diffusion's does: `sample` draws
    them anew each time that the clip is trained on, `mode` always takes the mean. Wan is trained on the mean alone, and
    keeps it whatever is said here. Held-out clips are always their mean."""
    flip: bool = False
    """Mirror a clip, left for right, every other time on average that it is trained on. Both ways are encoded and kept,
    which takes twice the time and room. Not where captions speak of left and right, or pictures hold writing."""
    crop: Literal["center", "random"] = "center"
    """Where a clip of other proportions is cut: in its centre, or each time anew, which needs `cacheLatents` false."""
    cache_latents: bool = True
    """Encode each clip once and keep its latents. False encodes it whenever it is trained on: slower, because the VAE
    then stays on the first device of every host and works beside the training step. Captions are kept in any case."""
    buckets: Buckets | None = None
    """Train on images at sizes of several proportions; null cuts all to `video.height` x `video.width`."""
    synthetic: Synthetic = Synthetic()

    @model_validator(mode="after")
    def _a_random_crop_is_not_kept(self) -> Self:
        if self.crop == "random" and self.cache_latents:
            raise ValueError(
                "crop random takes another part of a clip each time, but cacheLatents true keeps the latents of one; "
                "add data.cacheLatents=false, or use crop center"
            )
        return self


class TimeBias(Part):
    """Train more often on a part of the times."""

    begin: Fraction = 0.75
    """Of the part; 0 is data, 1 is noise."""
    end: Fraction = 1.0
    multiplier: Annotated[float, Field(gt=0)] = 1.0
    """How many times as often as others the times of the part are drawn."""

    @model_validator(mode="after")
    def _is_a_part(self) -> Self:
        if not self.begin < self.end:
            raise ValueError(f"begin {self.begin} is not below end {self.end}; 0 is data, 1 is noise")
        return self


class Objective(Part):
    """Which times are drawn, how they weigh, how often the caption is dropped."""

    time_density: Literal["uniform", "logit-normal"] = "uniform"
    """Density of u, before the shift."""
    stratified: bool = False
    """Spread the times of a batch evenly over the density, one to each of as many equal parts."""
    time_bias: TimeBias | None = None
    """Draw u from a part of [0, 1] more often, for the uniform density."""
    shift: Annotated[float, Field(gt=0)] | None = None
    """s = shift u / (1 + (shift - 1) u); unset is 5 for Wan, 1 for Stable Diffusion."""
    weighting: Literal["none", "bell", "min-snr"] = "none"
    """`bell`, for flow matching, has mean one over the shifted density; `min-snr`, for Stable Diffusion, bounds what
    times of little noise weigh."""
    min_snr_gamma: Annotated[float, Field(gt=0)] = 5.0
    """The bound of `min-snr` on the ratio of signal to noise, in variance."""
    noise_offset: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Adds so much noise that is the same all over a channel of a sample, so that very dark and bright pictures can be
    learned."""
    caption_dropout: Fraction = 0.1
    """Part of the captions that become the empty one, for guidance."""


class Optimizer(Part):
    """AdamW on float32 master weights."""

    name: Literal["adamw"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-5
    b1: Decay = 0.9
    b2: Decay = 0.999
    eps: Annotated[float, Field(gt=0)] = 1e-8
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """On matrices only: biases, gains and modulation tables do not decay."""
    clip_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """Bound on the gradient's global norm; null does not clip."""


class Schedule(Part):
    """The learning rate over the steps."""

    name: Literal["constant", "linear", "cosine"] = "constant"
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    final_fraction: Fraction = 0.0
    """Of the learning rate at the last step, for `linear` and `cosine`."""


class Ema(Part):
    """A float32 average of the parameters, with decay min(decay, (1 + n) / (10 + n)) at step n."""

    decay: Decay


class Checkpointing(Part):
    """When the state is saved, and how many saves are kept."""

    every: Count = 500
    keep: Count = 3
    directory: Directory | None = None
    """Unset is `checkpoints` in the output directory."""


class Evaluation(Part):
    """What is measured while training."""

    every: Count = 500
    prompts: tuple[Prompt, ...] = ()
    """Videos are sampled for these."""
    samples: Count = 1
    """Videos per prompt."""
    time_buckets: Annotated[int, Field(ge=1, le=100)] = 5
    """Parts of [0, 1] in which the held-out loss is reported."""


class TextEncoderTraining(Part):
    """The text encoders, trained along with the denoiser."""

    learning_rate: Annotated[float, Field(gt=0)] = 1e-6
    """At its peak; warm-up and decay are the schedule's."""


class Lora(Part):
    """Train two thin matrices beside each of some layers, and leave the model as it is."""

    rank: Annotated[int, Field(ge=1, le=1024)] = 16
    alpha: Annotated[float, Field(gt=0)] = 16.0
    """What they add is scaled by alpha / rank."""
    targets: tuple[str, ...] = ("to_q", "to_k", "to_v", "to_out.0")
    """How the published names of these layers end."""


class ControlNetTraining(Edges):
    """Train a ControlNet beside the model, which stays as it is, on a condition that is computed from each picture.

    `training.evaluation.prompts` are sampled with it if `sampling.control` gives a picture to follow, without weights.
    """

    weights: Location | None = None
    """A ControlNet to go on from, as a folder in the Hugging Face layout, here, at `gs://` or `hf://org/name`; null
    begins with a copy of the model's own way down, and changes nothing at first."""
    condition: Literal["canny"] = "canny"
    """`canny`: the edges of the picture as it is trained on, mirrored and cut, by `low` and `high`."""


class Prior(Part):
    """Pictures of the class that a subject belongs to, trained on beside it, so that the model does not forget what
    others of the class look like while it learns this one (Dreambooth's prior preservation).

    Half of every batch is of the subject, which is what `data` says, and half of its class. The loss is the mean over
    the one half plus `weight` times the mean over the other.
    """

    prompt: Prompt
    """What pictures of the class are called, such as `a photo of a dog` where the subject is `a photo of sks dog`.
    Those with captions of their own keep them."""
    path: Directory | None = None
    """A folder of such pictures; unset is `prior` in the output directory. What it lacks of `count` is made from
    `prompt`, before training and by the model that training starts from, as `sampling` says, and put there."""
    count: Annotated[int, Field(ge=1, le=10_000)] = 200
    """How many there should be at least: where there are more, all are trained on."""
    weight: Annotated[float, Field(ge=0)] = 1.0


class Training(Part):
    """How long, from which seed, and in how many pieces."""

    steps: Count = 10_000
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    gradient_accumulation: Count = 1
    """Pieces in which one step's batch is computed."""
    log_every: Count = 10
    objective: Objective = Objective()
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    ema: Ema | None = None
    """Null keeps no average."""
    text_encoder: TextEncoderTraining | None = None
    """Null leaves the text encoders as they are, and encodes each caption once."""
    lora: Lora | None = None
    """Null trains every parameter."""
    control_net: ControlNetTraining | None = None
    """Null trains the model itself."""
    prior: Prior | None = None
    """Null trains on what `data` says alone."""
    checkpoint: Checkpointing = Checkpointing()
    publish: bool = True
    """Write what was trained, its average if there is one, as `published` in the output directory once the last step is
    saved: a model as a whole repository, for diffusers and `model.weights` of other jobs, a ControlNet as a folder, a
    LoRA as a file that this and other tools take."""
    evaluation: Evaluation | None = None
