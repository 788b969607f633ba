"""The `deft` command."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from deft_bringup import affordance_cli, bench_cli, doctor_cli, hand_cli, human_video_cli, operator_cli, policy_cli, session_cli
from deft_bringup.exits import EXIT_CANCELLED, EXIT_FAILED, EXIT_USAGE, fail
from deft_bringup.ros_client import namespace, operator_client, ros, use_namespace

app = typer.Typer(help="Teach a robot hand a task in some thirty scored tries.", no_args_is_help=True,
                  pretty_exceptions_enable=False, add_completion=False)
app.add_typer(hand_cli.app, name="hand")
app.add_typer(session_cli.app, name="session")
app.add_typer(bench_cli.app, name="bench")
app.command()(session_cli.reward)
app.command()(session_cli.amend)
app.command()(session_cli.stop)
app.command()(session_cli.rearm)
app.command()(session_cli.export)
app.command()(doctor_cli.doctor)
app.command()(operator_cli.panel)
app.command()(operator_cli.report)
app.command()(policy_cli.fit)
app.command()(policy_cli.dataset)
app.command()(human_video_cli.extract)
app.command("extract-demo")(human_video_cli.extract_demo)
app.command()(human_video_cli.synthesize)
app.command()(human_video_cli.synthesize_labels)
app.command()(affordance_cli.train_affordance)


Namespace = Annotated[str, typer.Option(help="of the graph's nodes, as /lab, where it was started with one")]


@app.callback()
def main(namespace: Namespace = "") -> None:
    """Teach a robot hand a task in some thirty scored tries."""
    if namespace and not namespace.startswith("/"):
        fail(f"--namespace {namespace} has to begin with a slash", EXIT_USAGE)
    use_namespace(namespace)


class Objects(str, Enum):
    """Which object set is on the table."""

    train = "train"
    test = "test"


class Method(str, Enum):
    """What an evaluation executes."""

    prior = "prior"
    tuned = "tuned"
    policy = "policy"
    versus = "versus"


class Operator(str, Enum):
    """Who scores the simulated grasps."""

    scripted = "scripted"
    hands = "hands"
    none = "none"


Task = Annotated[str, typer.Argument(help="name of a file in config/tasks, e.g. pick_cup")]
Sim = Annotated[bool, typer.Option("--sim", help="start the simulated robot and the whole graph in this process; "
                                   "without it, use the graph that runs in this ROS domain")]
Seed = Annotated[int, typer.Option(help="of samples, objects and planners", min=0)]
Objs = Annotated[Objects, typer.Option("--objects", help="object set on the table")]
Factor = Annotated[float, typer.Option("--real-time-factor", min=0.0,
                                       help="with --sim: simulated s per wall s; 0 = as fast as the machine allows")]
Who = Annotated[Operator, typer.Option("--operator", help="with --sim: scripted scores and resets the table; hands: only "
                                    "resets it, you score; none: neither")]
Fault = Annotated[str, typer.Option("--fault", help="with --sim: a fault to rehearse, as camera_silent "
                                    "(docs/reliability.md)")]
Json = Annotated[bool, typer.Option("--json", help="print the summary as JSON on stdout, progress on stderr")]
Params = Annotated[Path | None, typer.Option("--params-file", exists=True, dir_okay=False,
                                             help="with --sim: node parameters in place of config/finetune.yaml")]


@app.command()
def finetune(task: Task, sim: Sim = False,
             episodes: Annotated[int, typer.Option(min=1, help="N of the paper")] = 30, seed: Seed = 0,
             session: Annotated[Path | None, typer.Option(help="session folder; an unfinished session in it is resumed. "
                                                          "Default: a new one under ~/.deft/sessions")] = None,
             objects: Objs = Objects.train, real_time_factor: Factor = 0.0, operator: Who = Operator.scripted,
             params_file: Params = None, as_json: Json = False, fault: Fault = "",
             force: Annotated[bool, typer.Option("--force", help="go on with a session although configuration or calibration "
                                                 "is another one now, or without damaged lines of its journal")] = False,
             ) -> None:
    """Fine-tune the grasp of TASK: the prior plus small changes, scored by the operator (Algorithm 1)."""
    with _graph(sim, task, seed, real_time_factor, operator, params_file, fault):
        from deft_msgs.action import FineTune

        goal = FineTune.Goal(task=task, episodes=episodes, seed=seed, object_set=objects.value, force=force,
                             session_dir=_absolute(session))
        _run(goal, as_json)


@app.command()
def evaluate(task: Task, sim: Sim = False,
             method: Annotated[Method, typer.Option(help="the prior alone, a session's tuned residual or its policy's residual "
                                                    "added to it, or in turns with the prior")] = Method.prior,
             source: Annotated[Path | None, typer.Option("--from", help="with tuned, policy and versus: the fine-tuning "
                                                         "session's folder")] = None,
             policy: Annotated[Path | None, typer.Option(help="with policy and versus: a policy.yaml in place of the session's",
                                                         exists=True, dir_okay=False)] = None,
             trials: Annotated[int, typer.Option(min=1, help="with versus: of each")] = 20, seed: Seed = 1000,
             objects: Objs = Objects.test,
             session: Annotated[Path | None, typer.Option(help="folder of this evaluation")] = None,
             real_time_factor: Factor = 0.0, operator: Who = Operator.scripted, params_file: Params = None,
             as_json: Json = False) -> None:
    """Measure a success rate on train or test objects, with its 95 % Wilson interval. Nothing is learned."""
    if method is not Method.prior and source is None and policy is None:
        fail(f"--method {method.value} needs --from SESSION_FOLDER (a finished `deft finetune`)", EXIT_USAGE)
    _evaluate(_graph(sim, task, seed, real_time_factor, operator, params_file), as_json, task=task, method=method.value,
              trials=trials, seed=seed, object_set=objects.value, source_session_dir=_absolute(source),
              policy_file=_absolute(policy), session_dir=_absolute(session))


@app.command()
def rollout(task: Task, sim: Sim = False,
            session: Annotated[Path | None, typer.Option(help="the fine-tuning session whose policy.yaml is used", exists=True,
                                                         file_okay=False)] = None,
            policy: Annotated[Path | None, typer.Option(help="a policy.yaml in place of a session's", exists=True,
                                                        dir_okay=False)] = None,
            trials: Annotated[int, typer.Option(min=1)] = 10, seed: Seed = 1000, objects: Objs = Objects.test,
            unscored: Annotated[bool, typer.Option("--unscored", help="execute only: nobody is asked for scores, and nothing "
                                                   "resets the scene")] = False,
            out: Annotated[Path | None, typer.Option(help="folder of the trials' records")] = None,
            real_time_factor: Factor = 0.0, operator: Who = Operator.scripted, params_file: Params = None,
            as_json: Json = False) -> None:
    """Execute grasps with a session's policy: observe, prior, the policy's residual, check, execute. Nothing is learned."""
    if session is None and policy is None:
        fail("give --session FOLDER (a finished `deft finetune`) or --policy policy.yaml", EXIT_USAGE)
    graph = _graph(sim, task, seed, real_time_factor, operator, params_file)
    file = policy or (session / "policy.yaml" if session else None)
    if not unscored:
        _evaluate(graph, as_json, task=task, method="policy", trials=trials, seed=seed, object_set=objects.value,
                  policy_file=_absolute(file), session_dir=_absolute(out))
        return
    with graph, operator_client() as client:
        _roll_out_unscored(client, task, _absolute(file), trials, seed)


def _roll_out_unscored(client: Any, task: str, policy_file: str, trials: int, seed: int) -> None:
    """Rollout goals one after the other, a line each."""
    from deft_msgs.action import Rollout

    console = Console()
    cancel = _cancelled_by_signals(console)
    for k in range(trials):
        result, succeeded = client.roll_out(Rollout.Goal(task=task, policy_file=policy_file, seed=seed + k), cancel)
        if cancel.is_set():
            fail("cancelled: the robot holds", EXIT_CANCELLED)
        if not succeeded:
            fail(f"rollout {k}: ({result.error_code}) {result.error_msg}", EXIT_FAILED)
        said = "the prior alone" if result.fell_back_to_prior else "with the policy's residual"
        said += f" ({result.fallback_reason})" if result.fallback_reason else ""
        stopped = f"; ended early: {result.stop_reason}" if result.stop_reason else ""
        console.print(f"rollout {k}: executed {said}{stopped}", highlight=False, soft_wrap=True)


def _absolute(path: Path | None) -> str:
    """For the server, which may run in another folder; "" for none."""
    return str(path.expanduser().resolve()) if path else ""


def _evaluate(graph: contextlib.AbstractContextManager[None], as_json: bool, **goal: Any) -> None:
    """Run an Evaluate goal in a graph."""
    with graph:
        from deft_msgs.action import Evaluate

        _run(Evaluate.Goal(**goal), as_json)


@app.command("graph")
def run_graph(task: Annotated[str, typer.Option(help="with --sim: what stands on the table")] = "pick_cup", sim: Sim = False,
              seed: Seed = 0, real_time_factor: Factor = 0.0, operator: Who = Operator.hands, params_file: Params = None,
              robot: Annotated[str, typer.Option(help="name of a file in config/robots; empty: the parameter file's")] = "",
              hand: Annotated[str, typer.Option(help="name of a file in config/hands; empty: the parameter file's")] = "",
              prior: Annotated[str, typer.Option(help="learned or heuristic; empty: the parameter file's")] = "",
              planner: Annotated[str, typer.Option(help="of the arm: ompl, move_group or moveit_py; empty: the parameter "
                                                   "file's")] = "",
              require_approval: Annotated[bool, typer.Option("--require-approval",
                                                             help="every grasp waits for a person")] = False,
              fault: Fault = "") -> None:
    """Run all nodes in this process until it is interrupted; start sessions with `deft finetune TASK`."""
    from deft_bringup.graph import ComposedGraph, GraphError, GraphOptions
    from deft_core.errors import ConfigError

    shared = {name: value for name, value in (("robot", robot), ("hand", hand)) if value}
    overrides = {name: dict(shared) for name in ("deft_sim", "deft_perception", "deft_retarget", "deft_motion", "deft_cem")}
    if prior:
        overrides["deft_affordance"] = {"prior": prior}
    if planner:
        overrides["deft_motion"]["planner"] = planner
    if require_approval:
        overrides["deft_cem"]["require_approval"] = True
    options = GraphOptions(task=task, seed=seed, operator=operator.value, real_time_factor=real_time_factor, fault=fault,
                           params_file=params_file, sim=sim, namespace=namespace(), overrides=overrides)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with ComposedGraph(options):
            Console(stderr=True).print("the graph is up", highlight=False)
            stop.wait()
    except (GraphError, ConfigError) as error:
        fail(str(error), EXIT_USAGE)


class Prior(str, Enum):
    """Where a grasp comes from before it is changed; deft_affordance.priors has them, too."""

    learned = "learned"
    heuristic = "heuristic"


class Grasp(str, Enum):
    """What `deft sim` executes."""

    oracle = "oracle"
    prior = "prior"


@app.command("sim")
def simulate(task: Task, grasp: Annotated[Grasp, typer.Option(help="oracle: a competent grasp from the simulator's truth; "
                                                              "prior: what perception and the prior make of the picture"
                                                              )] = Grasp.oracle,
             prior: Annotated[Prior, typer.Option(help="which prior")] = Prior.learned,
             view: Annotated[bool, typer.Option("--view", help="show it in MuJoCo's viewer (needs a display)")] = False,
             gif: Annotated[Path | None, typer.Option(help="write it as an animated GIF")] = None,
             episode: Annotated[int, typer.Option(min=0, help="which draw of object and pose")] = 0, seed: Seed = 0,
             objects: Objs = Objects.train,
             hand: Annotated[str, typer.Option(help="name of a file in config/hands")] = "allegro_right") -> None:
    """Execute one episode of TASK on the simulated robot, without ROS, to look at it."""
    os.environ.setdefault("MUJOCO_GL", "glfw" if view else "egl")
    from deft_bench.sim_robot import load_rig
    from deft_bringup import rehearsal
    from deft_core.errors import ConfigError, DeftError

    if view and gif:
        fail("give --view or --gif, not both", EXIT_USAGE)
    if gif and gif.suffix.lower() != ".gif":
        fail(f"--gif needs a name that ends in .gif, not {gif.name}", EXIT_USAGE)
    try:
        rig = load_rig(task, hand, seed=seed, prior=prior.value)
        if view:
            outcome = rehearsal.view(rig, objects.value, episode, grasp.value, seed)
        elif gif:
            outcome = rehearsal.film_gif(rig, objects.value, episode, grasp.value, seed, gif)
        else:
            outcome = rehearsal.rehearse(rig, objects.value, episode, grasp.value, seed)
    except ConfigError as error:
        fail(str(error), EXIT_USAGE)
    except (DeftError, RuntimeError) as error:
        fail(str(error), EXIT_FAILED)
    verdict = outcome.verdict
    tried = f"; grasp {outcome.tries} of the oracle's" if grasp is Grasp.oracle else ""
    Console().print(f"{task}, episode {episode}: {verdict.note}; score {verdict.score:.2f}, "
                    f"{'success' if verdict.success else 'no success'}{tried} ({outcome.robot_seconds:.1f} s of robot time in "
                    f"{outcome.wall_seconds:.1f} s)" + (f"\n{gif}" if gif else ""), highlight=False, soft_wrap=True)


# -- shared -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _graph(sim: bool, task: str, seed: int, factor: float, operator: Operator, params: Path | None,
           fault: str = "") -> Iterator[None]:
    """The composed graph in this process with --sim, else only ROS."""
    if not sim:
        with ros():
            yield
        return
    from deft_bringup.graph import ComposedGraph, GraphError, GraphOptions
    from deft_core.errors import ConfigError

    options = GraphOptions(task=task, seed=seed, operator=operator.value, real_time_factor=factor, params_file=params,
                           fault=fault, namespace=namespace())
    graph = ComposedGraph(options)
    try:
        graph.__enter__()
    except (GraphError, ConfigError) as error:
        fail(str(error), EXIT_USAGE)
    try:
        yield
    finally:
        graph.close()


def _cancelled_by_signals(console: Console) -> threading.Event:
    """Set by Ctrl-C or a termination; a second one leaves at once."""
    cancel = threading.Event()

    def on_signal(*_: object) -> None:
        if cancel.is_set():  # asked twice: do not wait for the robot's hold
            os._exit(EXIT_CANCELLED)
        cancel.set()
        console.print("cancelling: the robot holds; interrupt again to leave at once", style="yellow")

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return cancel


def _run(goal: Any, as_json: bool) -> None:
    """Run a goal with progress, then show its summary; Ctrl-C cancels, and the session can be resumed."""
    from deft_operator.client import ServerRestarted
    from deft_operator.plots import draw
    from deft_operator.progress import ProgressView, session_table

    console = Console(stderr=as_json)
    cancel = _cancelled_by_signals(console)
    started = time.monotonic()
    with operator_client() as client, ProgressView(console) as view:
        while True:
            try:
                result, succeeded = client.run(goal, view.update, cancel)
                break
            except ServerRestarted as restarted:
                goal.session_dir = restarted.session_dir
                console.print(f"{restarted}; going on with {restarted.session_dir}", style="yellow", soft_wrap=True)
    folder = Path(result.session_dir) if result.session_dir else None
    if folder and (folder / "summary.json").exists():
        summary = json.loads((folder / "summary.json").read_text())
        draw(summary, folder / "learning_curve.png")
        console.print(session_table(summary))
        operator_cli.write_report([folder], folder / "report.html")
        console.print(f"{folder}/summary.json, learning_curve.png, report.html; {time.monotonic() - started:.0f} s",
                      highlight=False, soft_wrap=True)
        if as_json:
            print(json.dumps(summary))
    if cancel.is_set():
        fail(result.error_msg or "cancelled", EXIT_CANCELLED)
    if not succeeded:
        fail(f"({result.error_code}) {result.error_msg}", EXIT_FAILED)


if __name__ == "__main__":
    app()
