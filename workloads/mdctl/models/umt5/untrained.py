"""A text encoder that nobody trained: random weights, and a tokenizer that knows the words of a few captions.

It tells captions apart and nothing more. For the demo, where no pretrained weights can be had.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from flax import nnx
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import Unigram
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import UnigramTrainer

from mdctl.models import weights
from mdctl.models.umt5.config import UMT5Config
from mdctl.models.umt5.modeling import UMT5Encoder
from mdctl.models.umt5.tokenizer import EOS_ID, UNK_ID, clean
from mdctl.models.umt5.weights import TABLE
from mdctl.parallel.execution import Execution
from mdctl.spec.errors import OutputError

# UMT5's, in the order of PAD_ID, EOS_ID, UNK_ID.
PAD, EOS, UNK = "<pad>", "</s>", "<unk>"


def write_text_encoder(repository: Path, captions: Sequence[str], seed: int, *, max_tokens: int | None = None) -> None:
    """Write `text_encoder/` and `tokenizer/` of a repository; the same captions and seed give the same files.

    With `max_tokens` the tokenizer's prompts are padded and cut to that many tokens where they would have more.

    Raises OutputError if they cannot be written.
    """
    tokenizer = train_tokenizer(captions)
    cfg = replace(UMT5Config.tiny(), vocab_size=tokenizer.get_vocab_size())
    model = UMT5Encoder(cfg, execution=Execution.plain(), rngs=nnx.Rngs(seed))
    weights.save(TABLE, nnx.state(model), repository / "text_encoder", config=cfg.to_published(), stem="model")
    config: dict[str, str | int] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PAD,
        "eos_token": EOS,
        "unk_token": UNK,
    }
    if max_tokens is not None:
        config["model_max_length"] = max_tokens
    folder = repository / "tokenizer"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=True))
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    except OSError as error:
        raise OutputError(f"{folder}: a tokenizer cannot be written ({error}). Name another folder.") from error


def train_tokenizer(captions: Sequence[str]) -> Tokenizer:
    """Return a Unigram tokenizer with at most the tiny encoder's vocabulary, which ends every prompt with `</s>`."""
    tokenizer = Tokenizer(Unigram())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    trainer = UnigramTrainer(
        vocab_size=UMT5Config.tiny().vocab_size, special_tokens=[PAD, EOS, UNK], unk_token=UNK, show_progress=False
    )
    tokenizer.train_from_iterator([clean(caption) for caption in captions], trainer)
    tokenizer.model = Unigram(_repeatable(tokenizer), unk_id=UNK_ID)
    tokenizer.post_processor = TemplateProcessing(single=f"$A {EOS}", special_tokens=[(EOS, EOS_ID)])
    return tokenizer


def _repeatable(tokenizer: Tokenizer) -> list[tuple[str, float]]:
    """Return pieces and scores without the digits that differ from one training to the next."""
    pieces = [(piece, round(score, 6)) for piece, score in json.loads(tokenizer.to_str())["model"]["vocab"]]
    special, learnt = pieces[: UNK_ID + 1], pieces[UNK_ID + 1 :]
    return special + sorted(learnt, key=lambda piece: (-piece[1], piece[0]))
