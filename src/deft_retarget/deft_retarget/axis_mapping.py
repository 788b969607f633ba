"""The paper's retargeting: anatomical MANO angles onto robot joints, by a table in the hand's YAML. No optimisation."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import AfterValidator, FiniteFloat

from deft_core.config import nearest
from deft_core.descriptions import HandConfig
from deft_core.errors import ConfigError
from deft_core.types import Array
from deft_retarget.anatomy import AXES, anatomical_angles, anatomical_axes
from deft_retarget.skeleton import FINGERS, JOINTS, HandSkeleton

OFFSET = "offset"
# index.mcp.twist, index.mcp.spread, ...: the rows of anatomical_angles() in order
ANGLES = tuple(f"{finger}.{joint}.{axis}" for finger in FINGERS for joint in JOINTS[finger] for axis in AXES)


def _known(row: dict[str, float]) -> dict[str, float]:
    for key in row:
        if key not in ANGLES and key != OFFSET:
            raise ValueError(f"'{key}' is no angle of the human hand: {nearest(key, [*ANGLES, OFFSET])}")
    return row


# One robot joint: `offset` rad, and rad of it per rad of the human hand's angles by name, sign included
JointMapping = Annotated[dict[str, FiniteFloat], AfterValidator(_known)]


class AxisMapping:
    """Motor angles from poses of the human hand.

    Raises:
        ConfigError: the table names unknown joints or misses some.
    """

    def __init__(self, hand: HandConfig, table: dict[str, dict[str, float]], skeleton: HandSkeleton) -> None:
        missing, unknown = sorted(set(hand.motors) - set(table)), sorted(set(table) - set(hand.motors))
        if missing or unknown:
            coupled = sorted(set(unknown) & set(hand.coupled))
            hint = f"; {coupled} follow other joints and need no row" if coupled else ""
            if missing:
                hint += f"; `deft hand fit-thumb {hand.name}` prints a thumb's rows"
            raise ConfigError(f"hand '{hand.name}', retarget.joints: missing {missing}, unknown {unknown}{hint}")
        self._axes = anatomical_axes(skeleton)
        self._offset = np.array([table[name].get(OFFSET, 0.0) for name in hand.motors])
        self._scale = np.array([[table[name].get(angle, 0.0) for name in hand.motors] for angle in ANGLES])  # (45, m)

    def motors(self, mano_pose: Array) -> Array:
        """Motor angles (..., m), rad, not yet limited, for right-hand poses (..., 45), rad, flat hand = 0."""
        angles = anatomical_angles(self._axes, mano_pose).reshape(mano_pose.shape)
        return np.asarray(self._offset + angles @ self._scale)
