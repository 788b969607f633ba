"""Rewards from comparisons, from pictures, and how consistent an operator is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from cem.stand_in import Brightness, method, quality, run, spec
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deft_cem.rewards.automatic import GoalDistance, calibrated, make_judge, middle
from deft_cem.rewards.config import RewardConfig
from deft_cem.rewards.desk import Answer, Wanted
from deft_cem.rewards.ranking import Insertion, most_questions, rewards, without
from deft_cem.session import Session
from deft_cem.summary import summarise
from deft_core.config import default_config_dir
from deft_core.errors import ConfigError, DeftError

COMPARISON, AUTOMATIC = RewardConfig(source="comparison"), RewardConfig(source="automatic", calibration_episodes=4)


def insert(ranking, episode, values):
    """As a perfect operator would; the ranking and how many questions it took."""
    answers = []
    while (other := Insertion.after(ranking, answers).question()) is not None:
        word = "better" if values[episode] > values[other] else "worse" if values[episode] < values[other] else "equal"
        answers.append((other, word))
    return Insertion.after(ranking, answers).inserted(episode), len(answers)


@settings(max_examples=80)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=40))
def test_binary_insertion_sorts_with_few_questions(values):
    ranking = []
    for k in range(len(values)):
        most = most_questions(ranking)
        ranking, asked = insert(ranking, k, values)
        assert asked <= most <= math.ceil(math.log2(k + 1)), "k + 1 grasps with this one"
    order = [values[group[0]] for group in ranking]
    assert order == sorted(set(values)) and all(len({values[e] for e in group}) == 1 for group in ranking)
    found = rewards(ranking)
    assert len(found) == len(values) and (len(order) < 2 or (min(found.values()), max(found.values())) == (0.0, 1.0))


def test_answers_about_grasps_that_left_the_ranking_do_not_count():
    ranking = [[0], [1], [2], [3]]
    left = without(ranking, 2)
    assert left == [[0], [1], [3]] and Insertion.after(left, [(2, "better")]).question() == 1
    assert without([[0, 5]], 5) == [[0]]


def true_order(session, graph):
    values = {e: quality(c) for e, c in graph.contacts.items()}
    return sorted(values, key=lambda e: (values[e], e)), values


def test_a_session_by_comparisons_ranks_like_the_scores_would(tmp_path):
    session, graph = run(tmp_path, rewards=COMPARISON)
    order, values = true_order(session, graph)
    assert [e for group in session.ranking for e in sorted(group)] == order and len(values) == 8
    found = session.rewards()
    assert found[order[-1]] == 1.0 and found[order[0]] == 0.0 and session.episodes[order[0]].reward is None
    asked = [r for r in graph.asked if r.comparison is not None]
    assert all(r.comparison.question <= r.comparison.questions <= math.ceil(math.log2(r.episode + 1)) for r in asked)
    scored, _ = run(tmp_path / "scores")
    assert np.array_equal(session.episodes[6].eps, scored.episodes[6].eps), "the elites need ranks and nothing else"


def test_killed_at_every_question_and_resumed_the_ranking_is_the_same(tmp_path):
    reference, graph = run(tmp_path / "reference", rewards=COMPARISON)
    lines = (tmp_path / "reference" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    values = {e: quality(c) for e, c in graph.contacts.items()}
    for keep in [i for i, line in enumerate(lines) if b'"compared"' in line]:
        folder = tmp_path / f"cut_{keep}"
        folder.mkdir()
        (folder / "journal.jsonl").write_bytes(b"".join(lines[:keep + 1]))

        def answers(request, graph):
            graph.contacts = {**{e: np.zeros(3) for e in values}, **graph.contacts}
            if request.outcome is None:
                graph.answer(request)
                return
            mine = quality(np.array(request.outcome["executed"]["contact"]))
            other = values[request.comparison.other] if request.comparison else 0.0
            word = "" if request.comparison is None else ("better" if mine > other else "worse" if mine < other
                                                              else "equal")
            graph.desk.submit("", -1, Answer(mine, False, None, "", word))

        session, _ = run(folder, {"answers": answers}, rewards=COMPARISON)
        assert session.ranking == reference.ranking


def test_a_comparison_may_be_void_and_a_ranked_episode_cannot_be_amended_to_a_number(tmp_path):
    def answers(request, graph):
        if request.comparison is not None and request.episode == 4 and request.attempt == 0:
            graph.desk.submit("", 4, Answer(0.0, True, None, "not seen"))
        else:
            graph.answer(request)

    session, graph = run(tmp_path, {"answers": answers}, rewards=COMPARISON)
    assert session.episodes[4].attempt == 1 and len(session.scored()) == 8 and len(graph.executed) == 9
    session = Session(tmp_path, spec())
    with pytest.raises(DeftError, match="ranks by comparisons"):
        session.amend(3, 0.5, None, False, "")
    before = session.rewards()
    session.amend(3, math.nan, True, False, "it did hold")
    assert session.episodes[3].success is True and session.rewards() == before
    session.amend(3, math.nan, None, True, "")
    assert 3 not in session.rewards() and len(session.scored()) == 7
    session.close()


# -- pictures ---------------------------------------------------------------------------------------------------


def test_calibration_keeps_the_order_and_stays_in_0_to_1():
    first = [-8.0, -9.5, -7.0, -11.0]
    found = [calibrated(first, v) for v in (-20.0, -11.0, -8.5, -7.0, -1.0)]
    assert found == sorted(found) and 0.0 <= found[0] < 0.1 and 0.9 < found[-1] <= 1.0
    assert calibrated([-3.0], -1.0) == 0.5 and calibrated([-3.0, -3.0], -1.0) == 0.5


def test_an_automatic_session_scores_from_pictures_and_asks_for_the_scene_only(tmp_path):
    session, graph = run(tmp_path, rewards=AUTOMATIC, judge=Brightness(), calibration_episodes=4)
    assert all(r.outcome is None for r in graph.asked) and len(graph.asked) == 7
    found, measured = session.rewards(), {s.episode: s.measured for s in session.finished()}
    assert all(s.source == "automatic" and s.reward is None for s in session.finished())
    assert sorted(found, key=found.get) == sorted(measured, key=measured.get) and min(found.values()) >= 0
    reopened = Session(tmp_path, spec(calibration_episodes=4))
    assert reopened.rewards() == found
    reopened.close()


def test_without_a_picture_the_operator_is_asked(tmp_path, monkeypatch):
    from cem.stand_in import StandInGraph

    monkeypatch.setattr(StandInGraph, "final_picture", lambda *_: None)
    session, _graph = run(tmp_path, rewards=AUTOMATIC, judge=Brightness())
    assert all(s.source == "operator" and s.reward is not None for s in session.finished())


def test_a_suggestion_fills_in_the_score_and_the_operator_decides(tmp_path):
    session, graph = run(tmp_path, rewards=RewardConfig(source="suggested"), judge=Brightness())
    suggested = [r.suggested for r in graph.asked]
    assert [s.suggested for s in session.finished()][2:] == suggested[2:], "what was shown is kept"
    assert math.isnan(suggested[0]) and math.isnan(suggested[1]) and all(0 <= s <= 1 for s in suggested[2:])
    assert all(s.source == "operator" and s.reward is not None and s.measured is not None for s in session.finished())


def picture(shade: int) -> np.ndarray:
    image = np.full((120, 160, 3), 40, np.uint8)
    image[30:90, 50:110] = shade
    return image


def test_the_nearer_the_picture_the_greater_the_value():
    goal = picture(200)
    judge = GoalDistance("efficientnet_lite0", "", goal)
    values = [judge.value(p) for p in (goal, picture(180), picture(60), np.zeros((120, 160, 3), np.uint8))]
    assert values[0] == pytest.approx(0.0, abs=1e-4) and values == sorted(values, reverse=True)
    assert middle(goal, ((0.0,) * 3, (1.0,) * 3)).shape == (3, 224, 224)


@pytest.mark.parametrize("prefix", ["", "module.convnet."])
def test_resnet_and_r3m_checkpoints_are_read(tmp_path, prefix):
    """With random weights, since theirs are not to be had here: names, shapes and the wrapping are those of the originals."""
    from deft_core.neural import import_torch

    torch = import_torch()
    import torchvision

    weights = {prefix + k: v for k, v in torchvision.models.resnet18(weights=None).state_dict().items() if "fc." not in k}
    torch.save({"r3m": weights} if prefix else weights, tmp_path / "model.pt")
    config = RewardConfig(source="automatic", encoder="r3m" if prefix else "resnet18", checkpoint=str(tmp_path / "model.pt"))
    Image.fromarray(picture(200)).save(tmp_path / "goal.png")
    judge = make_judge(config, tmp_path / "goal.png", "lift the cup")
    assert judge.value(picture(200)) > judge.value(picture(60))


def test_clip_compares_picture_and_text(tmp_path):
    """A checkpoint of open_clip's ViT-B-32 with random weights: the path is the same."""
    from deft_core.neural import import_torch

    torch = import_torch()
    import open_clip

    model = open_clip.create_model("ViT-B-32")
    torch.save(model.state_dict(), tmp_path / "clip.pt")
    config = RewardConfig(source="automatic", encoder="clip_text", checkpoint=str(tmp_path / "clip.pt"))
    assert -1.0 <= make_judge(config, None, "lift the cup").value(picture(100)) <= 1.0


