"""Changes to a job written on one line: `path.to.field=value`, or a short name that users of this field know.

A value is YAML: `num_slices=2`, `training.ema={decay: 0.99}`, `output_dir=null`. Fields of text take it as written.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from mdctl.spec.catalogue import CATALOGUE
from mdctl.spec.errors import SpecError
from mdctl.spec.fields import Field, find_field
from mdctl.spec.merging import combine, merge
from mdctl.spec.yaml_text import load


class ShortName(NamedTuple):
    """What a short name stands for."""

    paths: tuple[str, ...]
    read: Callable[[str], str] = str
    """From the value as other tools write it to ours."""


def _fields(*paths: str) -> ShortName:
    return ShortName(paths)


def _lower(path: str) -> ShortName:
    return ShortName((path,), str.lower)


def _hub(weights: str) -> str:
    """Return `hf://org/name` for the repositories of the catalogue, however they are written."""
    return next((model.weights for model in CATALOGUE.values() if _names(model.weights, weights)), None) or weights


def _names(repository: str | None, weights: str) -> bool:
    return repository is not None and repository.removeprefix("hf://") == weights.removeprefix("hf://")


SHORT_NAMES: dict[str, ShortName] = {
    "pretrained_model_name_or_path": ShortName(("model.weights",), _hub),
    "model_name": _fields("model.name"),
    "model_type": _fields("model.type"),
    "height": _fields("video.height"),
    "width": _fields("video.width"),
    "resolution": _fields("video.height", "video.width"),
    "num_frames": _fields("video.frames"),
    "per_device_batch_size": _fields("batch.perDevice"),
    "max_train_steps": _fields("training.steps"),
    "learning_rate": _fields("training.optimizer.learningRate"),
    "attention": _lower("attention.kernel"),
    "remat_policy": _lower("remat"),
    "run_name": _fields("metadata.name"),
    "output_dir": _fields("outputDir"),
    "jax_cache_dir": _fields("compilationCacheDir"),
    "weights_dtype": _lower("model.weightsDtype"),
    "activations_dtype": _lower("model.activationsDtype"),
    **{
        f"{group}_{axis}_parallelism": _fields(f"mesh.{group}.{axis}")
        for group in ("ici", "dcn")
        for axis in ("data", "fsdp", "context", "tensor")
    },
    "flash_min_seq_length": _fields("attention.flashMinSeqLength"),
    "mask_padding_tokens": _fields("attention.maskPaddingTokens"),
    "dataset_type": _lower("data.type"),
    "synthetic_num_samples": _fields("data.synthetic.numSamples"),
    "synthetic_override_height": _fields("data.synthetic.height"),
    "synthetic_override_width": _fields("data.synthetic.width"),
    "synthetic_override_num_frames": _fields("data.synthetic.frames"),
    "offload_encoders": _fields("model.offloadEncoders"),
    "hardware": _lower("hardware"),
}
"""Names that MaxDiffusion and diffusers users write, and the fields they set."""


def apply_overrides(data: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return a job's mapping with the overrides over it as one layer; values are not validated yet.

    Raises:
        SpecError: an override is not `name=value`, names no field, or its value is not YAML.
    """
    return merge(data, override_layer(overrides))


LORA_COLUMNS: dict[str, str | None] = {
    "lora_model_name_or_path": "weights",
    "weight_name": "weightName",
    "adapter_name": "name",
    "scale": "scale",
    "from_pt": None,
}
"""The same for LoRAs: one value or a list, an entry of which is a field of one in `model.lora`; None sets nothing."""


def override_layer(overrides: Sequence[str]) -> dict[str, Any]:
    """Return what overrides say together, of which a later one counts where two set one field; raises as above."""
    columns = [override for override in overrides if override.partition("=")[0].strip() in LORA_COLUMNS]
    layer: dict[str, Any] = {"spec": {"model": {"lora": _loras(columns)}}} if columns else {}
    for override in (override for override in overrides if override not in columns):
        for field, value in _assignments(override):
            layer = combine(layer, field.holding(value))
    return layer


def is_override(text: str) -> bool:
    """Whether a word reads as `name=value`, the name being one word of letters, digits, `_` and dots."""
    name, separator, _ = text.partition("=")
    return bool(separator) and name.isascii() and name.replace(".", "_").isidentifier()


def _loras(columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return LoRAs from columns, each of which has a value for every one of them."""
    read = {}
    for override in columns:
        name, _, text = (piece.strip() for piece in override.partition("="))
        value = load(text, where=f"override {override!r}")
        read[name] = value if isinstance(value, list) else [value]
    lengths = {name: len(values) for name, values in read.items()}
    if "lora_model_name_or_path" not in read or len(set(lengths.values())) > 1:
        given = ", ".join(f"{name} of {length}" for name, length in lengths.items())
        raise SpecError(
            f"LoRAs are given by columns that do not fit ({given}); lora_model_name_or_path and the others must have "
            "one value for each LoRA, or write model.lora=[{weights: ..., weightName: ..., name: ..., scale: ...}]"
        )
    fields = {LORA_COLUMNS[name]: values for name, values in read.items()}
    return [
        {field: values[n] for field, values in fields.items() if field is not None and values[n] not in (None, "")}
        for n in range(len(read["lora_model_name_or_path"]))
    ]


def _assignments(override: str) -> Iterator[tuple[Field, Any]]:
    name, separator, text = (piece.strip() for piece in override.partition("="))
    if not separator or not name:
        raise SpecError(f"override {override!r} does not read name=value, such as training.steps=1000")
    for path, written in _expand(name, text):
        field = find_field(path, also=tuple(SHORT_NAMES))
        yield field, _value(field, written, override)


def _expand(name: str, text: str) -> Iterator[tuple[str, str]]:
    short = SHORT_NAMES.get(name, _fields(name))
    value = short.read(text)
    for path in short.paths:
        yield path, value
    if name == "pretrained_model_name_or_path":
        yield from (("model.name", model.name) for model in CATALOGUE.values() if _names(model.weights, value))


def _value(field: Field, text: str, override: str) -> Any:
    nullable = type(None) in field.types
    if field.is_text and text in ("null", "~") and not nullable and not field.is_entry:
        raise SpecError(f"override {override!r}: {'.'.join(field.path)} cannot be unset; give it a value")
    if field.is_text and not (nullable and text in ("", "null", "~")):
        return text
    return load(text, where=f"override {override!r}")
