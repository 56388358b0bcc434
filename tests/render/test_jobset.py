import pytest
import yaml

from mdctl.render.image import with_image
from mdctl.render.jobset import render_jobset
from mdctl.spec.errors import SpecError
from mdctl.spec.names import SPEC_ANNOTATION, SPEC_HASH_ANNOTATION
from mdctl.spec.reading import parse_job, spec_hash
from mdctl.spec.slices import named_slices
from tests.render.golden import DATA, recipe_job


def rendered(*overrides):
    return render_jobset(recipe_job("train-wan", *DATA, *overrides))


def group(jobset):
    (only,) = jobset["spec"]["replicatedJobs"]
    return only


def pod(jobset):
    return group(jobset)["template"]["spec"]["template"]


@pytest.mark.parametrize("generation", sorted({slice_.generation for slice_ in named_slices()}))
def test_pods_hold_all_chips_of_all_slices(generation):
    for slice_ in named_slices():
        if slice_.generation != generation or slice_.devices % 4:
            continue
        count = 1 if slice_.hosts == 1 else 2
        jobset = rendered(f"slice={slice_.name}", f"num_slices={count}")
        job = group(jobset)["template"]["spec"]
        resources = pod(jobset)["spec"]["containers"][0]["resources"]
        assert group(jobset)["replicas"] == count
        assert job["parallelism"] == job["completions"] == slice_.hosts
        assert resources == {key: {slice_.resource: str(slice_.chips_per_host)} for key in ("requests", "limits")}
        assert slice_.node_selector.items() <= pod(jobset)["spec"]["nodeSelector"].items()


def test_fields_come_in_the_order_people_read_them():
    jobset = rendered()
    assert list(jobset) == ["apiVersion", "kind", "metadata", "spec"]
    assert list(jobset["metadata"]) == ["name", "labels", "annotations"]
    assert list(rendered("metadata.namespace=video")["metadata"]) == ["name", "namespace", "labels", "annotations"]


def test_pods_find_each_other_by_the_name_of_the_job():
    assert rendered()["spec"]["network"] == {
        "enableDNSHostnames": True,
        "publishNotReadyAddresses": True,
        "subdomain": "train-wan",
    }


def test_the_pods_carry_the_resolved_spec():
    job = recipe_job("train-wan", *DATA)
    jobset = render_jobset(job)
    data = yaml.safe_load(pod(jobset)["metadata"]["annotations"][SPEC_ANNOTATION])
    assert parse_job(data, where="annotation") == with_image(job)
    assert data["spec"]["training"]["optimizer"]["name"] == "adamw", "defaults are written out"
    assert jobset["metadata"]["annotations"][SPEC_HASH_ANNOTATION] == spec_hash(with_image(job))


def test_another_image_is_another_spec():
    hashes = [rendered(f"image=a/b:{tag}")["metadata"]["annotations"][SPEC_HASH_ANNOTATION] for tag in "12"]
    assert len(set(hashes)) == 2


def test_a_lost_peer_is_not_counted_where_checkpoints_outlive_the_pods():
    def free(*overrides):
        rules = group(rendered(*overrides))["template"]["spec"]["podFailurePolicy"]["rules"]
        return 76 in rules[2]["onExitCodes"]["values"]

    assert free()
    assert not free("training.checkpoint.directory=/tmp/kept")
    assert free("output_dir=/tmp/out", "training.checkpoint.directory=gs://b/kept")


def test_a_queue_and_its_priority_are_labels():
    labels = rendered("queue={name: tpu, priority: high}")["metadata"]["labels"]
    assert labels["kueue.x-k8s.io/queue-name"] == "tpu"
    assert labels["kueue.x-k8s.io/priority-class"] == "high"
    assert not [label for label in rendered()["metadata"]["labels"] if "kueue" in label]


def test_the_users_labels_are_on_the_jobset_and_its_pods():
    jobset = rendered("metadata.labels={team: video, mdctl.dev/task: mine}")
    assert jobset["metadata"]["labels"]["mdctl.dev/task"] == "train"
    assert jobset["metadata"]["labels"]["team"] == pod(jobset)["metadata"]["labels"]["team"] == "video"


def test_a_finished_job_is_kept_as_long_as_asked():
    assert rendered("restarts.ttlSecondsAfterFinished=60")["spec"]["ttlSecondsAfterFinished"] == 60
    assert "ttlSecondsAfterFinished" not in rendered("restarts.ttlSecondsAfterFinished=null")["spec"]


def test_no_coordinator_whose_label_would_hold_the_name_twice():
    assert "coordinator" not in rendered()["spec"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["slice=cpu-8"], "slice cpu-8 is this computer, which no cluster has; run it with --local"),
        (["slice=v6e-8", "num_slices=2"], "numSlices is 2, but slice v6e-8 has one host"),
        (["environment={MDCTL_RUN: mine}"], "environment.MDCTL_RUN is set by mdctl itself"),
        (["run_name=" + "a" * 50], "3 too many"),
        (["run_name=1st"], "must start with a letter"),
    ],
)
def test_what_fits_no_cluster_is_refused(overrides, message):
    with pytest.raises(SpecError, match=message):
        rendered(*overrides)
