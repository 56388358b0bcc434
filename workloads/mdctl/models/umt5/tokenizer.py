"""Prompts to tokens, as the original Wan pipeline makes them."""

import html
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mdctl.models.tokenizers import read_tokenizer
from mdctl.spec.errors import WeightsError

PAD_ID = 0
EOS_ID = 1
UNK_ID = 2

logger = logging.getLogger(__name__)


class Tokens(NamedTuple):
    """Token numbers [B, S], int32, padded to one length, and a mask [B, S] that is True where they are not padding."""

    ids: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """A tokenizer of the transformers library, and the one length that it pads and cuts prompts to."""

    published: Any
    length: int

    @classmethod
    def load(cls, folder: Path, *, length: int) -> "Tokenizer":
        """Read a tokenizer folder, fetching nothing; raises WeightsError if it holds none that can be read.

        Prompts get `length` tokens, or the most that the tokenizer's own configuration allows if that is less.
        """
        published = read_tokenizer(folder)
        if (published.pad_token_id, published.eos_token_id) != (PAD_ID, EOS_ID):
            raise WeightsError(
                f"{folder}: padding is token {published.pad_token_id} and the end {published.eos_token_id}, "
                f"but UMT5 has {PAD_ID} and {EOS_ID}. Use the tokenizer that was published with the text encoder."
            )
        return cls(published=published, length=min(length, published.model_max_length))

    def __call__(self, prompts: Sequence[str]) -> Tokens:
        """Clean and tokenise; what is too long is cut, with a warning that shows what is lost."""
        cleaned = [clean(prompt) for prompt in prompts]
        batch = self.published(cleaned, padding="max_length", truncation=True, max_length=self.length)
        tokens = Tokens(np.array(batch["input_ids"], np.int32), np.array(batch["attention_mask"], bool))
        for prompt, full in zip(cleaned, tokens.mask.all(axis=1), strict=True):
            if full:
                self._warn_if_cut(prompt)
        return tokens

    def _warn_if_cut(self, prompt: str) -> None:
        ids = self.published(prompt, truncation=False, verbose=False)["input_ids"]
        if len(ids) > self.length:
            lost = self.published.decode(ids[self.length - 1 :], skip_special_tokens=True)
            logger.warning("a prompt has %d tokens and only %d count: %r loses %r", len(ids), self.length, prompt, lost)


def clean(prompt: str) -> str:
    """Resolve HTML entities, twice since some data sets escape twice, and make every run of white space one space."""
    return " ".join(html.unescape(html.unescape(prompt)).split())
