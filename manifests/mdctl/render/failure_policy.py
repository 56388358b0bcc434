"""What each way of ending means for the job: which exit codes end it, restart it, and count.

    the pod                          Job: rule      JobSet
    0                                -              completes when all hosts have
    2, 3  a mistake, fails again     0              Failed, no restart
    evicted, preempted, node lost    1              restart, not counted
    75    preempted, and saved       2              restart, not counted
    76    lost a peer, or hung       2              restart, not counted, where the next attempt finds what was saved
    any other                        none           restart, counted against maxRestarts
    out of time                      -              Failed, no restart: its Job says DeadlineExceeded

All pods of a slice are one program, so the Job fails with its first pod (no rule ignores one: a fresh host among
running ones would hang). The rule's index is all that the Job's condition tells the JobSet, in its message.
"""

from typing import Any

from mdctl.spec.errors import PeerLost, Preempted, UserError, WillFailAgain
from mdctl.spec.names import CONTAINER

Object = dict[str, Any]


def job_failure_policy(*, durable: bool) -> Object:
    """Return `podFailurePolicy`; without durable output a lost peer counts, or a crash loop would never end."""
    interrupted = [Preempted.exit_code, PeerLost.exit_code] if durable else [Preempted.exit_code]
    return {
        "rules": [
            on_exit_codes("FailJob", [UserError.exit_code, WillFailAgain.exit_code]),
            {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            on_exit_codes("FailJob", interrupted),
        ]
    }


def jobset_failure_policy(max_restarts: int, *, deadline: bool = False) -> Object:
    """Return `failurePolicy`: attempts follow each other whole, none starts before the last is gone."""
    out_of_time = {"name": "outOfTime", "action": "FailJobSet", "onJobFailureReasons": ["DeadlineExceeded"]}
    return {
        "maxRestarts": max_restarts,
        "restartStrategy": "BlockingRecreate",
        "rules": [
            _on_message("failsAgain", "FailJobSet", "rule at index 0$"),
            _on_message("interrupted", "RestartJobSetAndIgnoreMaxRestarts", "rule at index [12]$"),
            *([out_of_time] if deadline else ()),
        ],
    }


def on_exit_codes(action: str, codes: list[int]) -> Object:
    """Return the rule of `podFailurePolicy` for these exit codes of the worker."""
    return {"action": action, "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": codes}}


def _on_message(name: str, action: str, pattern: str) -> Object:
    return {
        "name": name,
        "action": action,
        "onJobFailureReasons": ["PodFailurePolicy"],
        "onJobFailureMessagePatterns": [pattern],
    }
