"""Whatever a config.json says, it gives a config or one error that names its settings."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdctl.models.autoencoder_kl import AutoencoderKLConfig
from mdctl.models.block_pca import BlockPCAConfig
from mdctl.models.clip import CLIPTextConfig
from mdctl.models.umt5 import UMT5Config
from mdctl.models.wan_vae import WanVAEConfig
from mdctl.spec.errors import WeightsError

CONFIGS = [WanVAEConfig.tiny(), UMT5Config.tiny(), BlockPCAConfig(), CLIPTextConfig.tiny(), AutoencoderKLConfig.tiny()]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(st.text(max_size=4), parts, max_size=2),
    max_leaves=5,
)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_a_config_is_written_and_read_back(config: Any) -> None:
    assert type(config).from_published(config.to_published()) == config


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_setting_gives_a_config_or_an_error_that_names_it(config: Any, data: st.DataObject) -> None:
    published = config.to_published()
    name = data.draw(st.sampled_from(sorted(published)) | st.text(min_size=1))
    error = ""
    try:
        read = type(config).from_published({**published, name: data.draw(VALUES)})
    except WeightsError as refusal:
        error = str(refusal)
    assert name in error if error else type(read) is type(config)
