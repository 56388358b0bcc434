"""What a repository's `scheduler/scheduler_config.json` says: what its network was trained to undo, how it is sampled.

The file is of the class that the repository was published with, which is the sampler where nobody names another; the
process and the steps that it describes hold for any sampler.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdctl.diffusion.prediction import PUBLISHED
from mdctl.diffusion.samplers.schedule import Spacing, Stepping
from mdctl.diffusion.variance_preserving import Betas, Kind, VariancePreserving
from mdctl.models.published import read_settings, refuse
from mdctl.spec.errors import WeightsError
from mdctl.storage.tensors import read_json

FOLDER = "scheduler"
FILE = "scheduler_config.json"

SAMPLERS: Mapping[str, str] = {
    "DDIMScheduler": "ddim",
    "DDPMScheduler": "ddpm",
    "DPMSolverMultistepScheduler": "dpm++2m",
    "EulerAncestralDiscreteScheduler": "euler-ancestral",
    "EulerDiscreteScheduler": "euler",
    "FlowMatchEulerDiscreteScheduler": "euler",
    "LCMScheduler": "lcm",
    "LMSDiscreteScheduler": "lms",
    "PNDMScheduler": "pndm",
    "UniPCMultistepScheduler": "unipc",
}
"""Published class -> our name."""

KINDS: Mapping[str, Kind] = {
    "linear": "linear",
    "scaled_linear": "scaled-linear",
    "squaredcos_cap_v2": "squared-cosine",
}

SPACINGS: Mapping[str, Spacing] = {"leading": "leading", "linspace": "linspace", "trailing": "trailing"}

# The published classes' defaults where they differ.
BY_STRIDES = ("DDIMScheduler", "DDPMScheduler", "LCMScheduler", "PNDMScheduler")
ENDS_AT_A_STEP = ("PNDMScheduler",)
CLIPS = ("DDIMScheduler", "DDPMScheduler")

# What the published classes can do beside: only these values are implemented.
FIXED: Mapping[str, tuple[Any, ...]] = {
    "algorithm_type": ("dpmsolver++",),
    "disable_corrector": ([],),
    "euler_at_final": (False,),
    "final_sigmas_type": ("zero",),
    "interpolation_type": ("linear",),
    "lower_order_final": (True,),
    "predict_x0": (True,),
    "skip_prk_steps": (True,),
    "solver_order": (2,),
    "solver_p": (None,),
    "solver_type": ("bh2", "midpoint"),
    "thresholding": (False,),
    "timestep_scaling": (10.0,),
    "timestep_type": ("discrete",),
    "trained_betas": (None,),
    "use_beta_sigmas": (False,),
    "use_dynamic_shifting": (False,),
    "use_exponential_sigmas": (False,),
    "use_flow_sigmas": (False,),
    "use_lu_lambdas": (False,),
    "variance_type": ("fixed_small", None),
}

# Of clipping and thresholding, which are refused, and of flow matching.
IGNORED = (
    *("clip_sample_range", "dynamic_thresholding_ratio", "sample_max_value", "sigma_max", "sigma_min"),
    *("flow_shift", "lambda_min_clipped", "time_shift_type", "shift_terminal"),
)


@dataclass(frozen=True, kw_only=True)
class VariancePreservingScheduler:
    """The settings that decide; the defaults are the published classes', where those agree."""

    num_train_timesteps: int = 1000
    beta_start: float = 0.0001
    beta_end: float = 0.02
    beta_schedule: str = "linear"
    prediction_type: str = "epsilon"
    rescale_betas_zero_snr: bool = False
    timestep_spacing: str = "linspace"
    steps_offset: float = 0.0
    set_alpha_to_one: bool = True
    clip_sample: bool = False
    use_karras_sigmas: bool = False
    original_inference_steps: int = 50

    @classmethod
    def from_published(cls, published: Mapping[str, Any]) -> "VariancePreservingScheduler":
        """Read a scheduler_config.json; raise WeightsError listing all that is not implemented."""
        name = str(published.get("_class_name"))
        defaults = {
            "timestep_spacing": "leading" if name in BY_STRIDES else "linspace",
            "set_alpha_to_one": name not in ENDS_AT_A_STEP,
            "clip_sample": name in CLIPS,
        }
        given = {key: value for key, value in published.items() if value is not None or key in FIXED}
        settings = cls(**{**defaults, **read_settings(cls, given, fixed=FIXED, ignored=IGNORED)})
        refuse(settings.problems(name), published)
        return settings

    def problems(self, class_name: str) -> list[str]:
        """Return what is not implemented, of a file of this class."""
        return [
            f"{field}: {value!r} is not implemented, only {', '.join(map(repr, known))}"
            for field, value, known in (
                ("_class_name", class_name, SAMPLERS),
                ("beta_schedule", self.beta_schedule, KINDS),
                ("prediction_type", self.prediction_type, PUBLISHED),
                ("timestep_spacing", self.timestep_spacing, SPACINGS),
                ("clip_sample", self.clip_sample, (False,)),
                ("use_karras_sigmas", self.use_karras_sigmas and class_name != "DPMSolverMultistepScheduler", (False,)),
            )
            if value not in known
        ]

    @property
    def process(self) -> VariancePreserving:
        """Return what the network was trained to undo."""
        betas = Betas(
            kind=KINDS[self.beta_schedule],
            start=self.beta_start,
            end=self.beta_end,
            num_steps=self.num_train_timesteps,
            zero_terminal_snr=self.rescale_betas_zero_snr,
        )
        return VariancePreserving(betas, PUBLISHED[self.prediction_type])

    @property
    def stepping(self) -> Stepping:
        """Return how its steps are cut."""
        return Stepping(
            spacing=SPACINGS[self.timestep_spacing],
            offset=int(self.steps_offset),
            ends_in_data=self.set_alpha_to_one,
            distilled_steps=self.original_inference_steps,
        )


def read_variance_preserving(repository: Path) -> VariancePreservingScheduler:
    """Read the scheduler of a repository."""
    published, path = _read(repository)
    try:
        return VariancePreservingScheduler.from_published(published)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None


def own_sampler(repository: Path) -> str:
    """Return the name of the sampler that a repository was published with."""
    published, path = _read(repository)
    name = str(published.get("_class_name"))
    if name not in SAMPLERS:
        raise WeightsError(f"{path}: {name} is not implemented, only {', '.join(SAMPLERS)}; set sampling.sampler")
    return SAMPLERS[name] + ("-karras" if published.get("use_karras_sigmas") else "")


def flow_shift(repository: Path) -> float:
    """Return the shift of a flow-matching repository's scheduler; its configuration spells it in two ways."""
    published, path = _read(repository)
    shift = published.get("flow_shift", published.get("shift", 1.0))
    if isinstance(shift, bool) or not isinstance(shift, int | float) or not shift > 0:
        raise WeightsError(
            f"{path}: the shift is {shift!r}, not a number above 0; fetch it again, or set sampling.shift"
        )
    return float(shift)


def _read(repository: Path) -> tuple[Mapping[str, Any], Path]:
    path = repository / FOLDER / FILE
    return read_json(path), path
