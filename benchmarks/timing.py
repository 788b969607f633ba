"""Wall time of a call, measured alike for DEFT and for its peers; needs numpy only, because peers live elsewhere."""

import time

import numpy as np


def median_ms(call, repeats: int) -> float:
    """The median of `repeats` calls after a first one that does not count."""
    call()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds)) * 1e3
