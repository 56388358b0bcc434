"""The text encoders of CLIP and OpenCLIP."""

from mdctl.models.clip.config import CLIPTextConfig
from mdctl.models.clip.modeling import CLIPTextEncoder, Encoding
from mdctl.models.clip.tokenizer import Tokenizer
from mdctl.models.clip.untrained import write_text_encoder
from mdctl.models.clip.weights import load

__all__ = ["CLIPTextConfig", "CLIPTextEncoder", "Encoding", "Tokenizer", "load", "write_text_encoder"]
