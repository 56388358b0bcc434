import pytest

from mdctl.cluster.client import connect
from mdctl.cluster.watching import Selection, watch
from mdctl.spec.errors import ClusterError


def config_map(namespace, name, **data):
    metadata = {"name": name, "namespace": namespace, "labels": {"mdctl.test/of": "watching"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def names(objects):
    return sorted(each["metadata"]["name"] for each in objects)


def test_what_is_there_comes_first_and_then_every_change(cluster, namespace):
    cluster.create(config_map(namespace, "a"))
    seen = watch(cluster, Selection(kind="ConfigMap", labels="mdctl.test/of=watching"))
    assert names(next(seen)[0]) == ["a"]
    cluster.create(config_map(namespace, "b"))
    assert names(next(seen)[0]) == ["a", "b"]
    cluster.patch(config_map(namespace, "b"), {"data": {"x": "1"}})
    assert {each["metadata"]["name"]: each.get("data") for each in next(seen)[0]}["b"] == {"x": "1"}
    cluster.delete(config_map(namespace, "a"))
    assert next(found for (found,) in seen if names(found) == ["b"])


def test_several_kinds_are_one_view(cluster, namespace):
    both = watch(
        cluster,
        Selection(kind="ConfigMap", labels="mdctl.test/of=watching"),
        Selection(kind="Namespace", fields=f"metadata.name={namespace}"),
    )
    maps, namespaces = next(both)
    assert (maps, names(namespaces)) == ([], [namespace])
    cluster.create(config_map(namespace, "a"))
    maps, namespaces = next(both)
    assert (names(maps), names(namespaces)) == (["a"], [namespace])


def test_a_refusal_is_told_to_who_watches(plane, namespace):
    nobody = connect(kubeconfig=str(plane.kubeconfig_for("nobody")), namespace=namespace)
    with pytest.raises(ClusterError, match="cannot list resource") as refusal:
        next(watch(nobody, Selection(kind="Pod")))
    assert refusal.value.status == 403
