"""`mdctl artifacts` of a job on a cluster: it is found where its spec says that it writes."""

from tests.cli.conftest import folder, mdctl
from tests.cluster.rendered import JOB, rendered

__all__ = ["folder", "mdctl"]


def test_a_job_on_the_cluster_is_looked_for_where_it_writes(plane, cluster, namespace, folder, mdctl, tmp_path):
    output = tmp_path / "elsewhere"
    cluster.create(rendered(namespace, f"output_dir={output}"))
    place = ["--kubeconfig", str(plane.kubeconfig), "-n", namespace]
    found = mdctl("artifacts", JOB, *place)
    assert (found.code, found.err.partition(": no job has")[0]) == (2, f"error: {output}")
    output.mkdir()
    (output / "metrics.jsonl").write_text('{"step": 1}\n')
    assert mdctl("artifacts", JOB, *place, "-o", "name").out == f"{output}/metrics.jsonl\n"
    assert "job 'other' has no results" in mdctl("artifacts", "other", *place).err
    (folder / "outputs" / JOB).mkdir(parents=True)
    assert f"outputs/{JOB}: no job has written there" in mdctl("artifacts", JOB, *place).err
