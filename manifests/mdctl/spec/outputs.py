"""The output directory of a job, a folder or `gs://bucket/path`: the names that the worker writes and mdctl reads.

    job.yaml                                 the resolved spec of the newest attempt
    cancelled.json                           the run that somebody cancelled, when, and who; written by mdctl
    data.json                                the clips that the run trains on
    prior.json                               the pictures of the subject's class that it trains on beside them
    prior/samples/0003-a-photo-of-a-dog-*.png    those of them that were made before training, each with its .json
    metrics.jsonl                            a line for each step
    evaluations.jsonl                        a line for each evaluation
    evaluations/000500/samples/0000-*.mp4    its videos, each with its .json
    samples/0003-a-red-fox-5d41402a.mp4      a video, a .png where it has one frame, and the first digits of its hash
    samples/0003-a-red-fox.json              what it was made from, its file and hash; written last, and once
    samples/manifest.jsonl                   a line for each sample, once all of a job's are there
    checkpoints/500/_CHECKPOINT_METADATA     the items of a checkpoint: params, opt_state, ema, integers
    checkpoints/500/params/seal.json         name and size of every file of an item
    checkpoints/500/commit_success.txt       written last; at `gs://` the checkpoint counts from here on
    published/unet/ vae/ text_encoder/ ...   the whole model, as diffusers loads it, where that was trained
    published/controlnet/                    what was trained where that is a ControlNet
    published/pytorch_lora_weights.safetensors   what was trained where that is a LoRA
    published/published.json                 of which step, and whether the average; written last
    attempts/0003/attempt.json               which run, how far it was when it began
    attempts/0003/host-0.log.jsonl           a host's log
    attempts/0003/host-0.exit.json           its exit code and cause; absent while it runs and where it was destroyed
    shards/0002/attempts/0003/host-2.*       the same where a job fans out, and each shard has attempts of its own
    cache/                                   latents and text embeddings

Names have no `/` at either end, so that they can be joined to a directory of either kind.
"""

import re

LOCAL_OUTPUTS = "outputs"
"""Where jobs of this computer write, in the folder that they are started from: each in one of its name."""

JOB = "job.yaml"
CANCELLED = "cancelled.json"
DATA = "data.json"
PRIOR_DATA = "prior.json"
PRIOR = "prior"
METRICS = "metrics.jsonl"
EVALUATION_RECORDS = "evaluations.jsonl"
EVALUATIONS = "evaluations"
SAMPLES = "samples"
MANIFEST = "manifest.jsonl"
CACHE = "cache"

CHECKPOINTS = "checkpoints"
"""Unless the spec names another directory for them."""
ITEMS = "_CHECKPOINT_METADATA"
"""In a checkpoint; JSON whose `item_handlers` names its items."""
INTEGERS = "integers"
"""The item of a checkpoint that holds no arrays, and has no seal."""
SEAL = "seal.json"
COMMITTED = "commit_success.txt"

PUBLISHED = "published"
PUBLICATION = "published.json"
"""In `published`; what is there is whole once this is."""

ATTEMPTS = "attempts"
ATTEMPT = "attempt.json"
SHARDS = "shards"

_HOST = re.compile(r"host-([0-9]+)\.(log\.jsonl|exit\.json)")


def shard_folder(index: int) -> str:
    """Return where a shard keeps its attempts: `shards/0002`."""
    return f"{SHARDS}/{index:04d}"


def attempt_folder(number: int) -> str:
    """Return where an attempt is kept: `attempts/0003`."""
    return f"{ATTEMPTS}/{number:04d}"


def attempt_number(name: str) -> int | None:
    """Return the number of an attempt whose folder has this name; None if it is no attempt's."""
    return int(name) if name.isascii() and name.isdigit() else None


def host_log(host: int) -> str:
    """Return the name of a host's log in the folder of an attempt."""
    return f"host-{host}.log.jsonl"


def host_exit(host: int) -> str:
    """Return the name of a host's exit cause in the folder of an attempt."""
    return f"host-{host}.exit.json"


def host_of(name: str) -> int | None:
    """Return the host whose log or exit cause has this name; None if it is neither."""
    found = _HOST.fullmatch(name)
    return int(found[1]) if found else None


def evaluation_folder(step: int) -> str:
    """Return where the videos of an evaluation are, below `evaluations`: `000500`."""
    return f"{step:06d}"


def evaluated_step(name: str) -> int | None:
    """Return the step of the evaluation whose folder has this name; None if it is no evaluation's."""
    return int(name) if name.isascii() and name.isdigit() else None
