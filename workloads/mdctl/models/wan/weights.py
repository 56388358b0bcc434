"""The published weights of the transformer: tensor by tensor, what they are here."""

from mdctl.models.weights import CONV_3D, LINEAR, Rule, Table

TABLE: Table = (
    Rule("patch_embedding.weight", "patch_embedding.kernel", CONV_3D),
    Rule("condition_embedder.time_proj.weight", "condition_embedder.time_proj.kernel", LINEAR),
    Rule("condition_embedder.time_proj.bias", "condition_embedder.time_proj.bias"),
    Rule("condition_embedder.{of}.{linear}.weight", "condition_embedder.{of}.{linear}.kernel", LINEAR),
    Rule("condition_embedder.{of}.{linear}.bias", "condition_embedder.{of}.{linear}.bias"),
    Rule("blocks.{i}.{attn}.to_out.0.weight", "blocks.{attn}.to_out.kernel", LINEAR),
    Rule("blocks.{i}.{attn}.to_out.0.bias", "blocks.{attn}.to_out.bias"),
    Rule("blocks.{i}.{attn}.norm_q.weight", "blocks.{attn}.norm_q.scale"),
    Rule("blocks.{i}.{attn}.norm_k.weight", "blocks.{attn}.norm_k.scale"),
    Rule("blocks.{i}.norm2.weight", "blocks.norm2.scale"),
    Rule("blocks.{i}.norm2.bias", "blocks.norm2.bias"),
    Rule("blocks.{i}.ffn.net.0.proj.weight", "blocks.ffn.proj_in.kernel", LINEAR),
    Rule("blocks.{i}.ffn.net.0.proj.bias", "blocks.ffn.proj_in.bias"),
    Rule("blocks.{i}.ffn.net.2.weight", "blocks.ffn.proj_out.kernel", LINEAR),
    Rule("blocks.{i}.ffn.net.2.bias", "blocks.ffn.proj_out.bias"),
    Rule("blocks.{i}.{attn}.{to}.weight", "blocks.{attn}.{to}.kernel", LINEAR),
    Rule("blocks.{i}.{attn}.{to}.bias", "blocks.{attn}.{to}.bias"),
    Rule("blocks.{i}.scale_shift_table", "blocks.scale_shift_table", "1 rows d -> rows d"),
    Rule("proj_out.weight", "proj_out.kernel", LINEAR),
    Rule("scale_shift_table", "scale_shift_table", "1 rows d -> rows d"),
    Rule("{layer}.bias", "{layer}.bias"),
)
