"""`mdctl submit train-wan --size small` on two v5p-16 slices: four pods on four nodes, one program."""

import json

from tests.cluster.plane.nodes import POOL
from tests.real.jobs import blob, exits, lines, losses, names_in, text
from tests.real.training import EVERY, HOSTS, LOW, STEPS, training


def test_four_pods_find_each_other_and_train_and_leave_checkpoints_and_samples(jobs, undisturbed):
    name, output = undisturbed
    jobset = jobs.api.get("JobSet", name, jobs.namespace)
    assert jobset["status"]["restarts"] == 0
    assert list(losses(output)) == list(range(1, STEPS + 1))
    assert [end["code"] for end in exits(output, 1).values()] == [0] * HOSTS
    assert f"{STEPS}/commit_success.txt" in names_in(f"{output}/checkpoints")
    samples = names_in(f"{output}/evaluations")
    assert [each.rpartition(".")[2] for each in samples if each.startswith(f"{STEPS:06d}/samples/")] == ["json", "mp4"]


def test_each_slice_is_in_a_pool_of_its_own_and_rank_0_is_known_by_name(jobs, undisturbed):
    name, _ = undisturbed
    pods = jobs.pods(name)
    assert len({pod["spec"]["nodeName"] for pod in pods}) == HOSTS
    pools = [jobs.api.get("Node", pod["spec"]["nodeName"])["metadata"]["labels"][POOL] for pod in pods]
    assert pools[0] == pools[1] != pools[2] == pools[3]
    values = {each["name"]: each.get("value") for each in pods[3]["spec"]["containers"][0]["env"]}
    assert values["MDCTL_COORDINATOR"] == f"{name}-slice-0-0.{name}:8482"


def test_status_and_logs_and_artifacts_tell_the_truth_of_it(jobs, undisturbed, tmp_path):
    name, output = undisturbed
    told = json.loads(jobs.told("status", name))
    assert (told["phase"], told["ready"], told["restarts"]) == ("Completed", f"{HOSTS} of {HOSTS} hosts", "0")
    assert told["output"] == output
    assert f"step {STEPS} of {STEPS}, loss {losses(output)[STEPS]:.4g}" in told["progress"]
    pods = [(pod["metadata"]["name"], pod["spec"]["nodeName"], "exited 0") for pod in jobs.pods(name)]
    assert [(host["pod"], host["node"], host["worker"]) for host in told["hosts"]] == pods
    assert [(attempt["name"], attempt["state"]) for attempt in told["attempts"]] == [(1, "done")]

    said = lines(jobs.told("logs", name))
    assert {line["host"]: line["pod"] for line in said} == {host: pod for host, (pod, *_) in enumerate(pods)}
    assert {line["step"]: line["loss"] for line in said if line["message"] == "trained"} == losses(output)

    copied = json.loads(jobs.told("artifacts", name, "--copy-to", str(tmp_path)))
    assert copied["files"] == len([path for path in tmp_path.rglob("*") if path.is_file()])
    for path in tmp_path.rglob("*.mp4"):
        assert path.read_bytes() == blob(f"{output}/{path.relative_to(tmp_path)}").download_as_bytes()
    kinds = {row["kind"]: row for row in json.loads(jobs.told("artifacts", name))}
    assert {"checkpoint", "video", "metrics", "log"} <= set(kinds)
    assert (kinds["checkpoint"]["step"], kinds["video"]["step"]) == (STEPS, STEPS)


def test_a_higher_priority_preempts_it_and_it_ends_as_if_nothing_had_been(jobs, demo, runs, undisturbed):
    output = f"{runs}/preempted"
    jobs.submit(*training(demo, output), LOW, name="preempted")
    victims = jobs.until_step("preempted", EVERY + 2, HOSTS)
    urgent = [*training(demo, f"{runs}/urgent", steps=2, slices=1), "queue.priority=high"]
    jobs.submit(*urgent, name="urgent")
    jobs.gone(victims)
    waiting = json.loads(jobs.told("status", "preempted"))
    assert (waiting["phase"], waiting["ready"]) == ("Queued", f"0 of {HOSTS} hosts")
    assert "it was preempted by urgent (priority 1000)" in waiting["why"]["sentence"]
    jobs.completed("urgent")
    jobset = jobs.completed("preempted")
    assert jobset["status"].get("restartsCountTowardsMax", 0) == 0
    assert [end["code"] for end in exits(output, 1).values()] == [75] * HOSTS
    assert [end["code"] for end in exits(output, 2).values()] == [0] * HOSTS
    assert json.loads(text(f"{output}/attempts/0002/attempt.json"))["progress"] > EVERY
    assert list(losses(output)) == list(range(1, STEPS + 1))
    assert losses(output) == losses(undisturbed[1])
    attempts = json.loads(jobs.told("status", "preempted"))["attempts"]
    assert [(attempt["state"], attempt["code"]) for attempt in attempts] == [("preempted", 75), ("done", None)]
    last = lines(jobs.told("logs", "preempted", "--attempt", "1", "--tail", "1"))
    assert [line["exit"] for line in last] == [75] * HOSTS
