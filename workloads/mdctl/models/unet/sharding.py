"""How the parameters of the UNet lie over the mesh: pattern of names -> logical axes of the trailing dims.

Convolutions are cut along the channels that come out, transformers like any other: along the width of what flows
through ("embed") and what the tensor axis splits, heads or the hidden width. Biases and gains stay whole.
"""

from mdctl.parallel.blocks import BlockLayout
from mdctl.parallel.rules import ParameterLayout

BLOCKS = BlockLayout(
    params=(
        ("attn?.to_[qkv].kernel", ("embed", "heads")),
        ("attn?.to_out.kernel", ("heads", "embed")),
        ("ff.proj_in.kernel", ("embed", "mlp")),
        ("ff.proj_in.bias", ("mlp",)),
        ("ff.proj_out.kernel", ("mlp", "embed")),
        ("*.bias", (None,)),
        ("*.scale", (None,)),
    ),
    carry=("batch", "tokens", None),
    inputs=(
        ("batch", "text", None),  # text
        ("batch", "tokens"),  # mask
    ),
)

LAYOUT: ParameterLayout = (
    *((f"*.transformer_blocks.{pattern}", axes) for pattern, axes in BLOCKS.params),
    ("conv_out.kernel", (None, None, "embed", None)),  # which has a handful of channels to give
    ("*conv_in.kernel", (None, None, None, "embed")),
    ("*.conv[12].kernel", (None, None, None, "embed")),
    ("*sampler.conv.kernel", (None, None, None, "embed")),
    ("*.kernel", (None, "embed")),  # the shortcut's, the time's and the projections around transformers
    ("*.bias", (None,)),
    ("*.scale", (None,)),
)
