"""`python -m mdctl.runtime job.yaml`: what a pod starts, and the local engine."""

import signal
import sys

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m mdctl.runtime job.yaml")
    heard: list[int] = []
    # The kernel drops what process 1 has no handler for, and the pod would then sit out its grace period: so this comes
    # before the imports, which take longer than Python's own start.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: heard.append(number))
    from mdctl.runtime.supervisor import supervise

    sys.exit(supervise(sys.argv[1:], heard))
