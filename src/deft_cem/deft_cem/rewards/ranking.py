"""Ranks from comparisons: a new grasp finds its place among the earlier ones by binary insertion.

The elites need ranks and nothing else, and "better or worse than this one?" is easier to answer alike on Monday and on
Friday than "how good, from 0 to 1?". Among k - 1 ranked grasps the k-th needs at most ceil(log2 k) questions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Ranking = list[list[int]]  # worst first; episodes in one group were judged equal
BETTER, WORSE, EQUAL = "better", "worse", "equal"


def most_questions(ranking: Ranking) -> int:
    """How many questions a further grasp may need."""
    return math.ceil(math.log2(len(ranking) + 1))


@dataclass(frozen=True)
class Insertion:
    """Where a grasp may still belong after some answers: between places `low` and `high`, or equal to group `same`."""

    ranking: Ranking
    low: int
    high: int
    same: int | None = None

    @staticmethod
    def after(ranking: Ranking, answers: Sequence[tuple[int, str]]) -> Insertion:
        """From (earlier episode, how the new one compares). Answers about episodes that left the ranking do not count."""
        low, high, same = 0, len(ranking), None
        for other, answer in answers:
            group = next((i for i, g in enumerate(ranking) if other in g), None)
            if group is None:
                continue
            if answer == EQUAL:
                same = group
            elif answer == BETTER:
                low = max(low, group + 1)
            else:
                high = min(high, group)
        return Insertion(ranking, low, max(low, high), same)

    def question(self) -> int | None:
        """The earlier episode to compare with next, the latest of its equals; None when the place is known."""
        if self.same is not None or self.low == self.high:
            return None
        return max(self.ranking[(self.low + self.high) // 2])

    def inserted(self, episode: int) -> Ranking:
        """The ranking with the episode in its place."""
        groups = [list(g) for g in self.ranking]
        if self.same is not None:
            groups[self.same].append(episode)
        else:
            groups.insert(self.low, [episode])
        return groups


def without(ranking: Ranking, episode: int) -> Ranking:
    """The ranking without an episode."""
    return [left for g in ranking if (left := [e for e in g if e != episode])]


def rewards(ranking: Ranking) -> dict[int, float]:
    """Ranks as rewards 0..1, evenly spaced, the best 1; a single group has 0.5."""
    last = len(ranking) - 1
    return {e: i / last if last else 0.5 for i, group in enumerate(ranking) for e in group}
