import pytest

from mdctl.spec.errors import PeerLost, Preempted, UserError, WillFailAgain
from mdctl.spec.exit_codes import EXIT_CODES, meaning


@pytest.mark.parametrize("error", [UserError, WillFailAgain, Preempted, PeerLost])
def test_our_own_codes_mean_what_the_table_says(error):
    assert meaning(error.exit_code) == EXIT_CODES[error.exit_code]


@pytest.mark.parametrize(
    ("code", "words"),
    [(137, "killed: out of memory, or out of grace (SIGKILL)"), (129, "ended by a signal (SIGHUP)"), (255, "crashed")],
)
def test_other_codes_are_signals_or_crashes(code, words):
    assert meaning(code) == words
