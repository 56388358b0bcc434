from etils import epath

from mdctl.runtime.generate import count_samples
from mdctl.spec.shard import WHOLE, Shard
from tests.spec.jobs import job

SPEC = job(task="generate", sampling={"promptsFile": "gs://b/p"}).spec


def test_progress_is_counted_in_records_of_ones_own_shard(tmp_path):
    samples = tmp_path / "samples"
    samples.mkdir()
    for name in ("0000-a.json", "0001-b.json", "0002-c.json", "0002-c-1234.mp4", "0003-d-1234.mp4", "manifest.jsonl"):
        (samples / name).touch()
    counts = [count_samples(SPEC, epath.Path(tmp_path), shard) for shard in (WHOLE, Shard(0, 2), Shard(1, 2))]
    assert counts == [3, 2, 1]


def test_nothing_is_there_before_the_first(tmp_path):
    assert count_samples(SPEC, epath.Path(tmp_path), WHOLE) == 0