@pytest.mark.parametrize(("fields", "goal", "match"), [
    ({"encoder": "r3m"}, True, "needs rewards.checkpoint"),
    ({"encoder": "resnet18", "checkpoint": "/no/file"}, True, "is no file"),
    ({"encoder": "clip_text"}, True, "needs rewards.checkpoint"), ({}, False, "last picture")])
def test_what_an_automatic_reward_lacks_is_named(tmp_path, fields, goal, match):
    Image.fromarray(picture(10)).save(tmp_path / "goal.png")
    with pytest.raises(ConfigError, match=match):
        make_judge(RewardConfig(source="automatic", **fields), tmp_path / "goal.png" if goal else None, "text")


def test_every_task_has_a_goal_picture():
    folder = default_config_dir()
    for path in sorted((folder / "tasks").glob("*.yaml")):
        assert (folder / "demonstrations" / f"{path.stem}.jpg").is_file()


# -- consistency ------------------------------------------------------------------------------------------------


def test_an_earlier_sample_is_executed_again_and_the_difference_reported(tmp_path):
    session, graph = run(tmp_path, rewards=RewardConfig(recheck_every=3), episodes=9)
    again = {s.episode: s.repeat_of for s in session.finished() if s.repeat_of is not None}
    assert sorted(again) == [1, 4, 7]
    for episode, other in again.items():
        assert np.array_equal(graph.executed[episode], graph.executed[other])
    said = summarise(session, method())["operator"]
    assert said["rechecks"] == 3 and said["mean_absolute_difference"] == 0.0
    changed = Session(tmp_path, spec(episodes=9))
    changed.amend(1, 0.0, None, False, "")
    off = abs(changed.rewards()[again[1]])
    said = summarise(changed, method())["operator"]
    assert said["mean_absolute_difference"] == pytest.approx(off / 3)
    changed.close()


