"""A causal block PCA: the codec of the demo, in Wan's latent geometry."""

from mdctl.models.block_pca.config import BlockPCAConfig
from mdctl.models.block_pca.modeling import BlockPCA, fit
from mdctl.models.block_pca.weights import load, save

__all__ = ["BlockPCA", "BlockPCAConfig", "fit", "load", "save"]
