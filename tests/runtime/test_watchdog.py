import threading

from mdctl.runtime.watchdog import Watchdog

PATIENCE = 20.0


class Bark:
    def __init__(self):
        self.heard = threading.Event()
        self.message = ""

    def __call__(self, message):
        self.message = message
        self.heard.set()


def test_it_says_what_did_not_happen_in_time():
    bark = Bark()
    Watchdog(bark).expect("the next step", within=0.01)
    assert bark.heard.wait(PATIENCE)
    assert bark.message == "the next step has not finished within 0.01 s"


def test_what_is_expected_next_replaces_what_was():
    bark = Bark()
    watchdog = Watchdog(bark)
    watchdog.expect("the first step", within=1000)
    watchdog.expect("the second step", within=0.01)
    assert bark.heard.wait(PATIENCE)
    assert bark.message.startswith("the second step")


def test_it_is_quiet_while_things_happen_and_when_nothing_is_expected():
    bark = Bark()
    watchdog = Watchdog(bark)
    for _ in range(100):
        watchdog.expect("a step", within=1000)
    watchdog.expect("the last", within=0.2)
    watchdog.rest()
    assert not bark.heard.wait(0.3)
