"""What a training job leaves for others: the parameters that it trained, in the layout that diffusers loads.

    published/unet/                              config.json and weights of a denoiser; `transformer/` of a video model
    published/text_encoder/ text_encoder_2/      where they were trained along
    published/vae/ tokenizer/ scheduler/ ...     beside what is a whole model: the repository's other folders
    published/controlnet/                        where a ControlNet was trained beside it
    published/pytorch_lora_weights.safetensors   where a LoRA was trained in its place
    published/published.json                     {"step": 200, "parameters": "ema"}; written last

It is the average, where one is kept. A whole model serves as `model.weights` of other jobs. Every host takes part, for
arrays may be cut over all of them; the first writes.
"""

import json
import tempfile
from pathlib import Path

import jax
import numpy as np
from etils import epath
from jax.experimental.multihost_utils import broadcast_one_to_all, sync_global_devices

from mdctl.diffusion.denoise import Params
from mdctl.models.family import Denoiser
from mdctl.spec.errors import OutputError
from mdctl.spec.outputs import PUBLICATION, PUBLISHED
from mdctl.storage.folders import copy_files, put_folder
from mdctl.storage.lines import is_remote
from mdctl.storage.once import look
from mdctl.storage.repository import pipeline_files


def publish(
    denoiser: Denoiser, params: Params, repository: Path | None, output: epath.Path, *, step: int, item: str
) -> None:
    """Write trained parameters, which are `item` of the checkpoint at `step`, in the place of any that are there.

    Where no part of the network stayed as it was, the repository's other folders are copied beside them.

    Raises OutputError if they cannot be written.
    """
    with _room(output) as room:
        folder = Path(room) / PUBLISHED
        folder.mkdir()
        denoiser.save(params, folder)
        if jax.process_index() == 0:
            if repository is not None and not denoiser.frozen:
                _complete(folder, repository)
            (folder / PUBLICATION).write_bytes(_record(step, item))
            put_folder(folder, output / PUBLISHED, PUBLICATION)
    sync_global_devices("published")  # a host that has nothing to write must not leave before


def is_published(output: epath.Path, step: int, item: str) -> bool:
    """Return whether these are there; what the first host sees counts for all."""
    seen = jax.process_index() == 0 and look(output / PUBLISHED / PUBLICATION).content == _record(step, item)
    return bool(broadcast_one_to_all(np.bool_(seen)))


def _complete(folder: Path, repository: Path) -> None:
    """Copy what of a repository was not trained, so that the folder is one as well."""
    trained = {path.name for path in folder.iterdir()}
    copy_files(repository, [file for file in pipeline_files(repository) if file.parts[0] not in trained], folder)


def _record(step: int, item: str) -> bytes:
    return f"{json.dumps({'step': step, 'parameters': item})}\n".encode()


def _room(output: epath.Path) -> tempfile.TemporaryDirectory[str]:
    """Return a folder to write in: beside what is published, or of this machine where that is at `gs://`."""
    beside = None if is_remote(output) or jax.process_index() != 0 else str(output)
    try:
        return tempfile.TemporaryDirectory(prefix=".publishing-", dir=beside, ignore_cleanup_errors=True)
    except OSError as error:
        where = beside or tempfile.gettempdir()
        raise OutputError(f"{where} cannot be written ({error.strerror}); make room, or set TMPDIR") from error
