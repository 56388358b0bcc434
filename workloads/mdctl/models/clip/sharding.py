"""How the parameters of the encoder lie over a mesh: pattern of names -> logical axes of the trailing dims."""

from mdctl.parallel.blocks import BlockLayout
from mdctl.parallel.rules import ParameterLayout

LAYERS = BlockLayout(
    params=(
        ("self_attn.[qkv]_proj.kernel", ("embed", "heads")),
        ("self_attn.[qkv]_proj.bias", ("heads",)),
        ("self_attn.out_proj.kernel", ("heads", "embed")),
        ("mlp.fc1.kernel", ("embed", "mlp")),
        ("mlp.fc1.bias", ("mlp",)),
        ("mlp.fc2.kernel", ("mlp", "embed")),
        ("*.bias", (None,)),
        ("*.scale", (None,)),
    ),
    carry=(None, "batch", "text", None),  # what a layer gave, and what it was given
    inputs=(),
)

LAYOUT: ParameterLayout = (
    *((f"layers.{pattern}", axes) for pattern, axes in LAYERS.params),
    ("*.embedding", (None, "embed")),
    ("text_projection.kernel", ("embed", None)),
    ("*.bias", (None,)),
    ("*.scale", (None,)),
)
