import threading

from mdctl.runtime.departure import Departure
from mdctl.runtime.exits import Exit
from mdctl.runtime.peers import MemoryStore, Peers
from mdctl.spec.errors import SpecError

PATIENCE = 20.0


class Host:
    """A host whose process is only pretended to end."""

    def __init__(self, peers):
        self.codes = []
        self.ended = threading.Event()
        self.causes = []
        self.departure = Departure(self._terminate)
        self.departure.hooks.append(lambda end, error: self.causes.append((end.code, end.cause, end.origin)))
        self.departure.join(peers)

    def _terminate(self, code):
        self.codes.append(code)
        self.ended.set()


def hosts(count):
    store = MemoryStore(count)
    return [Host(Peers(rank=rank, count=count, store=store)) for rank in range(count)]


def test_what_ends_the_body_is_what_it_leaves_with():
    (host,) = hosts(1)
    with host.departure:
        pass
    assert host.codes == [0]


def test_an_exception_becomes_its_code_and_cause():
    (host,) = hosts(1)
    try:
        with host.departure:
            raise SpecError("no such model")
    except SpecError:
        pass  # only because this process did not really end
    assert host.causes == [(2, "no such model", None)]
    assert host.codes == [2]


def test_the_peers_of_a_host_that_fails_leave_with_the_same_code_and_know_why():
    first, second, third = hosts(3)
    second.departure.leave(Exit(3, "out of memory"))
    for host in (first, second, third):
        assert host.ended.wait(PATIENCE)
        assert host.codes == [3]
    assert first.causes == third.causes == [(3, "host 1: out of memory", 1)]


def test_the_code_is_announced_before_the_peers_hear_of_it():
    """Once they have, they may be gone, and JAX aborts who is left."""
    store, told = MemoryStore(2), []
    departure = Departure(lambda code: None, lambda code: told.append((code, store.get("farewell", 0.0))))
    departure.join(Peers(rank=1, count=2, store=store))
    departure.leave(Exit(2, "no such clip"))
    assert told == [(2, None)]


def test_it_leaves_even_if_what_is_to_be_done_before_fails():
    (host,) = hosts(1)

    def full(end, error):
        raise OSError(28, "No space left on device")

    host.departure.hooks.insert(0, full)
    host.departure.leave(Exit(2, "disk full"))
    assert host.codes == [2]
    assert host.causes == [(2, "disk full", None)]


def test_the_first_thread_to_leave_decides():
    (host,) = hosts(1)
    host.departure.leave(Exit(75, "first"))
    second = threading.Thread(target=host.departure.leave, args=(Exit(3, "second"),), daemon=True)
    second.start()
    second.join(0.05)
    assert second.is_alive()
    assert host.codes == [75]
