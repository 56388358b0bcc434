import socket

import pytest
import yaml

from mdctl.cluster.client import connect
from mdctl.spec.errors import ClusterError

JOBSET = {"apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet", "metadata": {"name": "j"}}


@pytest.fixture
def kubeconfig(tmp_path):
    """Return a kubeconfig of two contexts, for a port where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    contexts = [
        {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "video"}},
        {"name": "there", "context": {"cluster": "c", "user": "u"}},
    ]
    data = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": contexts,
        "current-context": "here",
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(data))
    return str(path)


def test_a_context_has_a_namespace(kubeconfig):
    assert connect(kubeconfig=kubeconfig).namespace == "video"
    assert connect("there", kubeconfig).namespace == "default"


def test_a_cluster_that_does_not_answer_is_said_to_with_its_address(kubeconfig):
    with pytest.raises(ClusterError, match=r"no cluster answers at http://127.0.0.1:\d+: .*refused"):
        connect(kubeconfig=kubeconfig).find(JOBSET)


def test_a_context_that_is_not_there_names_those_that_are(kubeconfig):
    with pytest.raises(ClusterError, match="no context 'elsewhere'; there are: here, there"):
        connect("elsewhere", kubeconfig)


@pytest.mark.parametrize("text", [None, "", "nonsense", "{", "- 1", "apiVersion: v1\nkind: Config\n"])
def test_a_kubeconfig_that_is_none_is_one_clear_error(tmp_path, text):
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ClusterError, match=r"no cluster to talk to: .*gcloud container clusters get-credentials"):
        connect(kubeconfig=str(path))
