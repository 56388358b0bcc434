"""Checkpoints, artifacts and repositories of weights.

No listing of `gs://` is kept: other hosts and TensorStore write there too, which a kept listing would hide from us.
"""

from fsspec.config import conf

conf.setdefault("gs", {})["use_listings_cache"] = False
