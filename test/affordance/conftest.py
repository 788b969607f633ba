"""Labels of blocks, and a network that learns them in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from affordance.blocks import LEFT, RIGHT, label, write_labels

from deft_affordance.network.settings import NetworkSettings
from deft_affordance.training.losses import LossSettings
from deft_affordance.training.settings import AffordanceConfig, TrainingSettings
from deft_core.neural import import_torch

torch = import_torch()


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """PyTorch's threads wait for each other by spinning, which takes ten times as long on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels of 48 things, each touched at both ends."""
    labels = [label(number, text) for number in range(48) for text in (RIGHT, LEFT)]
    return write_labels(tmp_path_factory.mktemp("labels") / "blocks", labels)


@pytest.fixture
def small() -> AffordanceConfig:
    """A network and a schedule for seconds."""
    network = NetworkSettings(picture=64, deconvolutions=(16, 8), width=32, layers=1, hidden=32, dropout=0.0)
    return AffordanceConfig(network=network, loss=LossSettings(),
                            training=TrainingSettings(epochs=3, batch=16, learning_rate=2e-3, frozen_stages=7, patience=10))
