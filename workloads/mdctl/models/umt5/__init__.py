"""The UMT5 text encoder."""

from mdctl.models.umt5.config import UMT5Config
from mdctl.models.umt5.modeling import UMT5Encoder
from mdctl.models.umt5.tokenizer import Tokenizer
from mdctl.models.umt5.untrained import write_text_encoder
from mdctl.models.umt5.weights import load

__all__ = ["Tokenizer", "UMT5Config", "UMT5Encoder", "load", "write_text_encoder"]
