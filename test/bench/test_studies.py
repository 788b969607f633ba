"""Studies: what is run, what is read again, what is refused, and what the tables say."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from deft_bench import results, sessions, studies
from deft_bench.sessions import Training
from deft_bench.skills import BenchSkills
from deft_bench.studies import Outcome, Row, Study
from deft_cem.rewards.config import RewardConfig
from deft_cem.rewards.desk import RewardDesk, Wanted
from deft_cem.search.config import SearchConfig
from deft_cem.search.deft import DeftConfig
from deft_cem.skills import Request
from deft_core.errors import ConfigError, DeftError

PRIOR, CVAE = Row("Affordance Only", "", "prior"), Row("DEFT (Algorithm 1, cVAE)", "deft", "cvae")
OTHER = Row("another", "no_refit", "cvae")


def study(folder: Path, rows=(PRIOR, CVAE), **changes) -> Study:
    return Study(**{"rows": tuple(rows), "tasks": ("open_drawer",), "seeds": 1, "episodes": 4, "trials": 2, "folder": folder,
                    "checkpoints": {}} | changes)


def outcome(row: Row, task: str, seed: int, train: int, test: int, **changes) -> Outcome:
    return Outcome(**{"row": row, "task": task, "seed": seed, "trials": 10, "successes": {"train": train, "test": test},
                      "held_back": {"train": 0, "test": 0}, "folders": {}, "training": (True, False, None)} | changes)


def test_a_row_is_run_once_a_task_and_seed_and_the_prior_once_a_task():
    found = studies.pieces(study(Path(), seeds=3, tasks=("a", "b")))
    assert [(p.task, p.training, p.seed) for p in found] == [
        ("a", "", 0), ("a", "deft", 0), ("a", "deft", 1), ("a", "deft", 2),
        ("b", "", 0), ("b", "deft", 0), ("b", "deft", 1), ("b", "deft", 2)]


def test_variants_use_seeds_and_scenes_that_nothing_is_reported_on(tmp_path):
    rows = studies.variants(["synergies"])
    whole = study(tmp_path, rows=rows, first_seed=studies.DEVELOPMENT_SEED)
    assert [(p.training, p.seed) for p in studies.pieces(whole)] == [("", 100), ("deft", 100), ("synergies", 100)]
    alone = study(tmp_path, rows=rows[:1], trials=1, scenes=studies.DEVELOPMENT_SCENES)
    assert [list(o.successes) for each in studies.run(alone, jobs=1) for o in each] == [["train"]]
    assert sessions.read(tmp_path / "open_drawer" / "prior" / "train")["seed"] == studies.DEVELOPMENT_SCENES
    with pytest.raises(ConfigError, match="another scenes"):
        next(studies.run(study(tmp_path, rows=rows[:1], trials=1), jobs=1))
    with pytest.raises(ConfigError, match="unknown variant 'synergy'"):
        studies.variants(["synergy"])


def test_every_variant_is_a_search_of_its_own():
    made = [studies.trainings({})[name].search for name in ("deft", *studies.VARIANTS)]
    assert len({str(search) for search in made}) == len(made)


def test_variants_are_set_beside_each_other_by_task():
    rows = studies.variants(["synergies"])
    found = [outcome(rows[0], "a", 100, 4, 0, training=()), outcome(rows[0], "b", 100, 6, 0, training=()),
             *(outcome(rows[1], task, 100, 8, 0, training=(True, False)) for task in "ab"),
             *(outcome(rows[2], task, 100, 10, 0, training=(True, True)) for task in "ab")]
    lines = results.variant_table(found, rows, ("a", "b")).splitlines()
    assert lines[2].startswith("| the prior alone |  | 0.40 (") and lines[2].endswith("| 0.50 |")
    assert lines[3].startswith("| deft | 0.50 | 0.80 (") and lines[3].endswith("| 0.80 |")
    assert lines[4].startswith("| synergies | 1.00 | 1.00 (") and lines[4].endswith("| 1.00 |")


def test_a_study_is_told_in_its_order_whichever_session_ended_first():
    whole = study(Path(), tasks=("b", "a"), seeds=2)
    wanted = [outcome(row, task, seed, 1, 1) for task in ("b", "a") for seed in (0, 1) for row in (PRIOR, CVAE)]
    assert studies.ordered(whole, wanted[::-1]) == wanted


def test_what_we_do_by_default_shares_the_sessions_of_the_training_that_it_is():
    known, ours = studies.trainings({}), studies.table1()[-1]
    assert known[ours.training] == known["defaults"]
    same = [name for name in known if known[name] == known["defaults"]]
    assert ours.training == same[0]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A small study on the simulated robot, and its folder."""
    os.environ.setdefault("MUJOCO_GL", "egl")
    folder = tmp_path_factory.mktemp("study")
    return study(folder), list(studies.run(study(folder), jobs=1))


