"""Run transformers' UMT5 encoder, every parameter drawn anew, over token rows of several lengths."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import UMT5Config, UMT5EncoderModel

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.parity.redraw import redraw

CONFIG = {"vocab_size": 97, "d_model": 48, "d_kv": 16, "d_ff": 80, "num_layers": 3, "num_heads": 4}
LENGTH = 160
LENGTHS = (160, 37, 1)


@torch.no_grad()
def main(folder: Path) -> None:
    """Write umt5.npz."""
    model = UMT5EncoderModel._from_config(UMT5Config(**CONFIG), attn_implementation="eager").eval()
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    values = redraw(shapes, seed=1)
    values["encoder.embed_tokens.weight"] = values["shared.weight"]
    model.load_state_dict({name: torch.from_numpy(value) for name, value in values.items()})
    seen = {}
    model.encoder.block[1].register_forward_hook(lambda _, args, out: seen.update(layer_in=args[0], layer_out=out))
    rng = np.random.default_rng(2)
    tokens = rng.integers(0, CONFIG["vocab_size"], (len(LENGTHS), LENGTH)).astype(np.int32)
    mask = np.arange(LENGTH) < np.array(LENGTHS)[:, None]
    embeddings = model(torch.from_numpy(tokens), torch.from_numpy(mask).long()).last_hidden_state
    distances = torch.arange(-600, 601)
    buckets = model.encoder.block[0].layer[0].SelfAttention._relative_position_bucket(distances)
    np.savez_compressed(
        folder / "umt5.npz",
        tokens=tokens,
        mask=mask,
        embeddings=embeddings.numpy(),
        buckets=buckets.numpy(),
        config=json.dumps(model.config.to_dict()),
        shapes=json.dumps(shapes),
        **{name: value.numpy() for name, value in seen.items()},
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
