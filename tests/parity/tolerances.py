"""How far mdctl may be from its references, all in float32: max |ours - theirs| / max |theirs|.

Chosen before the first comparison, and the same for every model. Nothing loosens them quietly.
"""

LAYER = 1e-5
"""One layer."""
MODEL = 5e-5
"""A whole network, forward."""
LOOP = 1e-4
"""Ten sampling steps with guidance; prompt to pixels."""
GRADIENT = 1e-4
"""Gradients of the training loss, leaf by leaf."""
OPTIMIZER = 1e-5
"""Parameters, moments and average after 20 optimiser steps."""
