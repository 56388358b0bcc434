"""How the parameters of a block PCA lie over a mesh: it is small, and every device holds it whole."""

from mdctl.parallel.rules import ParameterLayout

LAYOUT: ParameterLayout = (("*", ()),)
