"""How the parameters of the transformer lie over the mesh: pattern of names -> logical axes of the trailing dims.

Kernels are cut along the width of the residual stream ("embed") and along what the tensor axis splits: heads, or the
hidden width of the feed-forward. Biases of the residual stream, tables and gains are small and stay whole.
"""

from mdctl.parallel.rules import ParameterLayout

LAYOUT: ParameterLayout = (
    ("patch_embedding.kernel", (None, None, None, None, "embed")),
    ("condition_embedder.time_embedder.linear_1.kernel", (None, "embed")),
    ("condition_embedder.*.kernel", ("embed", None)),
    ("blocks.attn?.to_[qkv].kernel", ("embed", "heads")),
    ("blocks.attn?.to_[qkv].bias", ("heads",)),
    ("blocks.attn?.norm_[qk].scale", ("heads",)),
    ("blocks.attn?.to_out.kernel", ("heads", "embed")),
    ("blocks.ffn.proj_in.kernel", ("embed", "mlp")),
    ("blocks.ffn.proj_in.bias", ("mlp",)),
    ("blocks.ffn.proj_out.kernel", ("mlp", "embed")),
    ("proj_out.kernel", ("embed", None)),
    ("*.bias", (None,)),
    ("*.scale", (None,)),
    ("*scale_shift_table", (None, None)),
)
