from mdctl.cluster.events import read_events
from tests.cluster.record import load, load_snapshot


def events(name):
    return read_events(load_snapshot(name), load(name)["Event"])


def test_they_are_in_order_and_of_all_that_belongs_to_the_job():
    found = events("preempted")
    assert [each.last for each in found] == sorted(each.last for each in found)
    assert {each.kind for each in found} == {"JobSet", "Job", "Pod", "Workload"}


def test_those_of_another_job_in_the_namespace_are_left_out():
    names = {name for each in events("preempted") for name in each.names}
    assert any("urgent" in event["involvedObject"]["name"] for event in load("preempted")["Event"])
    assert not any("urgent" in name for name in names)


def test_the_same_of_several_pods_is_one():
    [scheduled] = [each for each in events("running") if each.reason == "Scheduled"]
    assert (scheduled.count, len(scheduled.names)) == (2, 2)
    assert scheduled.object.startswith("2 Pods, as trial-slice-0-")


def test_the_same_again_later_is_another():
    recorded = load("running")["Event"]
    again = [{**each, "eventTime": "2026-11-26T00:00:00Z"} for each in recorded if each["reason"] == "Scheduled"]
    found = read_events(load_snapshot("running"), [*recorded, *again])
    assert [each.count for each in found if each.reason == "Scheduled"] == [2, 2]


def test_those_of_an_earlier_job_of_that_name_are_left_out():
    snapshot = load_snapshot("running")
    snapshot.jobset["metadata"]["creationTimestamp"] = "2030-01-01T00:00:00Z"
    assert read_events(snapshot, load("running")["Event"]) == []


def test_a_name_that_begins_like_another_is_not_taken_for_it():
    event = {
        "metadata": {},
        "involvedObject": {"kind": "Job", "name": "trial-b-slice-0"},
        "lastTimestamp": "2027-01-01T00:00:00Z",
    }
    assert read_events(load_snapshot("running"), [event]) == []
