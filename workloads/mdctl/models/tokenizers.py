"""Tokenizers as they are published beside text encoders."""

import os
from pathlib import Path
from typing import Any

from mdctl.spec.errors import WeightsError


def read_tokenizer(folder: Path) -> Any:
    """Read a folder with the transformers library, fetching nothing; raises WeightsError if it cannot."""
    # Importing transformers warns that PyTorch is missing, which nothing here needs.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # tokenizers raises no narrower class for a damaged file, transformers any
        raise WeightsError(f"{folder}: no tokenizer that transformers can read ({error!r}); fetch it again") from error
