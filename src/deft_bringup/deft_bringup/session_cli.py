"""`deft reward | amend | session | export`: what an operator says to a session, and what is taken out of one."""

from __future__ import annotations

import contextlib
import math
import os
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from deft_bringup.exits import EXIT_FAILED, EXIT_USAGE, explained, fail
from deft_bringup.ros_client import operator_client, ros

REARM_SECONDS = 40.0  # drivers may have to recover the robot first
STOP_SECONDS = (3.0, 12.0)  # it may be asked twice: who is stopped stays stopped

app = typer.Typer(help="Pause, go on with, or end the running session; skip or repeat an episode of it.",
                  no_args_is_help=True)


class Comparison(str, Enum):
    """This grasp beside the earlier one."""

    better = "better"
    worse = "worse"
    equal = "equal"


Success = Annotated[bool | None, typer.Option("--success/--failure", help="whether the task's own test held")]
Note = Annotated[str, typer.Option(help="a remark for the record")]


def reward(value: Annotated[float, typer.Argument(help="0..1, how good the grasp was")] = math.nan,
           comparison: Annotated[Comparison | None, typer.Option("--compared", help="in a session that ranks: was this grasp "
                                                                 "better or worse than the one it is shown beside?")] = None,
           episode: Annotated[int, typer.Option(help="the episode meant; -1 = the pending one")] = -1,
           session: Annotated[str, typer.Option(help="session id; empty = the running one")] = "",
           void: Annotated[bool, typer.Option("--void", help="not executed or not judgeable; also answers a request to "
                                              "reset the scene")] = False,
           success: Success = None, note: Note = "") -> None:
    """Answer the pending reward request. Reset the scene first: the robot goes on at once."""
    if math.isnan(value) and not void and comparison is None:
        fail("give a reward from 0 to 1, --compared better|worse|equal, or --void", EXIT_USAGE)
    from deft_msgs.srv import SubmitReward

    kinds = SubmitReward.Request
    compared = {None: kinds.COMPARED_NOT, Comparison.better: kinds.COMPARED_BETTER, Comparison.worse: kinds.COMPARED_WORSE,
                Comparison.equal: kinds.COMPARED_EQUAL}[comparison]
    _say("submit", kinds(session=session, episode=episode, reward=value, voided=void, comparison=compared,
                         success=_said(success), note=note))


def amend(episode: Annotated[int, typer.Argument(help="0-based", min=0)],
          value: Annotated[float, typer.Argument(help="0..1, in place of the reward given before")] = math.nan,
          void: Annotated[bool, typer.Option("--void", help="take the episode out of what is learned from")] = False,
          session: Annotated[Path | None, typer.Option(help="folder of a session that does not run; without it, the running "
                                                       "one")] = None,
          success: Success = None, note: Note = "") -> None:
    """Change the reward of an earlier EPISODE. The search learns from the new one; the session keeps both."""
    if math.isnan(value) and not void and success is None:
        fail("give the new reward from 0 to 1, --success, --failure, or --void", EXIT_USAGE)
    if session is not None:
        from deft_cem.recorder import add_amendment
        from deft_cem.session import amend_folder

        with explained():
            amend_folder(session.expanduser(), episode, value, success, void, note, add_amendment)
        Console().print("amended; `deft finetune` with this session folder goes on from that", highlight=False)
        return
    from deft_msgs.srv import AmendReward

    _say("amend", AmendReward.Request(episode=episode, reward=value, voided=void, success=_said(success), note=note))


@app.command()
def pause(note: Note = "") -> None:
    """Stop before the next episode, with the robot parked."""
    _control("PAUSE", note)


@app.command("go-on")
def go_on(note: Note = "") -> None:
    """End a pause."""
    _control("GO_ON", note)


@app.command()
def skip(note: Note = "") -> None:
    """Make the episode that waits for its reward void; it is not tried again."""
    _control("SKIP", note)


@app.command()
def repeat(note: Note = "") -> None:
    """Make the last episode void and execute it again with the same sample."""
    _control("REPEAT", note)


@app.command()
def finish(note: Note = "") -> None:
    """End the session now and fit to what is scored."""
    _control("FINISH", note)


def stop(reason: Annotated[str, typer.Argument(help="why, for the record")] = "deft stop") -> None:
    """Hold arm and hand where they are, at once. Nothing moves until `deft rearm`."""
    from deft_msgs.srv import Stop

    from deft_core.ros import names

    answer = _asked(Stop, names.STOP, Stop.Request(reason=reason), *STOP_SECONDS)
    Console().print(answer.message, highlight=False, soft_wrap=True)


def rearm() -> None:
    """Let the robot move again after a stop or a fault; drivers recover it first. Look at the robot before."""
    from deft_msgs.srv import Rearm

    from deft_core.ros import names

    answer = _asked(Rearm, names.REARM, Rearm.Request(), REARM_SECONDS)
    if not answer.armed:
        fail(answer.message, EXIT_FAILED)
    Console().print(answer.message, highlight=False, soft_wrap=True)


def _asked(kind: Any, name: str, request: Any, *patience: float) -> Any:
    """The answer of one of deft_motion's services.

    Args:
        patience: s that an answer is waited for, and after which the same is asked again.
    """
    from deft_core.ros.node import CallTimeout, call
    from deft_core.ros.spun_node import SpunNode

    with ros(), SpunNode("deft_command") as node:
        client = node.create_client(kind, name)
        for seconds in patience[:-1]:
            with contextlib.suppress(CallTimeout):
                return call(client, request, seconds)
            where = f"ROS_DOMAIN_ID {os.environ.get('ROS_DOMAIN_ID', '0')}"
            Console(stderr=True).print(f"deft_motion has not answered in {where}; trying again. If the robot moves, use its "
                                       "emergency stop.", highlight=False, soft_wrap=True)
        try:
            return call(client, request, patience[-1])
        except CallTimeout as error:
            fail(str(error), EXIT_FAILED)


def export(session: Annotated[Path, typer.Argument(help="folder of a fine-tuning session", exists=True, file_okay=False)],
           out: Annotated[Path, typer.Option(help="YAML to write")],
           evaluation: Annotated[Path | None, typer.Option(help="folder of `deft evaluate --method versus --from SESSION`, "
                                                           "which says whether it is better than the prior")] = None) -> None:
    """Write the tuned residual of SESSION, and whether it is shown to be better than the prior alone."""
    from deft_cem.export import exported

    with explained():
        written = exported(session, evaluation, out)
    console = Console()
    console.print(f"{out}: {written.words}", highlight=False, soft_wrap=True)
    if not written.better:
        console.rule("[bold red]NOT SHOWN TO BE BETTER THAN THE PRIOR")
        console.print(f"{written.advice}\n", style="bold red", highlight=False, soft_wrap=True)


def _said(success: bool | None) -> int:
    from deft_msgs.srv import SubmitReward

    return int({True: SubmitReward.Request.SUCCESS_YES, False: SubmitReward.Request.SUCCESS_NO,
                None: SubmitReward.Request.SUCCESS_UNKNOWN}[success])


def _control(command: str, note: str) -> None:
    from deft_msgs.srv import ControlSession

    _say("control", ControlSession.Request(command=getattr(ControlSession.Request, command), note=note))


def _say(service: str, request: Any) -> None:
    """Call one of the server's services and print its answer."""
    with ros(), operator_client() as client:
        answer = getattr(client, service)(request)
    if not answer.accepted:
        fail(f"refused ({answer.error_code}): {answer.message}", EXIT_FAILED)
    Console().print(answer.message or "accepted", highlight=False, soft_wrap=True)
