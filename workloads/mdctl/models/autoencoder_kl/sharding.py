"""How the parameters of the VAE lie over a mesh: it is small, and every device holds it whole."""

from mdctl.parallel.rules import ParameterLayout

LAYOUT: ParameterLayout = (("*", ()),)
