"""The parts of the reference's pipelines, drawn as there: networks, parameters, modules, and what they should give."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from safetensors.numpy import save_file

from mdctl.lora.modules import Modules, modules
from mdctl.models import weights
from mdctl.models.clip.config import CLIPTextConfig
from mdctl.models.clip.modeling import CLIPTextEncoder
from mdctl.models.clip.weights import TABLE
from mdctl.models.unet.config import UNetConfig
from mdctl.models.unet.modeling import Added, UNet
from mdctl.models.unet.weights import weight_table
from mdctl.models.wan.config import WanConfig
from mdctl.models.wan.modeling import WanTransformer
from mdctl.models.wan.weights import TABLE as WAN_TABLE
from mdctl.parallel.execution import Execution
from tests.parity.arrays import reference
from tests.parity.redraw import redraw

ARRAYS = reference("lora")
KINDS = {
    "sd1": ("unet", "text_encoder"),
    "sdxl": ("unet", "text_encoder", "text_encoder_2"),
    "wan": ("transformer",),
}
QUICKLY = {"xla_backend_optimization_level": "0"}  # a compiler that does less makes the same numbers


class Part(NamedTuple):
    """A network, its parameters and what of them an adapter may change."""

    graphdef: Any
    abstract: Any
    params: Any
    modules: Modules


@cache
def part(kind: str, name: str) -> Part:
    """Return a part with the parameters that the reference drew."""
    published = json.loads(str(ARRAYS[f"{kind}/{name}/config"]))
    table, make = {"unet": _unet, "transformer": _transformer}.get(name, _encoder)(published)
    graphdef, abstract = nnx.split(nnx.eval_shape(make))
    with TemporaryDirectory() as folder:
        shapes = json.loads(str(ARRAYS[f"{kind}/{name}/shapes"]))
        save_file(redraw(shapes, seed=1), Path(folder) / "model.safetensors")
        params = weights.load(table, Path(folder), abstract)
    return Part(graphdef, abstract, params, modules(table, abstract))


def _unet(published: Mapping[str, Any]) -> Any:
    cfg = UNetConfig.from_published(published)
    return weight_table(cfg), lambda: UNet(cfg, execution=Execution.plain(), rngs=nnx.Rngs(0))


def _transformer(published: Mapping[str, Any]) -> Any:
    cfg = WanConfig.from_published(published)
    return WAN_TABLE, lambda: WanTransformer(cfg, execution=Execution.plain(), rngs=nnx.Rngs(0))


def _encoder(published: Mapping[str, Any]) -> Any:
    cfg = CLIPTextConfig.from_published(published)
    return TABLE, lambda: CLIPTextEncoder(cfg, execution=Execution.plain(), rngs=nnx.Rngs(0))


def all_modules(kind: str) -> dict[str, Modules]:
    """Return what of a pipeline an adapter may change."""
    return {name: part(kind, name).modules for name in KINDS[kind]}


def denoise(kind: str) -> Any:
    """Return the UNet as the rest of mdctl sees it: latents of one frame, conditioning as a tree."""

    def predict(params: Any, x: Any, time: Any, conditioning: Any) -> Any:
        return nnx.merge(part(kind, "unet").graphdef, params)(x[:, 0], time, *conditioning)[:, None]

    return predict


def inputs(kind: str) -> tuple[Any, ...]:
    """Return latents, time and conditioning."""
    x, time, text, pooled, sizes = (
        jnp.asarray(ARRAYS[f"inputs/{name}"]) for name in ("latents", "time", "text", "pooled", "sizes")
    )
    return x[:, None], time, (text, Added(pooled, sizes) if kind == "sdxl" else None)


def outputs(kind: str, name: str, params: Any) -> dict[str, Any]:
    """Run a part with these parameters; return its outputs as the reference names them."""
    found = _compiled(kind, name)(params)
    return (
        {name: found}
        if name in ("unet", "transformer")
        else {f"{name}/{key}": getattr(found, key) for key in ("last", "pooled")}
    )


@cache
def _compiled(kind: str, name: str) -> Any:
    graphdef, params = part(kind, name).graphdef, part(kind, name).params
    if name == "unet":
        return compiled(lambda params: denoise(kind)(params, *inputs(kind))[:, 0], params)
    names = [f"inputs/wan {key}" for key in ("latents", "time", "text")] if name == "transformer" else ["tokens"]
    args = [jnp.asarray(ARRAYS[key]) for key in names]
    return compiled(lambda params: nnx.merge(graphdef, params)(*args), params)


def compiled(function: Any, *args: Any) -> Any:
    """Return a function compiled for arguments like these."""
    return jax.jit(function).lower(*args).compile(compiler_options=QUICKLY)
