"""How the parameters of the transformer lie over the mesh: pattern of names -> logical axes of the trailing dims.

Kernels are cut along the width of the residual stream ("embed") and along what the tensor axis splits: heads, or the
hidden width of the feed-forward. Biases of the residual stream, tables and gains are small and stay whole.
"""

from mdctl.parallel.blocks import BlockLayout
from mdctl.parallel.rules import ParameterLayout

BLOCKS = BlockLayout(
    params=(
        ("attn?.to_[qkv].kernel", ("embed", "heads")),
        ("attn?.to_[qkv].bias", ("heads",)),
        ("attn?.norm_[qk].scale", ("heads",)),
        ("attn?.to_out.kernel", ("heads", "embed")),
        ("ffn.proj_in.kernel", ("embed", "mlp")),
        ("ffn.proj_in.bias", ("mlp",)),
        ("ffn.proj_out.kernel", ("mlp", "embed")),
        ("*.bias", (None,)),
        ("*.scale", (None,)),
        ("scale_shift_table", (None, None)),
    ),
    carry=("batch", "tokens", None),
    inputs=(
        ("batch", "text", None),  # text
        ("batch", None, None),  # modulation
        ("tokens", None),  # rotary
        ("batch", "tokens"),  # mask
    ),
)

LAYOUT: ParameterLayout = (
    *((f"blocks.{pattern}", axes) for pattern, axes in BLOCKS.params),
    ("patch_embedding.kernel", (None, None, None, None, "embed")),
    ("condition_embedder.time_embedder.linear_1.kernel", (None, "embed")),
    ("condition_embedder.*.kernel", ("embed", None)),
    ("proj_out.kernel", ("embed", None)),
    ("*.bias", (None,)),
    ("scale_shift_table", (None, None)),
)
