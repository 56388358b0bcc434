"""A watchdog that only writes down what it is told."""


class Notes:
    """What was said, in order: (what is expected, within how many seconds), or "rest"."""

    def __init__(self):
        self.said = []

    def expect(self, what, within):
        self.said.append((what, within))

    def rest(self):
        self.said.append("rest")
