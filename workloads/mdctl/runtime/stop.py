"""What being told to stop means right now.

Until the first step has finished there is nothing to save that is not saved already, so the host leaves at once; from
then on it asks its peers at which step to stop.
"""

from collections.abc import Callable

Reaction = Callable[[str], None]


class Stop:
    """Takes the first stop signal, in the thread that heard it. `witnesses` hear of it once it is passed on."""

    def __init__(self, react: Reaction) -> None:
        self.react = react
        self.witnesses: list[Reaction] = []

    def request(self, reason: str) -> None:
        """Pass a signal's name on to whatever is to be done now."""
        self.react(reason)
        for witness in self.witnesses:
            witness(reason)
