"""The user's own defaults, in `$XDG_CONFIG_HOME/mdctl/config.yaml`: what a spec leaves unset is taken from there."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from mdctl.spec.errors import OutputError, SpecError
from mdctl.spec.fields import in_yaml_spelling
from mdctl.spec.model import Directory, join
from mdctl.spec.part import Part
from mdctl.spec.reading import explain, read_mapping
from mdctl.spec.text import DnsLabel, ImageName


class Settings(Part):
    """Defaults for every job that goes to a cluster."""

    image: ImageName | None = None
    """Container image."""
    output_dir: Directory | None = None
    """Where every job gets a folder of its name."""
    queue: DnsLabel | None = None
    """A LocalQueue of Kueue."""
    namespace: DnsLabel | None = None
    """The namespace jobs are made in."""

    def layer(self, name: str) -> dict[str, Any]:
        """Return what these settings say of a job of that name, to lay under it."""
        output_dir = None if self.output_dir is None else join(self.output_dir, name)
        spec = {"image": self.image, "outputDir": output_dir, "queue": {"name": self.queue}}
        return {"metadata": {"namespace": self.namespace}, "spec": spec}


def settings_path() -> Path:
    """Return where the settings are, or would be."""
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home, "mdctl", "config.yaml")


def read_settings() -> Settings:
    """Return the user's settings; without a file, all are unset.

    Raises:
        SpecError: the file is there and is not valid.
    """
    path = settings_path()
    return parse_settings(read_mapping(path), str(path)) if _is_there(path) else Settings()


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise SpecError(
            f"{path}: cannot be looked at: {error.strerror}; set XDG_CONFIG_HOME to a folder of yours"
        ) from None


def parse_settings(data: dict[str, Any], where: str) -> Settings:
    """Return the settings that a mapping describes; raises SpecError with every problem."""
    try:
        return Settings.model_validate(in_yaml_spelling(data, Settings))
    except ValidationError as error:
        raise SpecError(explain(error, Settings, where)) from None


def write_settings(settings: Settings) -> Path:
    """Replace the user's settings, at once and whole; return where they are.

    Raises:
        OutputError: the folder cannot be written.
    """
    path = settings_path()
    text = yaml.safe_dump(settings.model_dump(mode="json", by_alias=True, exclude_none=True), sort_keys=False)
    _write_whole(path, text)
    return path


def find_setting(name: str) -> str:
    """Return the setting of a name in either spelling, `-` for `_` too; raises SpecError, naming all, for another."""
    for setting, field in Settings.model_fields.items():
        if name.replace("-", "_") in (setting, field.alias):
            return setting
    raise SpecError(f"no setting is called {name!r}; there are: {', '.join(Settings.model_fields)}")


def _write_whole(path: Path, text: str) -> None:
    """Write a file, and its folder where needed, so that a reader finds the old text or the new, never a part."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(text, encoding="utf-8")
        os.replace(new, path)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        raise OutputError(f"{path}: cannot be written: {error.strerror}; choose another folder, or free this") from None
