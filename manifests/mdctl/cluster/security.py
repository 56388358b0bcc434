"""Pod Security: the profile that a namespace enforces, and pods that it refuses.

All pods fit the strictest profile, `restricted`, unless GPUs of several machines talk over host paths: only
`privileged`, which is no profile, lets those in.
"""

import re
from typing import Any

Object = dict[str, Any]

ENFORCE = "pod-security.kubernetes.io/enforce"

_VIOLATES = re.compile(r'violates PodSecurity "([a-z]+):[^"]*": (.*)')


def refused_by_profile(namespace: str, said: str) -> str | None:
    """Return the problem in a server's refusal of a pod, where it is that."""
    found = _VIOLATES.search(said)
    return _problem(namespace, found[1], found[2]) if found else None


def profile_problem(namespace: Object, pod: Object) -> list[str]:
    """Return the problem that pods have in a namespace, by its labels; for those who may not ask the server."""
    metadata = namespace["metadata"]
    profile = metadata.get("labels", {}).get(ENFORCE, "privileged")
    paths = [f'"{volume["name"]}"' for volume in pod["volumes"] if "hostPath" in volume]
    if profile == "privileged" or not paths:
        return []
    return [_problem(metadata["name"], profile, f"hostPath volumes ({', '.join(paths)})")]


def _problem(namespace: str, profile: str, reasons: str) -> str:
    return (
        f"namespace {namespace} enforces the Pod Security profile {profile!r}, which refuses what the pods need: "
        f"{reasons}; use a namespace that enforces 'privileged' (its label {ENFORCE})"
    )