def test_a_study_tries_out_what_its_sessions_came_to(done):
    whole, found = done
    outcomes = [o for each in found for o in each]
    assert [o.row for o in outcomes] == [PRIOR, CVAE] and not any(o.why for o in outcomes)
    assert all(0 <= o.successes[objects] <= 2 for o in outcomes for objects in ("train", "test"))
    assert len(outcomes[1].training) == 4 and all(s in (True, False) for s in outcomes[1].training)
    folder = whole.folder / "open_drawer" / "deft" / "seed_0"
    assert (folder / "summary.json").exists() and (folder / "policies" / "cvae_4" / "policy.yaml").exists()
    assert outcomes[1].folders["test"] == folder / "trials" / "cvae_4" / "test"
    assert (outcomes[1].folders["test"] / "journal.jsonl").exists()


def test_what_is_finished_is_read_and_not_run_again(done, monkeypatch):
    def nothing_moves(*_: object) -> None:
        raise AssertionError("a robot was made for what is finished")

    monkeypatch.setattr(sessions, "_table", nothing_moves)
    whole, found = done
    assert list(studies.run(whole, jobs=1)) == found


def test_an_interrupted_session_goes_on_with_the_same_samples(done, tmp_path):
    whole = done[0].folder / "open_drawer" / "deft" / "seed_0"
    journal = (whole / "journal.jsonl").read_text().splitlines(keepends=True)
    third = next(k for k, line in enumerate(journal) if '"sampled"' in line and '"episode":2' in line.replace(" ", ""))
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "journal.jsonl").write_text("".join(journal[:third]))
    again = sessions.fine_tune("open_drawer", studies.trainings({})["deft"], 0, 4, tmp_path / "cut")
    before = sessions.read(whole)
    assert [e["eps"] for e in again["episodes"]] == [e["eps"] for e in before["episodes"]]
    assert [e["reward"] for e in again["episodes"]] == [e["reward"] for e in before["episodes"]]


def test_who_is_asked_for_the_scene_alone_frees_the_robot():
    table = sessions._table("open_drawer", 0, "heuristic", "")
    world, park = table.rig.world, np.array(table.rig.robot.park)
    world.arm.hold(park + 0.3)
    world.reset("train", 0)
    desk = RewardDesk()
    desk.open("s", 2, Wanted.reset, lambda _: None)
    BenchSkills(table, "train", desk, Training().operator, 0, Path()).ask(Request("s", 2, 0, 2, "stuck", None, None))
    assert np.abs(world.joint_state()[0][:7] - park).max() < 0.05 and desk.wait(0.0).voided


def test_a_folder_of_other_settings_is_refused(done):
    whole, _ = done
    with pytest.raises(ConfigError, match="another episodes"):
        next(studies.run(study(whole.folder, episodes=5), jobs=1))


def test_more_trials_go_on_from_fewer_and_fewer_are_the_first_of_more(done):
    whole, found = done
    more = next(studies.run(study(whole.folder, rows=[PRIOR], trials=3), jobs=1))[0]
    fewer = next(studies.run(study(whole.folder, rows=[PRIOR]), jobs=1))[0]
    assert fewer == found[0][0] and 0 <= more.successes["train"] - fewer.successes["train"] <= 1
    assert len(sessions.read(more.folders["train"])["episodes"]) == 3


def test_what_a_search_recommended_after_some_episodes(tmp_path):
    training = Training(search=SearchConfig(deft=DeftConfig(warmup=1, elites=2)))
    found = sessions.fine_tune("open_drawer", training, 0, 4, tmp_path)
    whole, early = (sessions.read(sessions.recommended(tmp_path, training, n)) for n in (4, 2))
    assert whole["tuned"] == found["tuned"] and len(early["episodes"]) == 2
    best = [np.array(e["eps"]) for e in found["episodes"][:2] if e["status"] == "scored"]
    assert len(best) == 2 and np.allclose(early["tuned"], np.mean(best, axis=0)) and early["tuned"] != whole["tuned"]


