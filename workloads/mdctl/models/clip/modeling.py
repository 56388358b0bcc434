"""The text encoder of CLIP: tokens in; embeddings of two depths and one vector for the whole prompt out.

Letters: B batch, S (queries) and R (keys) positions, D width, N heads, K head width, F feed-forward width, P width of
the pooled output. With embeddings of tokens and positions summed as x, one layer is

    x = x + attention(layer_norm1(x))                                       (1)
    x = x + fc2(activation(fc1(layer_norm2(x))))                            (2)
    attention = out_proj(softmax(q k^T / sqrt(K), over r <= s) v)           (3)

A position sees itself and what stands before it, padding or not, so the end of a text has seen the whole text: pooled
is the embedding of that position after the final norm, and its projection where the model has one.

Source: CLIP (arXiv 2103.00020, section 2.4), with the activations of its published weights, x sigmoid(1.702 x), and of
OpenCLIP's, GELU. Norms, scores and softmax are float32; matrix products run in `execution.dtype`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from mdctl.models.clip.config import CLIPTextConfig
from mdctl.models.clip.sharding import LAYERS
from mdctl.parallel.execution import Execution

UNREAD_EOS = 2
"""The `eos_token_id` of files from before it was read."""


class Encoding(NamedTuple):
    """What becomes of prompts: the output of the last layer after the final norm, that of the layer before it without
    a norm, and one vector for each prompt."""

    last: Float[Array, "B S D"]
    penultimate: Float[Array, "B S D"]
    pooled: Float[Array, "B P"]


class CLIPTextEncoder(nnx.Module):
    """Embed prompts of at most `max_position_embeddings` tokens; parameters of all layers are stacked."""

    def __init__(self, cfg: CLIPTextConfig, *, execution: Execution, rngs: nnx.Rngs) -> None:
        self.cfg, self.execution = cfg, execution
        self.token_embedding = _embedding(cfg.vocab_size, cfg, execution, rngs)
        self.position_embedding = _embedding(cfg.max_position_embeddings, cfg, execution, rngs)
        self.layers = _stack_layers(cfg, execution, rngs)
        self.final_layer_norm = LayerNorm(cfg, execution=execution, rngs=rngs)
        # None where the published class has no projection.
        self.text_projection = (
            _linear(cfg.hidden_size, cfg.projection_dim, execution, rngs, use_bias=False) if cfg.projected else None
        )

    @property
    def width(self) -> int:
        """Return the width of an embedding."""
        return self.cfg.hidden_size

    @property
    def pooled_width(self) -> int:
        """Return the width of the pooled output."""
        return self.cfg.projection_dim if self.cfg.projected else self.cfg.hidden_size

    def __call__(self, tokens_BS: Int[Array, "B S"]) -> Encoding:
        """Encode prompts that begin, end and are padded as the tokenizer leaves them, in `execution.dtype`."""
        x_BSD = self.token_embedding(tokens_BS) + self.position_embedding(jnp.arange(tokens_BS.shape[1]))[None]
        graphdef, stacked = nnx.split(self.layers)

        def run_layer(pair_2BSD: Array, params: nnx.State[Any, Any]) -> Array:
            x_BSD = pair_2BSD[0]
            return jnp.stack([nnx.merge(graphdef, params)(x_BSD), x_BSD])

        # What a layer gave and what it was given, so that after the last layer both outputs are there.
        pair_2BSD = self.execution.scan(run_layer, jnp.stack([x_BSD, x_BSD]), stacked, (), LAYERS)
        last_BSD = self.final_layer_norm(pair_2BSD[0])
        end_B = end_positions(tokens_BS, self.cfg.eos_token_id)
        pooled_BD = jnp.take_along_axis(last_BSD, rearrange(end_B, "b -> b 1 1"), axis=1)[:, 0]
        pooled_BP = pooled_BD if self.text_projection is None else self.text_projection(pooled_BD)
        return Encoding(last_BSD, pair_2BSD[1], pooled_BP)


class Layer(nnx.Module):
    """Attention, then feed-forward: (1), (2)."""

    def __init__(self, cfg: CLIPTextConfig, *, execution: Execution, rngs: nnx.Rngs) -> None:
        self.execution = execution
        self.layer_norm1 = LayerNorm(cfg, execution=execution, rngs=rngs)
        self.self_attn = CausalAttention(cfg, execution=execution, rngs=rngs)
        self.layer_norm2 = LayerNorm(cfg, execution=execution, rngs=rngs)
        self.mlp = FeedForward(cfg, execution=execution, rngs=rngs)

    def __call__(self, x_BSD: Float[Array, "B S D"]) -> Float[Array, "B S D"]:
        """Apply the layer."""
        x_BSD = x_BSD + self.self_attn(self.layer_norm1(x_BSD))
        x_BSD = x_BSD + self.mlp(self.layer_norm2(x_BSD))
        return self.execution.constrain(x_BSD, "batch", None, None)


class CausalAttention(nnx.Module):
    """Attention to what stands before: (3).

    Written out here, since the kernels that `execution` offers attend to all positions alike; a prompt is short.
    """

    def __init__(self, cfg: CLIPTextConfig, *, execution: Execution, rngs: nnx.Rngs) -> None:
        self.cfg, self.execution = cfg, execution
        width = cfg.hidden_size
        self.q_proj, self.k_proj, self.v_proj = (_linear(width, width, execution, rngs) for _ in range(3))
        self.out_proj = _linear(width, width, execution, rngs)

    def __call__(self, x_BSD: Float[Array, "B S D"]) -> Float[Array, "B S D"]:
        """Attend from each position to itself and those before it."""
        q_BSNK, k_BRNK, v_BRNK = (self.heads(project(x_BSD)) for project in (self.q_proj, self.k_proj, self.v_proj))
        scores_BNSR = jnp.einsum("bsnk,brnk->bnsr", q_BSNK, k_BRNK, preferred_element_type=jnp.float32)
        scores_BNSR = scores_BNSR * jnp.float32(q_BSNK.shape[-1] ** -0.5)
        scores_BNSR = jnp.where(causal_mask(x_BSD.shape[1])[None, None], scores_BNSR, -jnp.inf)
        weights_BNSR = jax.nn.softmax(scores_BNSR, axis=-1).astype(v_BRNK.dtype)
        out_BSNK = jnp.einsum("bnsr,brnk->bsnk", weights_BNSR, v_BRNK)
        return self.out_proj(rearrange(out_BSNK, "b s n k -> b s (n k)"))

    def heads(self, x_BSD: Float[Array, "B S D"]) -> Float[Array, "B S N K"]:
        """Split the width into heads."""
        x_BSNK = rearrange(x_BSD, "b s (n k) -> b s n k", n=self.cfg.num_attention_heads)
        return self.execution.constrain(x_BSNK, "batch", None, "heads", None)


class FeedForward(nnx.Module):
    """Feed-forward with the activation that the weights were trained with: (2)."""

    def __init__(self, cfg: CLIPTextConfig, *, execution: Execution, rngs: nnx.Rngs) -> None:
        self.cfg, self.execution = cfg, execution
        self.fc1 = _linear(cfg.hidden_size, cfg.intermediate_size, execution, rngs)
        self.fc2 = _linear(cfg.intermediate_size, cfg.hidden_size, execution, rngs)

    def __call__(self, x_BSD: Float[Array, "B S D"]) -> Float[Array, "B S D"]:
        """Apply to each position."""
        x_BSF = ACTIVATIONS[self.cfg.hidden_act](self.fc1(x_BSD))
        return self.fc2(self.execution.constrain(x_BSF, "batch", None, "mlp"))


class LayerNorm(nnx.Module):
    """Bring each position to mean 0 and variance 1, times a gain, plus a bias, in float32; gives `execution.dtype`."""

    def __init__(self, cfg: CLIPTextConfig, *, execution: Execution, rngs: nnx.Rngs) -> None:
        self.eps, self.dtype = cfg.layer_norm_eps, execution.dtype
        self.scale = nnx.Param(jnp.ones((cfg.hidden_size,), execution.param_dtype))
        self.bias = nnx.Param(jnp.zeros((cfg.hidden_size,), execution.param_dtype))

    def __call__(self, x_BSD: Float[Array, "B S D"]) -> Float[Array, "B S D"]:
        """Normalise each position by itself."""
        scale_D, bias_D = (param[...].astype(jnp.float32) for param in (self.scale, self.bias))
        x_BSD = x_BSD.astype(jnp.float32)
        x_BSD = x_BSD - jnp.mean(x_BSD, axis=-1, keepdims=True)
        x_BSD = x_BSD * jax.lax.rsqrt(jnp.mean(jnp.square(x_BSD), axis=-1, keepdims=True) + self.eps)
        return (x_BSD * scale_D[None, None] + bias_D[None, None]).astype(self.dtype)


def quick_gelu(x: Float[Array, "B S F"]) -> Float[Array, "B S F"]:
    """Return x sigmoid(1.702 x), which comes within 0.021 of GELU."""
    return x * jax.nn.sigmoid(x * jnp.asarray(1.702, x.dtype))


def gelu(x: Float[Array, "B S F"]) -> Float[Array, "B S F"]:
    """Return GELU in its exact form."""
    return jax.nn.gelu(x, approximate=False)


ACTIVATIONS: Mapping[str, Callable[[Float[Array, "B S F"]], Float[Array, "B S F"]]] = {
    "quick_gelu": quick_gelu,
    "gelu": gelu,
}


def causal_mask(length: int) -> Bool[np.ndarray, "S R"]:
    """Return which positions each one sees."""
    return np.tri(length, dtype=bool)


def end_positions(tokens_BS: Int[Array, "B S"], eos_token_id: int) -> Int[Array, " B"]:
    """Return where each text ends: the first such token, or the first of the highest number if it is not known.

    A row without that token ends where it begins, as published.
    """
    return jnp.argmax(tokens_BS if eos_token_id == UNREAD_EOS else tokens_BS == eos_token_id, axis=1)


def _stack_layers(cfg: CLIPTextConfig, execution: Execution, rngs: nnx.Rngs) -> Layer:
    """Create all layers as one, its parameters stacked."""

    @nnx.split_rngs(splits=cfg.num_hidden_layers)
    @nnx.vmap
    def create(rngs: nnx.Rngs) -> Layer:
        return Layer(cfg, execution=execution, rngs=rngs)

    return create(rngs)


def _embedding(count: int, cfg: CLIPTextConfig, execution: Execution, rngs: nnx.Rngs) -> nnx.Embed:
    dtype, param_dtype = execution.dtype, execution.param_dtype
    return nnx.Embed(count, cfg.hidden_size, dtype=dtype, param_dtype=param_dtype, rngs=rngs)


def _linear(d_in: int, d_out: int, execution: Execution, rngs: nnx.Rngs, *, use_bias: bool = True) -> nnx.Linear:
    dtype, param_dtype = execution.dtype, execution.param_dtype
    return nnx.Linear(d_in, d_out, use_bias=use_bias, dtype=dtype, param_dtype=param_dtype, rngs=rngs)
