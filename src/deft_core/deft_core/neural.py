"""PyTorch beside a software renderer.

Triton (which PyTorch loads for torch.compile, and DEFT does not use) and Mesa (which MuJoCo renders with where there is
no GPU) each bring an LLVM of their own. Loading Triton after Mesa ends the process with a segmentation fault.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType


def import_torch() -> ModuleType:
    """PyTorch, without Triton unless somebody has loaded that already. Import it this way wherever DEFT uses it."""
    sys.modules.setdefault("triton", None)  # type: ignore[arg-type]  # an import of it now raises ImportError
    return importlib.import_module("torch")
