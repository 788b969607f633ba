"""The hands that DEFT ships, for tests of retargeting."""

from __future__ import annotations

from support import CONFIG

from deft_core.config import find, load
from deft_core.descriptions import HandConfig

HANDS = ("allegro_right", "allegro_left", "leap_right", "shadow_right", "dash_right")


def load_hand(name: str) -> HandConfig:
    return load(HandConfig, find(CONFIG, "hands", name))