def test_an_answer_given_twice_counts_for_one_question(tmp_path):
    """A double click: the second answer names a question that is no longer asked."""
    refused = []

    def answers(request, graph):
        graph.answer(request)
        if request.comparison is not None and request.comparison.questions > request.comparison.question:
            desk, question = graph.desk, request.comparison.question
            desk.open(request.session, request.episode, Wanted.comparison, lambda _: None, question + 1)
            with pytest.raises(DeftError) as caught:
                desk.submit("", request.episode, Answer(0.0, False, None, "", "better", question))
            refused.append(caught.value.code)
            desk.submit("", request.episode, Answer(0.0, False, None, "", "better", question + 1))

    run(tmp_path, {"answers": answers}, rewards=COMPARISON, episodes=5)
    assert refused and set(refused) == {505}


def test_success_said_with_the_first_question_is_not_lost(tmp_path):
    def answers(request, graph):
        if request.comparison is None:
            graph.answer(request)
            return
        first = request.comparison.question == 1
        graph.desk.submit("", -1, Answer(0.0, False, True if first else None, "held" if first else "", "worse"))

    session, _ = run(tmp_path, {"answers": answers}, rewards=COMPARISON, episodes=5)
    assert all(s.success for s in session.finished()[1:]) and session.finished()[-1].note == "held"


def test_killed_before_the_scene_was_ready_an_automatic_session_asks_for_it_again(tmp_path):
    def die(request, graph):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, {"answers": die}, rewards=AUTOMATIC, judge=Brightness(), calibration_episodes=4)
    _, graph = run(tmp_path, rewards=AUTOMATIC, judge=Brightness(), calibration_episodes=4)
    assert graph.asked[0].outcome is None and graph.asked[0].episode == 1 and len(graph.executed) == 7