def test_made_otherwise_is_refused_and_torn_notes_are(done, tmp_path):
    made = json.loads((done[0].folder / "made.json").read_text())
    assert {"scenes", "software", "prior_weights", "policies"} == set(made)
    (tmp_path / "made.json").write_text(json.dumps(made | {"prior_weights": "of another"}))
    with pytest.raises(ConfigError, match="another prior_weights"):
        next(studies.run(study(tmp_path), jobs=1))
    (tmp_path / "made.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        next(studies.run(study(tmp_path), jobs=1))


def test_a_scene_that_perception_refuses_twice_makes_the_episode_infeasible(monkeypatch, tmp_path):
    from deft_bench.sim_robot import SimRobot
    real, refused = SimRobot.observe, []

    def observe(self):
        if not refused or refused == [1]:  # twice
            refused.append(1)
            raise DeftError(103, "nothing is there")
        return real(self)

    monkeypatch.setattr(SimRobot, "observe", observe)
    found = sessions.fine_tune("open_drawer", Training(), 5, 2, tmp_path)
    first, _ = found["episodes"]
    assert first["status"] == "infeasible" and "nothing is there" in first["reason"]


def test_rewards_from_pictures_are_had_and_the_scene_is_laid_by_a_person(tmp_path):
    training = Training(rewards=RewardConfig(source="automatic", calibration_episodes=2))
    found = sessions.fine_tune("open_drawer", training, 0, 3, tmp_path)
    scored = [e for e in found["episodes"] if e["status"] == "scored"]
    assert len(scored) >= 2 and all(e["reward_source"] == "automatic" and np.isfinite(e["measured"]) for e in scored)
    assert len({e["reward"] for e in scored}) > 1


def test_the_command_runs_processes_and_goes_on(tmp_path):
    command = ["deft", "bench", "searches", "--out", str(tmp_path), "--task", "open_drawer", "--seeds", "1", "--episodes", "3",
               "--trials", "1", "--jobs", "2"]
    first = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert first.returncode == 0, first.stderr[-2000:]
    text = (tmp_path / "searches.md").read_text()
    assert all(f"| {name}, 3 episodes |" in text for name in studies.SEARCHES) and "| the prior alone |" in first.stdout
    again = subprocess.run([*command[:-1], "1"], capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode == 0 and (tmp_path / "searches.md").read_text() == text
    unknown = subprocess.run(["deft", "bench", "table1", "--out", str(tmp_path), "--task", "pick_cpu"], capture_output=True,
                             text=True, timeout=60, check=False)
    assert unknown.returncode == 2 and "pick_cup" in unknown.stderr


def test_rewards_without_their_encoder_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="r3m need its checkpoint"):
        next(studies.run(study(tmp_path, rows=[Row("reward: r3m", "r3m", "cvae")]), jobs=1))


def test_a_session_with_too_few_scores_counts_as_no_success(tmp_path, done):
    os.environ.setdefault("MUJOCO_GL", "egl")
    short = study(tmp_path, rows=[CVAE], episodes=1)
    found = studies.do(short, studies.pieces(short)[0], Training())
    assert found[0].successes == {"train": 0, "test": 0} and "a policy needs at least 3" in found[0].why
    assert "Counted as no success" in results.table(found, [CVAE], ["open_drawer"])


def test_the_table_has_means_intervals_and_the_papers_numbers():
    outcomes = [outcome(CVAE, "pick_cup", s, t, 5, held_back={"train": 1, "test": 0}) for s, t in enumerate((6, 8, 10))]
    outcomes += [outcome(PRIOR, "pick_cup", 0, 4, 3, training=())]
    text = results.table(outcomes, [PRIOR, CVAE], ["pick_cup"], ahead=CVAE)
    mean, low, high = results.interval(outcomes[:3], "train")
    assert "DEFT (Algorithm 1, cVAE) 3 of 60" in text and "| 0.50 (0.24-0.76) |" in text  # all alike: Wilson's over scenes
    assert (mean, high) == (pytest.approx(0.8), 1.0) and low == pytest.approx(0.8 - 4.303 * 0.2 / np.sqrt(3), abs=1e-3)
    assert f"| DEFT (Algorithm 1, cVAE) | 0.80 ({low:.2f}-1.00) | 0.80 ({low:.2f} to 1.00) |  | 0.33 (0.33 to 0.33) |" in text
    assert "| Affordance Only | 0.40 (0.17-0.69) | 0.40 | 0.40 (-0.10 to 0.90) |  |" in text  # Wilson's; each seed's lead
    assert text.count("| *paper* | *0.8* | *0.80* | | |") == 2 and text.count("| *paper* | *0.1* |") == 1


def test_the_lead_over_another_method_is_seed_by_seed_over_all_tasks():
    rate = {("a", 0): (6, 4), ("a", 1): (8, 6), ("b", 0): (10, 8), ("b", 1): (2, 0)}
    found = [outcome(row, task, seed, x, x) for (task, seed), both in rate.items()
             for row, x in zip((CVAE, OTHER), both, strict=True)]
    lines = results.table(found, [CVAE, OTHER], ["a", "b"], ahead=CVAE).splitlines()
    assert lines[2] == "| method | a | b | mean | DEFT (Algorithm 1, cVAE) less this | in training |"
    mean, low, high = results.spread([0.8, 0.5])
    assert f"| {mean:.2f} ({max(low, 0):.2f} to {min(high, 1):.2f}) |  |" in lines[4]
    assert lines[4].count("|") == lines[2].count("|")
    other = next(line for line in lines if line.startswith("| another |"))
    assert other.endswith("| 0.20 (0.20 to 0.20) | 0.33 (0.33 to 0.33) |")


def test_where_nobody_said_what_succeeded_in_training_nothing_is_claimed():
    """Sessions whose scores come from pictures."""
    found = [outcome(CVAE, "a", seed, 5, 5, training=(None, None)) for seed in (0, 1)]
    assert results.table(found, [CVAE], ["a"]).splitlines()[4].endswith("| 0.50 (0.50 to 0.50) |  |")


def test_what_was_tried_out_with_train_objects_only_has_one_table():
    rows = studies.curves(10)
    found = [Outcome(row, "a", 0, 10, {"train": 5}, {"train": 0}, {}, (True,)) for row in rows]
    assert results.table(found, rows, ["a"]).count("Success with") == 1


def test_a_table_in_a_file_links_to_its_trials(tmp_path):
    there = tmp_path / "sessions" / "x"
    one = outcome(CVAE, "pick_cup", 2, 4, 5, folders={"train": there, "test": there})
    assert "[2](sessions/x)" in results.table([one], [CVAE], ["pick_cup"], tmp_path)


def test_searches_are_set_beside_each_other_in_pairs():
    rows = studies.searches(20)
    plus = rows[1].training  # the first search's
    found = [outcome(row, task, seed, 8 if row.training == plus else 6 - seed, 8 if row.training == plus else 6)
             for row in rows for task in "tu" for seed in ((0, 1) if row.training else (0,))]
    lines = results.search_table(found, rows, "tu").splitlines()
    assert len({line.count("|") for line in lines}) == 1, "as many cells in each row"
    assert lines[2].startswith("| deft_plus |") and lines[2].endswith("|  |  |")
    mean, low, high = results.spread([0.8 - 0.6, 0.8 - 0.55])
    assert lines[3].startswith("| deft |") and lines[3].endswith(f"| {mean:.2f} ({low:.2f} to {high:.2f}) |")
    assert lines[-1].startswith("| the prior alone |")


@pytest.mark.parametrize(("session", "points"), [(5, [5]), (10, [10]), (25, [10, 20, 25]), (30, [10, 20, 30])])
def test_results_are_tried_out_at_the_papers_points_and_at_the_end(session, points):
    assert [r.episodes for r in studies.curves(session) if r.training == "deft"] == points
    assert [r.episodes for r in studies.searches(session) if r.training == studies.search_of("bo")] == points


def test_the_curves_are_drawn_for_any_number_of_tasks(tmp_path):
    rows = studies.curves(20)
    assert [r.episodes for r in rows] == [10, 20, 10, 20, 0]
    outcomes = [outcome(row, task, seed, 5, 0, training=(True,) * 20 if row.training else ())
                for row in rows for task in "abcd" for seed in (0, 1)]
    results.draw_curves(outcomes, rows, list("abcd"), 20, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
