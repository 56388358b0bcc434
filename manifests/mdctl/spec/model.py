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


class ModelSpec(Part):
    """A model of the catalogue, its weights and its dtypes."""

    name: str = "wan2.1-t2v-14b"
    """A name of the catalogue, such as `wan2.1-t2v-14b`."""
    type: str | None = None
    """`T2V` text to video, `T2I` text to image; unset is the model's own."""
    weights: Location | None = None
    """A repository in the Hugging Face folder layout; unset is the catalogue's."""
    revision: str | None = None
    """A branch, tag or commit of an `hf://` repository."""
    denoiser: WeightsFile | None = None
    """A file in the place of the repository's denoiser, such as a distilled UNet: `hf://org/name/file.safetensors`,
    `gs://bucket/path` or a file here. Unset is the repository's, or for sdxl-lightning the one for its steps."""
    initialisation: Literal["weights", "random"] = "weights"
    """Of the denoiser: from the repository, or drawn anew from the seed (the other parts are always loaded)."""
    checkpoint: Directory | None = None
    """The output directory of a training job, whose newest checkpoint replaces the denoiser's weights."""
    use_ema: bool = True
    """Take the averaged parameters of `checkpoint`, where it has them."""
    weights_dtype: Dtype = "float32"
    """Dtype in which parameters are stored; training keeps float32 master weights."""
    activations_dtype: Dtype = "bfloat16"
    """Dtype in which layers compute."""
    offload_encoders: bool = True
    """Text encoder and VAE leave the accelerator once their outputs are made."""


class AttentionSpec(Part):
    """Which attention kernel."""

    kernel: str = "flash"
    """`flash` (tiled kernels on TPU, a blockwise form elsewhere), `splash` (JAX's kernel for TPU) or `dot_product`."""
    flash_min_seq_length: Annotated[int, Field(ge=0)] = 4096
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
