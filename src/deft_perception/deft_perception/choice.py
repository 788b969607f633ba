"""From a prompt to one object: asks the backend, and a matcher where a name must tell things apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deft_core.errors import DeftError
from deft_perception import codes
from deft_perception.look import nothing_between, reaches
from deft_perception.scene import Mask, Matcher, Prompt, Segmenter, TableScene

CLOSE_CALL = 0.8      # a runner-up with this share of the best score makes it a close call
LEAST_SCORE = 0.05    # of the best among several: less, and none of them is what the noun names


@dataclass(frozen=True)
class Found:
    """The object's mask (h, w), how surely it is the one that is meant (0..1), and how many things stood there."""

    mask: Mask
    score: float
    candidates: int


def find(scene: TableScene, prompt: Prompt, segmenter: Segmenter, matcher: Matcher | None,
         heights: tuple[float, float] | None = None) -> Found:
    """The object that a prompt means.

    A pixel or a box decide by themselves; a noun decides by the matcher; without any the largest thing is meant.
    A thing that stands alone is meant whatever the noun; its score tells how likely that is.

    Args:
        heights: m above the table; what has nothing between them is not meant (but by a pixel or a box).

    Raises:
        DeftError: NO_TABLE, NO_OBJECT, AMBIGUOUS or BAD_INPUT.
    """
    height, width = scene.depth.shape
    if prompt.point is not None and not (0 <= prompt.point[0] < width and 0 <= prompt.point[1] < height):
        raise DeftError(codes.BAD_INPUT, f"the prompt pixel ({prompt.point[0]:.0f}, {prompt.point[1]:.0f}) lies outside the "
                        f"{width}x{height} image")
    if prompt.point is not None or prompt.box is not None:
        mask, score = segmenter.prompted(scene, prompt)
        return Found(segmenter.refined(scene, mask), score, 1)
    things = segmenter.things(scene)
    if not things:
        raise DeftError(codes.NO_OBJECT, "nothing stands on the table inside the object region (seen by "
                        f"'{segmenter.name}'); put the object down, or correct object_region in the robot's YAML")
    if heights:
        things = [thing for thing in things if reaches(scene, thing, heights)]
        if not things:
            raise nothing_between(heights)
    best, score = (0, _alone(scene, things, prompt, matcher)) if len(things) == 1 else _best(scene, things, prompt, matcher)
    return Found(segmenter.refined(scene, things[best]), score, len(things))


def _alone(scene: TableScene, things: list[Mask], prompt: Prompt, matcher: Matcher | None) -> float:
    """How much the only thing is like the noun; 1 without a noun, or for one that the matcher does not know."""
    if not prompt.noun or matcher is None:
        return 1.0
    try:
        return float(matcher.scores(scene, things, prompt.noun)[0])
    except DeftError:
        return 1.0


def _best(scene: TableScene, things: list[Mask], prompt: Prompt, matcher: Matcher | None) -> tuple[int, float]:
    """Which of several things is meant, and its score."""
    named = bool(prompt.noun) and matcher is not None
    scores = matcher.scores(scene, things, prompt.noun) if named and matcher else np.array([t.sum() for t in things], float)
    if not named:
        scores /= scores.sum()
    second, best = np.argsort(scores)[-2:]
    what = f"called '{prompt.noun}'" if named else "by size alone (the task's look has no noun)"
    way_out = "click the object (/clicked_point, or a prompt pixel), or take the other away"
    if named and scores[best] < LEAST_SCORE:
        raise DeftError(codes.NO_OBJECT, f"none of the {len(things)} things on the table looks like '{prompt.noun}' (best "
                        f"{scores[best]:.2f}); put it down, or {way_out}")
    if scores[second] > CLOSE_CALL * scores[best]:
        raise DeftError(codes.AMBIGUOUS, f"two candidates are too close to call, {what}: {scores[best]:.2f} and "
                        f"{scores[second]:.2f}; {way_out}")
    return int(best), float(scores[best])
