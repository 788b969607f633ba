"""How processes that render share the machine."""

from __future__ import annotations

import os


def off_screen() -> None:
    """Render without a window, with one thread a process. Call it before MuJoCo is imported: it looks only then."""
    os.environ.setdefault("MUJOCO_GL", "egl")
    os.environ["LP_NUM_THREADS"] = "1"  # of Mesa's software renderer
