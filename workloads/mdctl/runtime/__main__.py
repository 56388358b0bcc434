"""`python -m mdctl.runtime job.yaml`: what a pod starts, and the local engine."""

import sys

from mdctl.runtime.supervisor import supervise

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m mdctl.runtime job.yaml")
    sys.exit(supervise(sys.argv[1:]))
