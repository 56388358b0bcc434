"""Prompts to tokens, as the original CLIP makes them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from mdctl.models.tokenizers import read_tokenizer
from mdctl.spec.errors import WeightsError

LENGTH = 77
"""Tokens that every prompt is padded or cut to, begin and end included."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """A tokenizer of the transformers library, and the one length that it pads and cuts prompts to."""

    published: Any
    length: int

    @classmethod
    def load(cls, folder: Path, *, length: int = LENGTH) -> "Tokenizer":
        """Read a tokenizer folder, fetching nothing; raises WeightsError if it holds none of CLIP that can be read.

        Prompts get `length` tokens, or the most that the tokenizer's own configuration allows if that is less.
        """
        _check_files(folder)
        published = read_tokenizer(folder)
        _check_ends(folder, published)
        return cls(published=published, length=min(length, published.model_max_length))

    def __call__(self, prompts: Sequence[str]) -> Int[np.ndarray, "B S"]:
        """Tokenise; what is too long is cut, with a warning that shows what is lost."""
        rows = [self.published(prompt, truncation=False, verbose=False)["input_ids"] for prompt in prompts]
        for prompt, ids in zip(prompts, rows, strict=True):
            if len(ids) > self.length:
                self._warn(prompt, ids)
        return np.array([self._fit(ids) for ids in rows], np.int32).reshape(-1, self.length)

    def _fit(self, ids: list[int]) -> list[int]:
        """Cut before the end, or pad after it."""
        if len(ids) > self.length:
            return [*ids[: self.length - 1], ids[-1]]
        return ids + [self.published.pad_token_id] * (self.length - len(ids))

    def _warn(self, prompt: str, ids: list[int]) -> None:
        lost = self.published.decode(ids[self.length - 1 :], skip_special_tokens=True)
        logger.warning("a prompt has %d tokens and only %d count: %r loses %r", len(ids), self.length, prompt, lost)


def _check_files(folder: Path) -> None:
    """Refuse a folder without a vocabulary: transformers would make one up, in which no word is known."""
    kinds = (("tokenizer.json",), ("vocab.json", "merges.txt"))
    if not any(all((folder / name).is_file() for name in names) for names in kinds):
        raise WeightsError(
            f"{folder}: no tokenizer here, there is neither tokenizer.json nor vocab.json with merges.txt. "
            "Fetch the folder again."
        )


def _check_ends(folder: Path, published: Any) -> None:
    """Refuse a tokenizer that does not begin and end a prompt as CLIP does, or does not know how to pad one."""
    empty = published("")["input_ids"]
    if published.pad_token_id is None or empty != [published.bos_token_id, published.eos_token_id]:
        raise WeightsError(
            f"{folder}: an empty prompt becomes {empty}, padded with {published.pad_token_id}, but CLIP's is the "
            f"begin and the end of a text ({published.bos_token_id}, {published.eos_token_id}), and padded. "
            "Use the tokenizer that was published with the text encoder."
        )
