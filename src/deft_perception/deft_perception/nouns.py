"""The built-in matcher: a linear classifier of appearance for the nouns of DEFT's tasks, and their synonyms.

Trained on simulated tables (tools/train_nouns.py); microseconds a candidate, no downloads. For other nouns, or
objects that look otherwise, there is the open_clip matcher (clip.py) and there are clicks.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deft_core.config import nearest, read_yaml
from deft_core.errors import ConfigError, DeftError
from deft_perception import codes
from deft_perception.appearance import SIZE, describe
from deft_perception.scene import Mask, TableScene

LIMIT = 4.0  # standard deviations, an outlier among the numbers of a description counts as this


@dataclass(frozen=True)
class NounModel:
    """score of class c = weights[c] . clip((x - mean) / scale) + bias[c]; see `describe` for x. The last class is `clutter`."""

    classes: tuple[str, ...]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]

    @staticmethod
    def load(path: Path) -> NounModel:
        """Raises ConfigError for a missing or unfit file."""
        try:
            data = json.loads(path.read_text())
            arrays = [np.array(data[key], float) for key in ("mean", "scale", "weights", "bias")]
            model = NounModel(tuple(data["classes"]), *arrays)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path} is no noun model ({error}); make one with tools/train_nouns.py") from None
        if model.weights.shape != (len(model.classes), SIZE):
            raise ConfigError(f"{path} was made for other descriptions ({model.weights.shape}, needed "
                              f"{(len(model.classes), SIZE)}); run tools/train_nouns.py")
        return model

    def save(self, path: Path) -> None:
        values = {key: np.round(getattr(self, key), 5).tolist() for key in ("mean", "scale", "weights", "bias")}
        path.write_text(json.dumps({"classes": list(self.classes), **values}) + "\n")

    def probabilities(self, descriptions: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n, classes) from descriptions (n, SIZE)."""
        x = np.clip((descriptions - self.mean) / self.scale, -LIMIT, LIMIT)
        logits = x @ self.weights.T + self.bias
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))


class NounMatcher:
    """See Matcher.

    Args:
        folder: with nouns.json (the model) and nouns.yaml (its nouns and their synonyms).

    Raises:
        ConfigError: a file is missing, or they do not belong together.
    """

    name = "nouns"

    def __init__(self, folder: Path) -> None:
        self._model = NounModel.load(folder / "nouns.json")
        synonyms = read_yaml(folder / "nouns.yaml")
        for noun, words in synonyms.items():
            if noun not in self._model.classes:
                raise ConfigError(f"{folder / 'nouns.yaml'}: unknown noun '{noun}': {nearest(noun, self._model.classes)}")
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise ConfigError(f"{folder / 'nouns.yaml'}: the synonyms of '{noun}' must be a list of words: [{words}]")
        self._class_of = {word: noun for noun, words in synonyms.items() for word in (noun, *words)}

    def noun_in(self, text: str) -> str:
        """The first noun in a text that this matcher knows, of several that begin there the longest; "" when there is none."""
        words = re.findall(r"[a-z]+", text.lower())
        longest = max(len(known.split()) for known in self._class_of)
        for k in range(len(words)):
            for n in range(longest, 0, -1):
                phrase = " ".join(words[k:k + n])
                for candidate in (phrase, phrase.removesuffix("s")):
                    if candidate in self._class_of:
                        return candidate
        return ""

    def scores(self, scene: TableScene, masks: list[Mask], noun: str) -> NDArray[np.float64]:
        """See Matcher."""
        known = self.noun_in(noun)
        if not known:
            raise DeftError(codes.BAD_INPUT, f"'{noun}' is no noun that the built-in matcher knows: "
                            f"{nearest(noun, self._class_of)}; add a synonym in perception/nouns.yaml, click the object, or "
                            "use matcher open_clip")
        column = self._model.classes.index(self._class_of[known])
        return self._model.probabilities(np.stack([describe(scene, mask) for mask in masks]))[:, column]
