"""Which network, and how it is computed."""

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from mdctl.spec.part import Part

Dtype = Literal["float32", "bfloat16"]


def _location(value: str) -> str:
    """Accept a folder, `gs://bucket/path` and `hf://org/name`."""
    if value.startswith("~"):
        return _from_home(value)
    scheme, separator, rest = value.partition("://")
    if separator and scheme not in ("gs", "hf"):
        raise ValueError(f"{value!r} has the scheme {scheme!r}; use a folder, gs://bucket/path or hf://org/name")
    if separator and rest[:1] in ("", "/"):
        raise ValueError(f"{value!r} names nothing after {scheme}://")
    if scheme == "hf" and separator and (rest.count("/") != 1 or rest.endswith("/")):
        raise ValueError(f"{value!r} should read hf://org/name")
    return value


def _from_home(value: str) -> str:
    try:
        return str(Path(value).expanduser())
    except RuntimeError:
        name = value.partition("/")[0]
        raise ValueError(f"{value!r}: {name} is nobody's home here; write the folder out") from None


Location = Annotated[str, StringConstraints(min_length=1, max_length=1024), AfterValidator(_location)]
"""A folder on this machine, `gs://bucket/path` or, for weights, `hf://org/name`."""


def _directory(value: str) -> str:
    if value.startswith("hf://"):
        raise ValueError(f"{value!r} cannot be written to; use a folder or gs://bucket/path")
    return value


def _place(value: str) -> str:
    if value.startswith("hf://"):
        raise ValueError(
            f"{value!r} is a repository of weights, and nothing else is read from one; name a folder or gs://bucket/path"
        )
    return value


def _file(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    if separator and scheme == "hf" and rest.count("/") < 2:
        raise ValueError(f"{value!r} should read hf://org/name/file.safetensors")
    if not value.endswith(".safetensors"):
        raise ValueError(f"{value!r} is no .safetensors; convert it, or name another")
    return value if scheme == "hf" else _location(value)


WeightsFile = Annotated[str, StringConstraints(min_length=1, max_length=1024), AfterValidator(_file)]
"""A `.safetensors` on this machine, at `gs://bucket/path`, or `hf://org/name/file`."""

Place = Annotated[Location, AfterValidator(_place)]
"""A folder or file on this machine or in `gs://`, to be read."""

Directory = Annotated[Location, AfterValidator(_directory)]
"""A folder on this machine or `gs://bucket/path`, to be written to."""


def join(directory: str, *parts: str) -> str:
    """Return a path inside a directory, local or `gs://`."""
    scheme, separator, rest = directory.partition("://")
    return f"{scheme}://{PurePosixPath(rest, *parts)}" if separator else str(PurePosixPath(directory, *parts))


class Adapter(Part):
    """A LoRA to sample with, in any of the formats of kohya's scripts, diffusers and PEFT; for one or several parts.

    As columns, which is how other tools write it, `lora_model_name_or_path`, `weight_name`, `adapter_name` and `scale`
    are overrides too. Their `from_pt` says nothing here: a file that PyTorch wrote is known by its suffix.
    """

    weights: Location
    """A folder or a file, here or at `gs://`, or `hf://org/name`; a training job leaves one as `published`."""
    weight_name: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = None
    """Which file of a folder or repository; unset is the only one there."""
    name: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    """What prompts call it; unset is the name of the file, or of the folder, without a suffix."""
    scale: Annotated[float, Field(ge=-1000, le=1000)] = 1.0
    """How much of it is added: 0 is none of it, a negative number its opposite."""

    @property
    def called(self) -> str:
        """Its name: the one given, or that of where it is."""
        path = PurePosixPath(self.weight_name or self.weights)
        return self.name or (path.stem if path.suffix in ADAPTER_SUFFIXES else path.name)


ADAPTER_SUFFIXES = (".safetensors", ".bin", ".ckpt", ".pt", ".pth")
"""How files that hold adapters end."""


class ModelSpec(Part):
    """A model of the catalogue, its weights and its dtypes."""

    name: str = "wan2.1-t2v-14b"
    """A name of the catalogue, such as `wan2.1-t2v-14b`."""
    type: str | None = None
    """`T2V` text to video, `T2I` text to image; unset is the model's own."""
    weights: Location | None = None
    """A repository in the Hugging Face folder layout; unset is that of the run of `checkpoint`, or the catalogue's."""
    revision: str | None = None
    """A branch, tag or commit of an `hf://` repository."""
    denoiser: WeightsFile | None = None
    """A file in the place of the repository's denoiser, such as a distilled UNet: `hf://org/name/file.safetensors`,
    `gs://bucket/path` or a file here. Unset is the one that the run of `checkpoint` had; or the repository's, for
    sdxl-lightning that of its steps."""
    initialisation: Literal["weights", "random"] = "weights"
    """Of the denoiser: from the repository, or drawn anew from the seed (the other parts are always loaded)."""
    checkpoint: Directory | None = None
    """The output directory of a training job, whose newest checkpoint replaces the denoiser's weights."""
    use_ema: bool = True
    """Take the averaged parameters of `checkpoint`, where it has them."""
    lora: tuple[Adapter, ...] = ()
    """LoRAs to sample with, such as `lora=[{weights: hf://org/name, weightName: FILE, scale: 0.8}]`; they add up."""
    lora_merge: bool = True
    """Add them to the weights once, when these are loaded. False keeps them apart, so that a line of
    `sampling.promptsFile` may have scales of its own, `{"prompt": "a fox", "lora": {"NAME": 0.5}}`: names that it
    leaves out are 0 there, and a line without `lora` has the scales given here. A step then takes a little longer."""
    weights_dtype: Dtype = "float32"
    """Dtype in which parameters are stored; training keeps float32 master weights."""
    activations_dtype: Dtype = "bfloat16"
    """Dtype in which layers compute."""
    vae_tiling: bool = False
    """Code pictures that are larger than the VAE was trained on in overlapping tiles, as diffusers' `enable_vae_tiling`
    does: memory then grows with the tile and not with the picture, and pixels change a little."""
    offload_encoders: bool = True
    """Text encoder and VAE leave the accelerator once their outputs are made."""

    @property
    def lora_scales(self) -> tuple[float, ...]:
        """How much each LoRA counts, in their order, where a prompt says nothing else."""
        return tuple(adapter.scale for adapter in self.lora)


class AttentionSpec(Part):
    """Which attention kernel."""

    kernel: str = "flash"
    """`flash` (tiled kernels on TPU, a blockwise form elsewhere), `splash` (JAX's kernel for TPU), `cudnn` (for GPU),
    `cudnn_flash_te` (the same by Transformer Engine where the image has it) or `dot_product`."""
    flash_min_seq_length: Annotated[int, Field(ge=0)] = 1024
    """Sequences shorter than this use `dot_product`."""
    mask_padding_tokens: bool = True
    """Keep tokens that only fill up a shard out of attention."""


class VideoSpec(Part):
    """The size of what is trained on or made."""

    height: Annotated[int, Field(ge=1, le=16384)] = 720
    width: Annotated[int, Field(ge=1, le=16384)] = 1280
    frames: Annotated[int, Field(ge=1, le=100_000)] = 81
    """4k + 1 for Wan."""
    fps: Annotated[int, Field(ge=1, le=240)] = 16
