"""What an API server's refusal means, and what to do about it."""

from typing import Any

from mdctl.spec.errors import ClusterError

Object = dict[str, Any]

INSTALL_JOBSET = (
    "kubectl apply --server-side -f https://github.com/kubernetes-sigs/jobset/releases/download/v0.12.0/manifests.yaml"
)

# status, words in the server's message (the first row that fits), what it means and the next step
MEANINGS = (
    (401, "", "the cluster does not accept your credentials; log in again, such as with `gcloud auth login`"),
    (403, "system:anonymous", "the cluster does not know who you are; log in again, such as with `gcloud auth login`"),
    (403, "violates PodSecurity", "the namespace's Pod Security profile refuses its pods; use another namespace"),
    (403, "exceeded quota", "a ResourceQuota of the namespace is used up; ask for less, or for more quota"),
    (403, "", "you may not; ask the cluster's administrator for that permission"),
    (404, "namespaces", "create the namespace, or name another with --namespace"),
    (404, "", f"the cluster does not know this kind; install JobSet: {INSTALL_JOBSET}"),
    (409, "", "the name is taken; choose another with --name"),
    (400, "", "the cluster refuses it as written"),
    (422, "", "the cluster refuses it as written"),
    (429, "", "the cluster has too much to do, and still had after several tries; try again later"),
)


class NoAnswer(ClusterError):  # noqa: N818 - what is the case, not a fault
    """The server cannot be reached now; it may be later."""


def explain(status: int, answer: Object, what: str) -> ClusterError:
    """Return the error for a refusal of an object; `answer` is the server's Status."""
    said = str(answer.get("message") or answer.get("reason") or "no reason given")
    meanings = (meaning for code, words, meaning in MEANINGS if code == status and words in said)
    meaning = next(meanings, f"the cluster answered {status}; try again")
    return ClusterError(f"{what}: {said}\n{meaning}", status=status)
