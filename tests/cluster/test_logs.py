"""Logs of fake pods, as the API server and a kubelet give them."""

import datetime
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mdctl.cluster.following import follow_logs
from mdctl.cluster.logs import Excerpt, PodLog, instant, read_logs, stamp
from tests.cluster.plane.api import PATIENCE
from tests.cluster.plane.pods import LINGER
from tests.cluster.rendered import JOB, rendered

TWO_HOSTS = "slice=tpu7x-16"


@pytest.fixture
def start(plane, namespace):
    """Return a function that starts a job on two hosts, and returns it and its pods once they run."""

    def run(hosts=2, *overrides, **labels):
        created = plane.api.create(rendered(namespace, TWO_HOSTS, *overrides, labels=labels))
        return created, plane.pods.running(namespace, JOB, hosts)

    return run


@pytest.fixture
def listen(cluster):
    """Return a function that follows a job's logs in a thread."""
    with ThreadPoolExecutor() as threads:
        yield lambda jobset, **excerpt: Listener(threads, cluster, jobset, Excerpt(**excerpt))


class Listener:
    """Follows a job's logs, and waits for lines."""

    def __init__(self, threads, cluster, jobset, excerpt):
        self.told = []
        self.heard = []
        self.news = threading.Condition()
        self.end = threads.submit(self._listen, cluster, jobset, excerpt)

    def _listen(self, cluster, jobset, excerpt):
        for line in follow_logs(cluster, jobset, excerpt, lambda text: self._add(self.told, text)):
            self._add(self.heard, line.text)
        return self.heard

    def _add(self, texts, text):
        with self.news:
            texts.append(text)
            self.news.notify()

    def until(self, text):
        with self.news:
            assert self.news.wait_for(lambda: text in self.heard, PATIENCE), self.heard

    def until_told(self, text):
        with self.news:
            assert self.news.wait_for(lambda: text in self.told, PATIENCE), self.told

    def until_lost(self):
        with self.news:
            assert self.news.wait_for(lambda: any("no cluster answers" in text for text in self.told), PATIENCE)

    def all(self):
        return self.end.result(PATIENCE)


def said(lines):
    return [(line.host, line.text) for line in lines]


def ago(seconds):
    moment = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


@pytest.mark.parametrize("text", ["2026-01-01T02:00:00.123456789+02:00", "2026-01-01T00:00:00.123456789Z"])
def test_a_time_is_read_to_the_nanosecond(text):
    assert instant(text) == 1_767_225_600_123_456_789
    assert stamp(instant(text)) == "2026-01-01T00:00:00.123456Z"


@pytest.mark.parametrize("text", ["", "unable", "2026-01-01", "2026-01-01T00:00:00"])
def test_what_is_no_time_is_none(text):
    assert instant(text) is None


@pytest.mark.nodes("tpu7x")
def test_lines_of_all_hosts_come_by_time(plane, cluster, start):
    jobset, pods = start()
    for host, text, when in ((0, "first", 50), (1, "second", 40), (0, "third", 30)):
        plane.pods.write_log(pods[host], text, at=ago(when))
    assert said(read_logs(cluster, jobset, Excerpt())) == [(0, "first"), (1, "second"), (0, "third")]
    assert said(read_logs(cluster, jobset, Excerpt(hosts=frozenset([1])))) == [(1, "second")]
    assert said(read_logs(cluster, jobset, Excerpt(tail=1))) == [(1, "second"), (0, "third")]
    assert said(read_logs(cluster, jobset, Excerpt(since=35))) == [(0, "third")]


@pytest.mark.nodes("tpu7x")
def test_a_log_goes_on_at_the_very_line(plane, cluster, start):
    """Even among lines of one second, and of one nanosecond."""
    jobset, pods = start()
    log = PodLog(cluster, jobset, pods[0])
    assert list(log.read()) == []
    times = ["00.1", "00.2", "00.2", "00.2", "00.2", "00.3", "01.0"]
    heard = []
    for number, time in enumerate(times):
        plane.pods.write_log(pods[0], str(number), at=f"2026-01-01T00:00:{time}Z")
        if number in (1, 2, 5, 6):
            heard.append([line.text for line in log.read()])
    assert heard == [["0", "1"], ["2"], ["3", "4", "5"], ["6"]]


@pytest.mark.nodes("tpu7x")
def test_a_host_that_cannot_be_asked_keeps_nobody_from_the_others(plane, cluster, namespace, start):
    jobset, pods = start()
    for pod in pods:
        plane.pods.write_log(pod, "here")
    plane.nodes.remove(pods[0]["spec"]["nodeName"])
    told = []
    assert said(read_logs(cluster, jobset, Excerpt(), told.append)) == [(1, "here")]
    assert told[0].startswith("host 0: ")
    plane.api.delete("Pod", pods[0]["metadata"]["name"], namespace, gracePeriodSeconds="0")  # nobody else would


