"""The affordance network on things, backgrounds and phrasings that it never saw, beside baselines.

    . .venv/deft_env.sh && python benchmarks/affordance.py all --out build/affordance --train build/affordance/stills

Parts: `scenes` (makes the test scenes: 8 grips for each purpose that a thing serves; kept in OUT), `predict` (contact, wrist
and hand; does the text matter; are the standard deviations true), `baselines` (the object's centre with the mean pose, and the
nearest neighbour in the encoders' space, on the same scenes; needs --train, the labels that the network learned from),
`variants` (networks of other losses, rotations and inputs, all trained for a short while on the same share of --train: what
each choice is worth), `speed` (a crop end to end on one core), `all`. What the prior does on the robot is measured by
benchmarks/tasks.py, parts `prior` and `heuristic`.
"""

from __future__ import annotations

import argparse
import json
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from deft_affordance.predictor import ObjectView
from deft_core.neural import import_torch
from deft_core.types import Array
from deft_human_video.synthetic.off_screen import off_screen

SCENES, SEED, GRIPS = 390, 9000, 8
SLACK = 0.005        # m that a contact may lie outside the region where people touch
REACH = 0.25         # of the crop's longer side: a contact this far off weighs as much as a wrist 1 rad off
SPEED_CROPS = 200
VARIANT_LABELS, VARIANT_EPOCHS = 1600, 4
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "as shipped": {},
    "no text": {"network": {"language": "none"}},
    "losses and heads of the paper": {"network": {"text_in_contact": False, "laterals": False, "pooled": True,
                                                  "turn": "axis_angle"},
                                      "loss": {"contact": "l2", "wrist": "l2", "wrist_weight": 0.1}},
    "axis-angle by L2": {"network": {"turn": "axis_angle"}, "loss": {"wrist": "l2"}},
    "contact by L2": {"loss": {"contact": "l2"}},
    "contact by cross-entropy": {"loss": {"contact": "nll"}}}
NEIGHBOUR_TEXT = 1.0  # weight of the text's distance beside the picture's, both of unit vectors


@dataclass(frozen=True)
class TestView:
    """One thing, and how people take it for each purpose. Pixels are of the crop.

    Attributes:
        seen: as perception would hand it on, without a text.
        texts: by purpose, a phrasing that no training saw.
        regions: by purpose, (n, 2) pixels, the hull of where GRIPS hands touch.
        contacts: by purpose, (GRIPS, 2) pixels, mean contact of each.
        wrists: by purpose, GRIPS rotation vectors (GRIPS, 3), MANO's wrist in the optical frame.
        hands: by purpose, (GRIPS, 45) rad.
        slack: pixels that SLACK is wide.
    """

    seen: ObjectView
    family: str
    texts: dict[str, str]
    regions: dict[str, Array]
    contacts: dict[str, Array]
    wrists: dict[str, Array]
    hands: dict[str, Array]
    slack: float


def make_view(number: int) -> TestView:
    """Test scene `number`."""
    off_screen()
    from deft_bringup.held_out import held_out
    from deft_bringup.still_views import view_of
    from deft_human_video.errors import Rejected
    from deft_human_video.synthetic.phrases import phrase
    from deft_human_video.synthetic.split import Split
    from deft_human_video.synthetic.stills import label_of, still

    view = still(number, SEED, held_out(), Split.test, GRIPS)
    rng = np.random.default_rng([SEED, number])
    texts, regions, contacts, wrists, hands = {}, {}, {}, {}, {}
    for purpose, grips in view.scene.grips.items():
        labels = []
        for grip in grips:
            try:
                labels.append(label_of(view, purpose, grip, "", ""))
            except Rejected:  # no finger on what is seen
                continue
        if labels:
            texts[purpose] = phrase(purpose, Split.test, rng)
            regions[purpose] = cv2.convexHull(np.concatenate([x.points for x in labels]).astype(np.float32)).reshape(-1, 2)
            contacts[purpose] = np.array([x.contact for x in labels])
            wrists[purpose] = np.array([x.wrist for x in labels])
            hands[purpose] = np.array([x.mano_pose for x in labels])
    distance = view.scene.camera.inverse().apply(view.scene.place.position)[2]
    return TestView(view_of(view, ""), view.scene.thing.family, texts, regions, contacts, wrists, hands,
                    float(SLACK * view.scene.intrinsics.fx / distance))


