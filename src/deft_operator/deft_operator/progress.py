"""Progress of a session in the terminal: one line an episode, and a live line while it runs."""

from __future__ import annotations

import math

from deft_msgs.msg import SessionStatus
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deft_operator.view import clock

WAITING = ("waiting_camera", "awaiting_reward", "awaiting_approval", "paused")  # for somebody


def bar(reward: float, width: int = 20) -> str:
    """A reward 0..1 as a bar."""
    return "" if math.isnan(reward) else "#" * round(reward * width) + "." * (width - round(reward * width))


class ProgressView:
    """Fed with SessionStatus messages; use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: int | None = None
        self._waiting = ""
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None

    def __enter__(self) -> ProgressView:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def update(self, status: SessionStatus) -> None:
        """Print newly finished episodes and renew the live line."""
        if self._shown is None:
            self._shown = len(status.statuses)
            self._console.print(f"session {status.session} in {status.session_dir}", highlight=False, soft_wrap=True)
            if self._shown:
                self._console.print(f"resumed: {self._shown} of {status.episodes} episodes are done")
        while self._shown < len(status.statuses):
            self._print_episode(status, self._shown)
            self._shown += 1
        waits = status.state == "waiting_camera" or (status.state == "awaiting_reward" and status.message)
        waiting = f"{status.state.replace('_', ' ')}: {status.message}" if status.state in WAITING else ""
        if waiting and waiting != self._waiting and (status.state == "waiting_camera" or not self._live):
            line = f"episode {status.episode + 1:3d}/{status.episodes}  {waiting}"
            self._console.print(line, style="yellow", highlight=False, soft_wrap=True)
        self._waiting = waiting
        if self._live:
            text = (f"episode {status.episode + 1}/{status.episodes}  {status.state.replace('_', ' ')}"
                    f"{' (' + status.message[:70] + ')' if status.message else ''}  best "
                    f"{'-' if math.isnan(status.best_reward) else f'{status.best_reward:.2f}'}  "
                    f"left {clock(status.seconds_left)}")
            self._live.update(Text(text, style="yellow" if waits else "cyan"))

    def _print_episode(self, status: SessionStatus, index: int) -> None:
        reward = status.rewards[index]
        result = f"{reward:.2f}  {bar(reward)}" if not math.isnan(reward) else status.statuses[index]
        self._console.print(f"episode {index + 1:3d}/{status.episodes}  {result:<28}  best "
                            f"{'-' if math.isnan(status.best_reward) else f'{status.best_reward:.2f}'}"
                            f"  sigma {status.mean_sigma:.2f}  {clock(status.seconds_elapsed)} gone, "
                            f"{clock(status.seconds_left)} left", highlight=False, soft_wrap=True)


def session_table(summary: dict) -> Table:
    """The finished session as a table."""
    totals = summary["totals"]
    table = Table(title=f"{summary['task']}, {summary['method']}, {summary['object_set']} objects, seed {summary['seed']}",
                  show_header=False)
    rows = [("episodes", ", ".join(f"{totals[k]} {k}" for k in ("scored", "infeasible", "aborted", "void") if totals[k])),
            ("samples redrawn as infeasible", str(totals["infeasible_samples"]))]
    if totals["mean_reward"] is not None:
        n = totals["first_last_window"]
        low, high = totals["success_wilson_95"]
        rows += [(f"mean reward, first {n}", f"{totals['mean_reward_first']:.3f}"),
                 (f"mean reward, last {n}", f"{totals['mean_reward_last']:.3f}"),
                 ("best reward", f"{totals['best_reward']:.2f}"),
                 ("successes", f"{totals['successes']} ({totals['success_rate']:.0%}, 95 % interval {low:.2f}-{high:.2f})")]
    if summary["operator"]:
        said = summary["operator"]
        rows.append(("the same sample again", f"{said['rechecks']} times; scores off by "
                     f"{said['mean_absolute_difference']:.2f} on the mean"))
    if summary["gate"]:
        rows.append(("beside the prior", summary["gate"]["words"]))
    rows.append(("wall seconds by phase", ", ".join(f"{k} {v:.0f}" for k, v in totals["seconds_by_phase"].items())))
    for name, value in rows:
        table.add_row(name, value)
    return table
