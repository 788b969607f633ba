"""Train the built-in matcher: tables of train objects are rendered, segmented, described, and a linear classifier is fitted.

    . .venv/deft_env.sh && python tools/train_nouns.py [--tables 600]     (about 8 minutes on one core)

Writes config/perception/nouns.json. Test objects are not seen; benchmarks/perception.py measures on them. For nouns of
your own: add a Kind to deft_sim/clutter.py (and its synonyms to nouns.yaml), then run this.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from deft_core.config import find, load
from deft_core.descriptions import HandConfig, RobotConfig
from deft_core.projection import metres
from deft_perception.appearance import describe
from deft_perception.nouns import LIMIT, NounModel
from deft_perception.observation import Frame, Observer
from deft_perception.tabletop import TabletopConfig, TabletopSegmenter
from deft_sim.clutter import CLUTTER, KINDS, Table, TableSetter

CONFIG = Path(__file__).resolve().parent.parent / "src" / "deft_bringup" / "config"
PENALTY, ITERATIONS = 2e-3, 1000
MOSTLY = 0.5  # share of a segment that lies on one thing's true mask, less is no example of anything


def name_of(table: Table, mask: NDArray[np.bool_]) -> str:
    """What a segment shows: a noun, `clutter`, or "" for a mixture."""
    shares = {name: float((mask & true).sum() / mask.sum()) for name, true in table.masks.items()}
    name, share = max(shares.items(), key=lambda item: item[1], default=("", 0.0))
    return "" if share < MOSTLY else CLUTTER if name.startswith(CLUTTER) else name


def examples(tables: int) -> tuple[NDArray[np.float32], NDArray[np.intp], tuple[str, ...]]:
    """Descriptions (n, SIZE), classes (n,) and the classes' names."""
    robot = load(RobotConfig, find(CONFIG, "robots", "xarm7_sim"))
    setter = TableSetter(robot, load(HandConfig, find(CONFIG, "hands", "allegro_right")))
    segmenter = TabletopSegmenter(TabletopConfig())
    observer = Observer(robot, segmenter)
    classes = (*KINDS, CLUTTER)
    found: list[tuple[NDArray[np.float32], int]] = []
    for seed in range(tables):
        rng = np.random.default_rng([seed, 1])
        table = setter.table("train", int(rng.integers(1, 6)), int(rng.integers(0, 4)), seed)
        scene = observer.scene(Frame(table.rgb, metres(table.depth), robot.camera.intrinsics()))
        for mask in segmenter.things(scene):
            if name := name_of(table, mask):
                found.append((describe(scene, mask), classes.index(name)))
        if seed % 50 == 49:
            print(f"{seed + 1} of {tables} tables, {len(found)} examples", flush=True)
    return np.stack([x for x, _ in found]), np.array([y for _, y in found]), classes


def fit(x: NDArray[np.float32], y: NDArray[np.intp], classes: tuple[str, ...]) -> NounModel:
    """Multinomial logistic regression with a penalty on large weights."""
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-3
    inputs = np.clip((x - mean) / scale, -LIMIT, LIMIT)
    truth = np.eye(len(classes))[y]
    shape = (len(classes), inputs.shape[1] + 1)

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(shape)
        logits = inputs @ weights[:, :-1].T + weights[:, -1]
        logs = log_softmax(logits, axis=1)
        wrong = (np.exp(logs) - truth) / len(y)
        gradient = np.column_stack([wrong.T @ inputs + PENALTY * weights[:, :-1], wrong.sum(axis=0)])
        return float(-(truth * logs).sum() / len(y) + PENALTY / 2 * (weights[:, :-1] ** 2).sum()), gradient.ravel()

    found = minimize(loss, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    weights = found.x.reshape(shape)
    model = NounModel(classes, mean, scale, weights[:, :-1], weights[:, -1])
    right = float((model.probabilities(x).argmax(axis=1) == y).mean())
    print(f"{len(y)} examples, loss {found.fun:.3f}, {right:.1%} of them right")
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=600)
    options = parser.parse_args()
    fit(*examples(options.tables)).save(CONFIG / "perception" / "nouns.json")


if __name__ == "__main__":
    main()