def test_views(out: Path) -> list[TestView]:
    """The test scenes, made once."""
    path = out / f"scenes-{SEED}-{SCENES}-{GRIPS}.pkl"
    if not path.is_file():
        began = time.perf_counter()
        with get_context("spawn").Pool(2) as pool:
            views = []
            for view in pool.imap(make_view, range(SCENES)):
                views.append(view)
                print(f"\r{len(views)}/{SCENES} test scenes", end="", flush=True)
        path.write_bytes(pickle.dumps(views))
        print(f" in {time.perf_counter() - began:.0f} s")
    return pickle.loads(path.read_bytes())


@dataclass(frozen=True)
class Guess:
    """What is said of a view: contact (2,) pixels of the crop, wrist in the optical frame, hand (45,), deviations (px, rad)."""

    contact: Array
    wrist: Rotation
    hand: Array
    deviations: tuple[float, float] = (float("nan"), float("nan"))


Guesser = Callable[[TestView, str], Guess]


def network_guesser(weights: Path | None) -> Guesser:
    """The shipped network, or another one, as the robot asks it."""
    from deft_affordance.learned import LearnedPredictor
    from deft_affordance.network.weights import SHIPPED

    predictor, rng = LearnedPredictor(weights or SHIPPED), np.random.default_rng(0)

    def guess(view: TestView, text: str) -> Guess:
        found = predictor.predict(replace(view.seen, text=text), "", rng)
        return Guess(found.pixels.mean(axis=0) - view.seen.corner, view.seen.camera.rotation.inv() * found.wrist_in_base,
                     found.mano_pose, (found.contact_deviation, found.wrist_deviation))
    return guess


def inside(view: TestView, purpose: str, contact: Array) -> bool:
    """The contact lies where people touch, give or take SLACK."""
    hull = view.regions[purpose].astype(np.float32)
    return cv2.pointPolygonTest(hull.reshape(-1, 1, 2), (float(contact[0]), float(contact[1])), True) >= -view.slack


def turned(a: Rotation, wrists: Array) -> Array:
    """Degrees (n,) between a rotation and rotation vectors (n, 3)."""
    return np.degrees((a.inv() * Rotation.from_rotvec(wrists)).magnitude())


def apart(view: TestView, guess: Guess, purpose: str) -> float:
    """How far a guess is from the nearest grip of a purpose: rad and shares of REACH together."""
    reach = REACH * max(view.seen.crop.shape[:2])
    off = np.linalg.norm(view.contacts[purpose] - guess.contact, axis=1) / reach
    return float((off + np.radians(turned(guess.wrist, view.wrists[purpose]))).min())


def judged(views: list[TestView], guess: Guesser) -> list[dict[str, Any]]:
    """One record a view and purpose. The first grip is the one drawn; the others are other people's."""
    records = []
    for number, view in enumerate(views):
        said = {purpose: guess(view, text) for purpose, text in view.texts.items()}
        for purpose, found in said.items():
            people = Rotation.from_rotvec(view.wrists[purpose])
            angles = turned(found.wrist, view.wrists[purpose])
            off = np.linalg.norm(view.contacts[purpose] - found.contact, axis=1)
            side = max(view.seen.crop.shape[:2])
            others = [p for p in view.texts if p != purpose]
            own = apart(view, found, purpose)
            records.append({
                "view": number, "purpose": purpose, "family": view.family, "inside": inside(view, purpose, found.contact),
                "contact": off[0] / side, "wrist": angles[0], "wrist_nearest": angles.min(),
                "wrist_mean": turned(found.wrist, people.mean().as_rotvec()[None])[0],
                "people_wrist": turned(people[1:].mean(), view.wrists[purpose][:1])[0] if len(people) > 1 else float("nan"),
                "hand": np.degrees(np.sqrt(((found.hand - view.hands[purpose][0]) ** 2).mean())),
                "text_right": all(own < apart(view, found, other) for other in others) if others else None,
                "contact_z": off[0] / found.deviations[0], "wrist_z": np.radians(angles[0]) / found.deviations[1]})
    return records


