from tests.buckets import bucket, buckets, emulator
from tests.workers import compiled, repository, start, start_hosts, uninterrupted, write_job

__all__ = [
    "bucket",
    "buckets",
    "compiled",
    "emulator",
    "repository",
    "start",
    "start_hosts",
    "uninterrupted",
    "write_job",
]