@pytest.mark.nodes("tpu7x")
def test_a_job_is_followed_over_its_restart_to_its_end(plane, namespace, start, listen):
    jobset, pods = start()
    plane.pods.write_log(pods[0], "before")
    heard = listen(jobset, tail=1)
    heard.until("before")
    plane.pods.write_log(pods[1], "live")
    heard.until("live")
    plane.pods.finish(pods[0], 75)
    plane.api.until(
        lambda found: not {p["metadata"]["uid"] for p in pods} & {p["metadata"]["uid"] for p in found}, "Pod", namespace
    )
    again = plane.pods.running(namespace, JOB, 2)
    plane.pods.write_log(again[1], "second attempt\nat the end")
    plane.pods.finish_all(namespace, JOB)
    assert heard.all() == ["before", "live", "second attempt", "at the end"]


@pytest.mark.nodes("v5p")
def test_a_job_that_fails_is_over_although_another_slice_takes_its_time(plane, namespace, start, listen):
    jobset, pods = start(16, "slice=v5p-64", "num_slices=2")
    plane.pods.write_log(pods[0], "error: no such data set")
    for pod in pods[8:]:
        plane.api.patch("Pod", pod["metadata"]["name"], {"metadata": {"annotations": {LINGER: "1h"}}}, namespace)
    plane.pods.finish(pods[0], 2)
    assert listen(jobset).all() == ["error: no such data set"]
    for pod in pods[8:]:
        plane.api.delete("Pod", pod["metadata"]["name"], namespace, gracePeriodSeconds="0")


@pytest.mark.nodes("tpu7x")
def test_until_a_host_has_started_that_is_waited_for(plane, namespace, listen):
    jobset = rendered(namespace, TWO_HOSTS)
    jobset["spec"]["suspend"] = True
    heard = listen(plane.api.create(jobset))
    heard.until_told(f"{JOB}: no host has started yet; `mdctl status {JOB}` says why")
    plane.api.patch("JobSet", JOB, {"spec": {"suspend": False}}, namespace)
    for pod in plane.pods.running(namespace, JOB, 2):
        plane.pods.write_log(pod, "begun")
    heard.until("begun")
    plane.api.delete("JobSet", JOB, namespace, propagationPolicy="Foreground")
    assert heard.all() == ["begun", "begun"]


@pytest.mark.nodes("tpu7x")
def test_a_burst_is_not_slow(plane, namespace, start, listen):
    jobset, pods = start()
    heard = listen(jobset)
    for pod in pods:
        plane.pods.write_log(pod, "\n".join(map(str, range(500))))
    plane.pods.finish_all(namespace, JOB)
    assert sorted(heard.all()) == sorted([*map(str, range(500))] * 2)


@pytest.mark.alone
@pytest.mark.nodes("tpu7x")
def test_no_line_is_lost_or_doubled_when_the_api_server_is_killed(plane, namespace, start, listen):
    jobset, pods = start()
    heard = listen(jobset)
    done = threading.Event()

    def write():
        number = 0
        while not done.wait(0.01):
            for pod in pods:
                plane.pods.write_log(pod, f"{pod['metadata']['name']} {number}")
            number += 1
        return number

    with ThreadPoolExecutor() as threads:
        written = threads.submit(write)
        heard.until(f"{pods[0]['metadata']['name']} 5")
        plane.stop_apiserver()
        heard.until_lost()
        plane.start_apiserver()
        heard.until(f"{pods[0]['metadata']['name']} {len(heard.heard) // 2 + 50}")
        done.set()
        names = [pod["metadata"]["name"] for pod in pods]
        expected = [f"{name} {number}" for name in names for number in range(written.result())]
    plane.pods.finish_all(namespace, JOB)
    found = heard.all()
    assert sorted(found) == sorted(expected)
    assert [line for line in found if line.startswith(names[0])] == expected[: len(expected) // 2]


@pytest.mark.nodes("tpu7x")
def test_of_more_hosts_than_can_be_followed_the_first_are_and_that_is_said(
    plane, namespace, start, listen, monkeypatch
):
    monkeypatch.setattr("mdctl.cluster.following.MAX_HOSTS", 1)
    jobset, pods = start()
    for number, pod in enumerate(pods):
        plane.pods.write_log(pod, f"from {number}")
    all_hosts, second = listen(jobset), listen(jobset, hosts=frozenset({1}))
    all_hosts.until("from 0")
    second.until("from 1")
    plane.pods.finish_all(namespace, JOB)
    assert (all_hosts.all(), second.all()) == (["from 0"], ["from 1"])
    assert all_hosts.told == ["of 2 hosts the first 1 are followed, 0 to 0; name others with --host"]
    assert second.told == []
