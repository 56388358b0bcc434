"""How the parameters of the encoder lie over a mesh: pattern of names -> logical axes of the trailing dims."""

from mdctl.parallel.blocks import BlockLayout
from mdctl.parallel.rules import ParameterLayout

BLOCKS = BlockLayout(
    params=(
        ("attention.[qkv].kernel", ("embed", "heads")),
        ("attention.o.kernel", ("heads", "embed")),
        ("attention.relative_attention_bias.embedding", (None, "heads")),
        ("feed_forward.wi_?.kernel", ("embed", "mlp")),
        ("feed_forward.wo.kernel", ("mlp", "embed")),
        ("*.scale", (None,)),
    ),
    carry=("batch", "text", None),
    inputs=(
        ("text", "text"),  # buckets of positions
        ("batch", "text"),  # mask
    ),
)

LAYOUT: ParameterLayout = (
    *((f"block.{pattern}", axes) for pattern, axes in BLOCKS.params),
    ("shared.embedding", (None, "embed")),
    ("*.scale", (None,)),
)
