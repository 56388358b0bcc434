"""How videos and pictures are sampled."""

from typing import Annotated, Literal

from pydantic import Field

from mdctl.spec.edges import Edges
from mdctl.spec.model import Location, Place
from mdctl.spec.part import Part
from mdctl.spec.text import Prompt


class Control(Edges):
    """A picture that what is made follows, and the ControlNet that reads it."""

    weights: Location | None = None
    """A ControlNet as a folder in the Hugging Face layout, here, at `gs://` or `hf://org/name`. The first may leave it
    out: it is then the one that was trained in `model.checkpoint`, a run of `train-controlnet`."""
    image: Place
    """What the ControlNet was trained to read, edges or depth; it is cut to the proportions of `video`, and scaled."""
    canny: bool = False
    """Take the edges of `image` in its place, found at the size of `video`; `low` and `high` are for these alone."""
    scale: Annotated[float, Field(ge=0, le=100)] = 1.0
    """How much it counts: 1 is what it was trained for, 0 is as if it were not there."""


class Sampling(Part):
    """From which prompts, by which method, and what is there before."""

    prompts: tuple[Prompt, ...] = ()
    prompts_file: Place | None = None
    """One prompt a line, or JSON lines: `prompt` and optionally `seed`, and `lora` if `model.loraMerge` is false."""
    negative_prompt: str = ""
    """What guidance leads away from. Empty is no prompt at all, for which SDXL has zeros in place of an embedding."""
    samples_per_prompt: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Each from noise of its own."""
    sampler: str | None = None
    """`unipc`, `euler`, `dpm++2m`, and for Stable Diffusion also `ddim`, `ddpm`, `pndm`, `euler-ancestral`, `lms`,
    `dpm++2m-karras` and `lcm`; unset is that of the repository's scheduler."""
    steps: Annotated[int, Field(ge=1, le=1000)] = 50
    guidance: Annotated[float, Field(ge=0)] = 5.0
    """1 is the conditional model, 0 the unconditional."""
    guidance_rescale: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How much of the contrast that guidance adds is taken back; 0.7 is usual for models trained to noise alone."""
    shift: Annotated[float, Field(gt=0)] | None = None
    """Of flow matching's times; unset is that of the repository's scheduler."""
    spacing: Literal["leading", "linspace", "trailing"] | None = None
    """Which of Stable Diffusion's 1000 steps are taken; unset is as the repository's scheduler has it. `trailing`
    begins at noise alone, as models distilled to a few steps want it."""
    image: Place | None = None
    """A picture to start from, in place of noise alone; it is cut to the proportions of `video`, and scaled."""
    mask: Place | None = None
    """White where `image` is to be made anew, black where it is to be kept."""
    strength: Annotated[float, Field(gt=0, le=1)] = 0.8
    """The part of the way from `image` to noise: 1 keeps nothing of it but what `mask` keeps."""
    control: tuple[Control, ...] = ()
    """Pictures that samples follow, each through a ControlNet of its own; what these say adds up."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @property
    def begins_at(self) -> float:
        """Where on the way from data (0) to noise (1) sampling begins: at noise, unless there is a picture."""
        return 1.0 if self.image is None else self.strength
