"""How the parameters of a ControlNet lie over the mesh: as the UNet's do, by the names that both have.

The layers for the condition are whole on every device: they are a thousandth or three of the network, and work on
pictures, where a convolution has little else to wait for.
"""

from mdctl.models.unet import sharding
from mdctl.parallel.rules import ParameterLayout

LAYOUT: ParameterLayout = (("controlnet_cond_embedding.*", ()), *sharding.LAYOUT)