def summary(records: list[dict[str, Any]]) -> dict[str, float]:
    """The figures of a table's row."""
    asked = [r for r in records if r["text_right"] is not None]
    pairs: dict[int, bool] = {}
    for r in asked:
        pairs[r["view"]] = pairs.get(r["view"], True) and r["text_right"]
    median = {key: float(np.median([r[key] for r in records])) for key in (
        "contact", "wrist", "wrist_mean", "wrist_nearest", "hand")}
    return {"n": len(records), "inside": float(np.mean([r["inside"] for r in records])), **median,
            "people_wrist": float(np.nanmedian([r["people_wrist"] for r in records])),
            "text_right": float(np.mean([r["text_right"] for r in asked])) if asked else float("nan"),
            "all_texts_right": float(np.mean(list(pairs.values()))) if asked else float("nan")}


def row(name: str, records: list[dict[str, Any]]) -> str:
    """A line of Markdown."""
    s = summary(records)
    return (f"| {name} | {s['n']} | {100 * s['inside']:.0f} % | {100 * s['contact']:.1f} % | {s['wrist_mean']:.1f} | "
            f"{s['wrist_nearest']:.1f} | {s['wrist']:.1f} | {s['people_wrist']:.1f} | {s['hand']:.1f} | "
            f"{100 * s['text_right']:.0f} % | {100 * s['all_texts_right']:.0f} % |")


HEADER = ("| | n | contact inside | contact off | wrist off people's mean, deg | off the nearest of 8 people, deg | "
          "off one person, deg | a person off the others' mean, deg | finger joints off, deg | right for its text | "
          "for all texts |\n" + "| --- " * 11 + "|")


def predict(views: list[TestView], options: argparse.Namespace) -> dict[str, Any]:
    """The network, by purpose, and whether its standard deviations hold."""
    from deft_affordance.training.calibration import AXES, LEVELS, curve, miscalibration

    records = judged(views, network_guesser(options.weights))
    print(HEADER)
    for purpose in dict.fromkeys(r["purpose"] for r in records):
        print(row(purpose, [r for r in records if r["purpose"] == purpose]))
    print(row("all", records))
    curves = {}
    for name, axes in zip(("contact", "wrist"), AXES, strict=True):
        z = np.array([r[f"{name}_z"] for r in records])
        said = np.ones_like(z), z, axes
        found = curve(*said)
        curves[name] = found.tolist()
        print(f"{name}: of errors, within what is promised for 50 / 80 / 90 %: " + " / ".join(
            f"{100 * np.interp(level, LEVELS, found):.0f} %" for level in (0.5, 0.8, 0.9))
            + f"; mean distance of the curve from the diagonal {miscalibration(*said):.3f}")
    return {"summary": summary(records), "curves": curves, "levels": LEVELS.tolist(), "records": records}


def baselines(views: list[TestView], options: argparse.Namespace) -> dict[str, Any]:
    """The same scenes by simpler means."""
    from deft_affordance.training.rows import read_rows

    rows = read_rows(options.train)
    guessers: dict[str, Guesser] = {"centre and mean pose": centre_guesser(rows), "nearest neighbour": neighbour_guesser(rows)}
    guessers["the network"] = network_guesser(options.weights)
    found = {}
    print(HEADER)
    for name, guess in guessers.items():
        records = judged(views, guess)
        found[name] = summary(records)
        print(row(name, records))
    return found


def centre_guesser(rows: list[Any]) -> Guesser:
    """The object's centre, and the mean wrist and hand of all training labels."""
    from deft_affordance.network.picture import whole
    from deft_affordance.network.settings import NetworkSettings

    size = NetworkSettings().picture
    turns = Rotation.concatenate([whole(r.crop, size).view(r.corner, r.intrinsics).inv() * r.wrist for r in rows]).mean()
    hand = np.mean([r.hand for r in rows], axis=0)

    def guess(view: TestView, text: str) -> Guess:
        square = whole(view.seen.crop, size)
        return Guess(square.centre, square.view(view.seen.corner, view.seen.intrinsics) * turns, hand)
    return guess


