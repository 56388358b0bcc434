"""How the parameters of the encoder lie over a mesh: pattern of names -> logical axes of the trailing dims."""

from mdctl.parallel.rules import ParameterLayout

LAYOUT: ParameterLayout = (
    ("shared.embedding", (None, "embed")),
    ("block.attention.[qkv].kernel", ("embed", "heads")),
    ("block.attention.o.kernel", ("heads", "embed")),
    ("block.attention.relative_attention_bias.embedding", (None, "heads")),
    ("block.feed_forward.wi_?.kernel", ("embed", "mlp")),
    ("block.feed_forward.wo.kernel", ("mlp", "embed")),
    ("*.scale", (None,)),
)
