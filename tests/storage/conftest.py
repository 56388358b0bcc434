from tests.buckets import bucket, buckets, emulator

__all__ = ["bucket", "buckets", "emulator"]
