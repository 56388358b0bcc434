import pytest

from mdctl.render.environment import worker_environment
from mdctl.spec.environment import Place, read_place
from mdctl.spec.shard import Shard
from tests.render.golden import FOUR_SLICES, recipe_job


def environment(*overrides, recipe="train-wan", network=None):
    job = recipe_job(recipe, *overrides)
    return worker_environment(job, job.spec.resolved_slice, network or {})


def values(variables):
    return {variable["name"]: variable["value"] for variable in variables if "value" in variable}


def fields(variables):
    sources = {variable["name"]: variable.get("valueFrom", {}) for variable in variables}
    return {name: source["fieldRef"]["fieldPath"] for name, source in sources.items() if "fieldRef" in source}


def test_a_worker_reads_its_place_from_what_the_pod_is_given():
    variables = environment("num_slices=2")
    labels = {"jobset.sigs.k8s.io/job-index": "1", "batch.kubernetes.io/job-completion-index": "3"}
    given = {name: labels.get(path.split("'")[1], "") for name, path in fields(variables).items()}
    place = read_place(values(variables) | given)
    assert place == Place(
        coordinator="train-wan-slice-0-0.train-wan:8482",
        num_slices=2,
        hosts_per_slice=8,
        slice_index=1,
        host_index=3,
    )
    assert place.rank == 11


def test_a_host_that_is_alone_looks_for_nobody():
    variables = environment("slice=v6e-8")
    assert read_place(values(variables)) == Place()
    assert list(fields(variables)) == ["MDCTL_RUN", "MDCTL_RESTART"]


def test_a_shard_looks_for_nobody_and_knows_its_part():
    variables = environment(*FOUR_SLICES, recipe="generate-wan")
    paths = fields(variables)
    assert paths["MDCTL_SHARD"] == "metadata.labels['batch.kubernetes.io/job-completion-index']"
    assert list(paths) == ["MDCTL_SHARD", "MDCTL_RUN", "MDCTL_RESTART"]
    assert read_place(values(variables) | {"MDCTL_SHARD": "3"}) == Place(shard=Shard(3, 4))


def test_attempts_are_told_apart_by_labels_of_jobset():
    paths = fields(environment())
    assert paths["MDCTL_RUN"] == "metadata.labels['jobset.sigs.k8s.io/jobset-uid']"
    assert paths["MDCTL_RESTART"] == "metadata.labels['jobset.sigs.k8s.io/restart-attempt']"


def test_a_worker_that_misses_its_accelerator_fails():
    assert values(environment())["JAX_PLATFORMS"] == "tpu,cpu"
    assert values(environment("slice=h100-8"))["JAX_PLATFORMS"] == "cuda,cpu"


@pytest.mark.parametrize("kernel", ["flash", "cudnn", "cudnn_flash_te"])
def test_transformer_engine_is_told_to_fuse_attention_where_it_is_asked_for(kernel):
    told = values(environment("slice=h100-8", f"attention={kernel}"))
    assert told.get("NVTE_FUSED_ATTN") == ("1" if kernel == "cudnn_flash_te" else None)


def test_the_users_variables_come_last_and_win():
    variables = environment("environment={JAX_PLATFORMS: cpu, LAST: x}")
    assert values(variables)["JAX_PLATFORMS"] == "cpu"
    assert len({variable["name"] for variable in variables}) == len(variables)


def test_values_mean_what_they_say():
    assert values(environment("environment={A: $(HOME) costs $5}"))["A"] == "$$(HOME) costs $$5"


def test_the_networks_variables_go_before_the_users():
    variables = values(environment("environment={NCCL_ALGO: Tree}", network={"NCCL_ALGO": "Ring", "NCCL_NET": "gIB"}))
    assert (variables["NCCL_ALGO"], variables["NCCL_NET"]) == ("Tree", "gIB")


def test_a_secret_is_referred_to():
    variable = environment("secrets=[{name: hub, key: token, env: HF_TOKEN}]")[-1]
    assert variable == {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}
