"""How people tell what they are about to do: many phrasings for each purpose, by verb and noun."""

from __future__ import annotations

import numpy as np

from deft_human_video.synthetic.split import Split

LIFT = ("pick up {}", "pick {} up", "lift {}", "take {}", "grab {}", "raise {}", "lift {} off the table", "get {}")
POUR = ("pour from {}", "pour out {}", "empty {}", "pour the water out of {}", "pour from {} into the bowl", "tip {} out",
        "pour the juice from {}", "empty {} into the pot")
STIR = ("stir {}", "stir {} with the spoon", "stir in {}", "stir round in {}", "mix {}", "mix {} with the spoon")
CUPS = ("the cup", "the glass", "the tumbler", "the beaker", "a cup", "the paper cup")
MUGS = ("the mug", "the coffee mug", "the teacup", "the cup")
FRUITS = ("the fruit", "the piece of fruit", "the lemon", "the orange", "the apple", "the lime", "the bunch of grapes",
          "the plum")
SPOONS = ("the spoon", "the wooden spoon", "a spoon", "the metal spoon")
POTS = ("the pot", "the soup", "the sauce", "the stew", "the pan")
TOOLS = {"scoop": ("the ladle", "the big spoon", "the soup ladle"), "flip": ("the spatula", "the turner", "the slice")}

# By purpose: templates and what goes into them
GRAMMAR: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "pour_cup": (POUR, CUPS),
    "pick_cup": (LIFT, (*CUPS, *MUGS)),
    "pour_mug": (POUR, MUGS),
    "drink_mug": (("drink from {}", "have a drink from {}", "sip from {}", "pick up {} by its handle", "hold {} by the handle",
                   "take {} by the handle"), MUGS),
    "pick_bowl": ((*LIFT, "carry {}", "move {}"), ("the bowl", "the dish", "the soup bowl", "a bowl")),
    "pick_fruit": (LIFT, FRUITS),
    "squeeze_fruit": (("squeeze {}", "squeeze the juice out of {}", "press {}", "squeeze {} on the juicer", "juice {}",
                       "press {} onto the juicer"), FRUITS[2:6]),
    "open_drawer": (("open {}", "pull {} open", "slide {} out", "pull out {}", "pull {}", "open up {}"),
                    ("the drawer", "the cabinet drawer", "the small drawer", "the box's drawer")),
    "pick_spoon": (LIFT, SPOONS),
    "stir_spoon": ((*STIR, "scoop out of {}", "scoop a grape out of {}", "scoop some food from {}", "serve from {}"), POTS),
    "scoop_ladle": (("scoop with {}", "ladle the soup with {}", "scoop the soup with {}", "serve with {}", "scoop with {} "
                     "from the pot"), TOOLS["scoop"]),
    "flip_spatula": (("flip with {}", "flip the pancake with {}", "turn the egg over with {}", "flip the bagel with {}",
                      "turn the pancake with {}"), TOOLS["flip"]),
    "stir_loose_spoon": (("stir with {}", "mix with {}", "stir the tea with {}", "stir the cup with {}",
                          "mix the dough with {}"), SPOONS),
}


def phrase(purpose: str, split: Split, rng: np.random.Generator) -> str:
    """A phrasing of a purpose that belongs to the split."""
    templates, nouns = GRAMMAR[purpose]
    every = [template.format(noun) for template in templates for noun in nouns]
    return str(rng.choice([text for text in every if split.has("phrase", [text])]))
