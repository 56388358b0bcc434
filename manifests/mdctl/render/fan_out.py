"""What differs in the JobSet of a job that fans out: each pod is a program alone, and its index is retried by itself.

    the pod                          rule    its index
    0                                -       is done
    2     a mistake                  0       the Job fails with all its indexes: each would make it
    3     would fail again           1       fails; the others go on, and the Job fails once they have ended
    evicted, preempted, node lost    2       starts again, not counted
    75    preempted                  3       starts again, not counted
    any other                        none    starts again, counted against the index's own limit

The Job does all restarting, so the JobSet does none: whatever the Job fails of, out of time included, is its failure.

Pods get no names to find each other by. They need none, and a name is what GKE goes by: to TPU pods of an Indexed Job
that have one it hands out TPU_WORKER_ID and TPU_WORKER_HOSTNAMES, as if they were the hosts of one slice.
"""

from typing import Any

from mdctl.render.failure_policy import on_exit_codes
from mdctl.spec.errors import Preempted, UserError, WillFailAgain

Object = dict[str, Any]


def job_fields(max_restarts: int) -> Object:
    """Return what the Job says of failures."""
    return {
        "backoffLimitPerIndex": max_restarts,
        "podFailurePolicy": {
            "rules": [
                on_exit_codes("FailJob", [UserError.exit_code]),
                on_exit_codes("FailIndex", [WillFailAgain.exit_code]),
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                on_exit_codes("Ignore", [Preempted.exit_code]),
            ]
        },
    }


def jobset_fields() -> Object:
    """Return what the JobSet says of its Job."""
    return {
        "network": {"enableDNSHostnames": False},
        "failurePolicy": {"maxRestarts": 0, "rules": [{"name": "ended", "action": "FailJobSet"}]},
    }
