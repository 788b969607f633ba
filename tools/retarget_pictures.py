"""Draw the pictures of docs/retargeting.md: every hand's gestures, and the wrist cases of test/retarget/test_wrist.py.

    . .venv/deft_env.sh && python tools/retarget_pictures.py [--out docs/images/retarget]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from deft_core.config import default_config_dir, find, load
from deft_core.descriptions import HandConfig
from deft_core.types import Pose
from deft_retarget.motions import WRIST_CASES, gesture, wrist_of
from deft_retarget.pictures import compare, wrist_cases
from deft_retarget.retargeter import Retargeter
from deft_retarget.wrist import hand_base_pose

GESTURES = ("flat", "half_closed", "pinch", "fist")
HANDS = (("allegro_right", "axis"), ("allegro_right", "dexpilot"), ("allegro_left", "axis"), ("leap_right", "dexpilot"),
         ("shadow_right", "dexpilot"), ("dash_right", "axis"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images/retarget"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name, method in HANDS:
        retargeter = Retargeter(load(HandConfig, find(default_config_dir(), "hands", name)), method)
        compare(retargeter, [(title, gesture(retargeter.skeleton, title)) for title in GESTURES], out / f"{name}_{method}.png")
    allegro = Retargeter(load(HandConfig, find(default_config_dir(), "hands", "allegro_right")))
    cases = [(case, wrist_of(case), hand_base_pose(Pose(np.zeros(3), wrist_of(case)), Pose.identity(), allegro.hand,
                                                   np.array(allegro.config.wrist), 1.0, np.zeros(3))) for case in WRIST_CASES]
    wrist_cases(allegro, cases, gesture(allegro.skeleton, "half_closed"), out / "wrist.png")


if __name__ == "__main__":
    main()
