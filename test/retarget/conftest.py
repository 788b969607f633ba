"""Hands and the human skeleton."""

from __future__ import annotations

import pytest
from retarget_hands import HANDS, load_hand

from deft_core.descriptions import HandConfig
from deft_retarget.skeleton import HandSkeleton, shipped_skeleton


@pytest.fixture(scope="session")
def skeleton() -> HandSkeleton:
    return shipped_skeleton()


@pytest.fixture(scope="session", params=HANDS)
def any_hand(request) -> HandConfig:
    return load_hand(request.param)
