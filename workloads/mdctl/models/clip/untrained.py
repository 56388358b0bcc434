"""A text encoder of CLIP's kind that nobody trained: random weights, and a tokenizer of whole words.

For models whose text encoder is trained along, from nothing.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from flax import nnx
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing

from mdctl.data.files import write_whole
from mdctl.models import weights
from mdctl.models.clip.config import CLIPTextConfig
from mdctl.models.clip.modeling import CLIPTextEncoder
from mdctl.models.clip.weights import TABLE
from mdctl.parallel.execution import Execution

# A word that no caption has is `UNKNOWN`; the end is the highest number, as in CLIP's own vocabulary.
UNKNOWN, BEGIN, END = "<|unknown|>", "<|startoftext|>", "<|endoftext|>"


def write_text_encoder(
    repository: Path, captions: Sequence[str], cfg: CLIPTextConfig, seed: int, *, suffix: str = ""
) -> None:
    """Write `text_encoder/` and `tokenizer/` of a repository; the same captions and seed give the same files.

    A second encoder's folders have the suffix `_2`.

    Of the sizes in `cfg` all count but the vocabulary's, which is the captions'.

    Raises OutputError if they cannot be written.
    """
    tokenizer = word_tokenizer(captions)
    size = tokenizer.get_vocab_size()
    cfg = replace(cfg, vocab_size=size, eos_token_id=size - 1)
    model = CLIPTextEncoder(cfg, execution=Execution.plain(), rngs=nnx.Rngs(seed))
    weights.save(TABLE, nnx.state(model), repository / f"text_encoder{suffix}", config=cfg.to_published(), stem="model")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BEGIN,
        "eos_token": END,
        "pad_token": END,
        "unk_token": UNKNOWN,
        "model_max_length": cfg.max_position_embeddings,
    }
    folder = repository / f"tokenizer{suffix}"
    write_whole(folder / "tokenizer.json", tokenizer.to_str(pretty=True).encode())
    write_whole(folder / "tokenizer_config.json", f"{json.dumps(config, indent=2)}\n".encode())


def word_tokenizer(captions: Sequence[str]) -> Tokenizer:
    """Return a tokenizer with a token for each word of captions, which begins and ends every prompt."""
    words = sorted({word for caption in captions for word in caption.lower().split()})
    vocabulary = {word: number for number, word in enumerate([UNKNOWN, *words, BEGIN, END])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = TemplateProcessing(
        single=f"{BEGIN} $A {END}", special_tokens=[(word, vocabulary[word]) for word in (BEGIN, END)]
    )
    return tokenizer
