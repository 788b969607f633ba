"""PyTorch beside a software renderer.

Triton (which PyTorch loads for torch.compile, and DEFT does not use) and Mesa (which MuJoCo renders with where there is
no GPU) each bring an LLVM of their own. Loading Triton after Mesa ends the process with a segmentation fault.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
from collections.abc import Iterator
from types import ModuleType

import threadpoolctl

_ALONE = threading.RLock()


def import_torch() -> ModuleType:
    """PyTorch, without Triton unless somebody has loaded that already. Import it this way wherever DEFT uses it."""
    sys.modules.setdefault("triton", None)  # type: ignore[arg-type]  # an import of it now raises ImportError
    return importlib.import_module("torch")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch and BLAS on one thread: how sums are shared out among several changes the last digits of what they give."""
    torch = import_torch()
    with _ALONE:  # the number of threads and the global generator belong to the process
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with threadpoolctl.threadpool_limits(1):
                yield
        finally:
            torch.set_num_threads(threads)