def neighbour_guesser(rows: list[Any]) -> Guesser:
    """The label whose crop and text are most alike in the space of the encoders as they come."""
    from deft_affordance.network.encoders import MiniLM, VisualEncoder
    from deft_affordance.network.picture import whole
    from deft_affordance.network.settings import NetworkSettings

    torch = import_torch()
    size = NetworkSettings().picture
    vision, language = VisualEncoder(NetworkSettings(), pretrained=True).eval(), MiniLM()

    def seen(crop: NDArray[np.uint8]) -> Array:
        with torch.inference_mode():
            x = torch.from_numpy(whole(crop, size).cut(crop)).permute(2, 0, 1)[None].float() / 255
            vector = vision(x)[-1].mean(dim=(2, 3))[0].double().numpy()
        return vector / np.linalg.norm(vector)

    texts = sorted({r.text for r in rows})
    vectors = dict(zip(texts, language.encode(texts), strict=True))
    pictures, words = np.array([seen(r.crop) for r in rows]), np.array([vectors[r.text] for r in rows])

    def guess(view: TestView, text: str) -> Guess:
        alike = pictures @ seen(view.seen.crop) + NEIGHBOUR_TEXT * words @ language.encode([text])[0]
        best = rows[int(alike.argmax())]
        square, mine = whole(best.crop, size), whole(view.seen.crop, size)
        turn = square.view(best.corner, best.intrinsics).inv() * best.wrist
        wrist = mine.view(view.seen.corner, view.seen.intrinsics) * turn
        return Guess(mine.to_crop(square.to_square(best.contact)), wrist, best.hand)
    return guess


def variants(views: list[TestView], options: argparse.Namespace) -> dict[str, Any]:
    """What each choice is worth: the same labels, epochs and seed for all."""
    from deft_affordance.training.rows import read_rows
    from deft_affordance.training.settings import AffordanceConfig
    from deft_affordance.training.trainer import WEIGHTS, Trainer
    from deft_core.config import default_config_dir, load

    rows = read_rows(options.train)[:VARIANT_LABELS]
    shipped = load(AffordanceConfig, default_config_dir() / "affordance.yaml")
    found = {}
    for name, changes in VARIANTS.items():
        folder = options.out / "variants" / name.replace(" ", "_")
        parts = {part: {**getattr(shipped, part).model_dump(), **changes.get(part, {})}
                 for part in ("network", "loss", "training")}
        parts["training"]["epochs"] = VARIANT_EPOCHS
        trainer = Trainer(AffordanceConfig.model_validate(parts), rows, folder)  # goes on where it was
        trainer.fit()
        trainer.export({"rows": len(rows)})
        records = judged(views, network_guesser(folder / WEIGHTS))
        found[name] = summary(records)
        print((HEADER + "\n" if len(found) == 1 else "") + row(name, records), flush=True)
    return found


def speed(views: list[TestView], options: argparse.Namespace) -> dict[str, float]:
    """From crop and text to a prediction on one core."""
    from deft_affordance.learned import LearnedPredictor
    from deft_affordance.network.weights import SHIPPED

    torch = import_torch()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    predictor = LearnedPredictor(options.weights or SHIPPED)
    took, first = [], []
    for view in (views * 10)[:SPEED_CROPS]:
        for number, text in enumerate(list(view.texts.values())[:1] * 2):
            asked = replace(view.seen, text=text)
            began = time.thread_time()
            predictor.predict(asked, "", np.random.default_rng(0))
            (took if number else first).append(1000 * (time.thread_time() - began))
    found = {"p50_ms": float(np.median(took)), "p95_ms": float(np.percentile(took, 95)),
             "p50_new_text_ms": float(np.median(first))}
    print(json.dumps(found))
    return found


PARTS: dict[str, Callable[[list[TestView], argparse.Namespace], dict[str, Any]]] = {
    "predict": predict, "baselines": baselines, "variants": variants, "speed": speed}


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["scenes", *PARTS, "all"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="in place of the shipped ones")
    parser.add_argument("--train", type=Path, nargs="+", default=[], help="folders of labels that the network learned from")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    views = test_views(options.out)
    for part in PARTS if options.part == "all" else [options.part]:
        if part in ("baselines", "variants") and not options.train:
            print(f"{part}: needs --train")
        elif part in PARTS:
            (options.out / f"{part}.json").write_text(json.dumps(PARTS[part](views, options), indent=1, default=float))


if __name__ == "__main__":
    main()
