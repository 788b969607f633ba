"""A panel's side of the graph: what it hears, as a PanelView, and what the operator says, as service calls."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from deft_msgs.msg import Episode, GraspProposal, RewardRequest, SessionStatus
from deft_msgs.srv import AmendReward, AnswerProposal, ControlSession, Rearm, Stop, SubmitReward
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import Image
from visualization_msgs.msg import Marker

from deft_core.descriptions import CameraConfig
from deft_core.ros import conversions as conv
from deft_core.ros import names, qos
from deft_core.ros.images import AnyImage, colour_topic
from deft_operator.preview_picture import preview_picture
from deft_operator.view import EpisodeRow, Kind, PanelView, ProposalView, RequestView, SessionView

LOST_SECONDS = 1.6        # without a status, which comes twice a second: the server is gone
ANSWER_SECONDS = 10.0     # waited for a service
CAMERA_SECONDS = 0.2      # between pictures of the live camera that are turned into JPEG
SUCCESS = {None: SubmitReward.Request.SUCCESS_UNKNOWN, True: SubmitReward.Request.SUCCESS_YES,
           False: SubmitReward.Request.SUCCESS_NO}
COMPARISON = {"better": SubmitReward.Request.COMPARED_BETTER, "worse": SubmitReward.Request.COMPARED_WORSE,
              "equal": SubmitReward.Request.COMPARED_EQUAL}
KINDS = {RewardRequest.REWARD: Kind.reward, RewardRequest.RESET: Kind.reset, RewardRequest.COMPARE: Kind.compare}
CONTROLS = {"pause": ControlSession.Request.PAUSE, "go_on": ControlSession.Request.GO_ON,
            "skip": ControlSession.Request.SKIP, "repeat": ControlSession.Request.REPEAT,
            "finish": ControlSession.Request.FINISH}
DECISIONS = {"approve": AnswerProposal.Request.APPROVE, "reject": AnswerProposal.Request.REJECT,
             "skip": AnswerProposal.Request.SKIP}


@dataclass(frozen=True)
class Reply:
    """What became of something the operator said; `message` is for a person."""

    accepted: bool
    message: str


Told = Callable[[Reply], None]


class GraphLink:
    """Subscriptions and clients on a node that somebody else spins, from any number of threads.

    Args:
        node: gets the subscriptions; `close` gives them back.
        camera: whose colour image is the live picture.
    """

    def __init__(self, node: Node, camera: CameraConfig) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._session: SessionView | None = None
        self._request: RequestView | None = None
        self._proposal: ProposalView | None = None
        self._camera, self._affordance = b"", b""
        self._heard = self._pictured = -math.inf
        self._version = 0
        images, events = MutuallyExclusiveCallbackGroup(), MutuallyExclusiveCallbackGroup()
        topics = ((SessionStatus, names.SESSION_STATUS, self._on_status, qos.LATCHED, events),
                  (RewardRequest, names.REWARD_REQUEST, self._on_request, qos.LATCHED, events),
                  (GraspProposal, names.GRASP_PROPOSAL, self._on_proposal, qos.LATCHED, events),
                  (Image, names.AFFORDANCE_OVERLAY, self._on_affordance, qos.LATCHED, images),
                  (*colour_topic(camera), self._on_camera, qos.images(camera.reliability, 1), images))
        self._subscriptions = [node.create_subscription(kind, name, hear, profile, callback_group=group)
                               for kind, name, hear, profile, group in topics]
        group = ReentrantCallbackGroup()
        self._clients = {name: node.create_client(kind, name, callback_group=group) for kind, name in (
            (SubmitReward, names.SUBMIT_REWARD), (AmendReward, names.AMEND_REWARD), (ControlSession, names.CONTROL_SESSION),
            (AnswerProposal, names.ANSWER_PROPOSAL), (Stop, names.STOP), (Rearm, names.REARM))}

    def close(self) -> None:
        """Give everything back to the node."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        for client in self._clients.values():
            self._node.destroy_client(client)

    def view(self) -> PanelView:
        """What is known now."""
        now = time.monotonic()
        with self._lock:
            return PanelView(now - self._heard < LOST_SECONDS, self._session, self._request, self._proposal, self._camera,
                             now - self._pictured if self._camera else math.nan, self._affordance, self._version)

    # -- heard ---------------------------------------------------------------------------------------

    def _keep(self, **values: Any) -> None:
        with self._lock:
            for name, value in values.items():
                setattr(self, f"_{name}", value)
            self._version += 1

    def _on_status(self, message: SessionStatus) -> None:
        seen = session_view(message)
        if seen.idle and self._session is not None:  # what the last session came to stays to be seen
            seen = replace(self._session, state=seen.state, message=seen.message)
        changed = seen != self._session
        self._heard = time.monotonic()
        if changed and seen.idle:  # a server that was started again knows nothing of what its forerunner asked
            self._keep(session=seen, request=None, proposal=None)
        elif changed:
            self._keep(session=seen)

    def _on_request(self, message: RewardRequest) -> None:
        self._keep(request=request_view(message) if message.session else None)

    def _on_proposal(self, message: GraspProposal) -> None:
        self._keep(proposal=proposal_view(message) if message.session else None)

    def _on_affordance(self, message: Image) -> None:
        self._keep(affordance=jpeg(message))

    def _on_camera(self, message: AnyImage) -> None:
        if time.monotonic() - self._pictured < CAMERA_SECONDS:
            return
        picture = jpeg(message)
        with self._lock:
            self._camera, self._pictured = picture, time.monotonic()

    # -- said ----------------------------------------------------------------------------------------

    def score(self, request: RequestView, reward: float, success: bool | None, note: str, told: Told) -> None:
        """Answer a request for a score, 0..1."""
        self._submit(request, told, reward=float(reward), success=SUCCESS[success], note=note)

    def compare(self, request: RequestView, answer: str, success: bool | None, note: str, told: Told) -> None:
        """Answer a comparison: better | worse | equal."""
        self._submit(request, told, comparison=COMPARISON[answer], question=request.question, success=SUCCESS[success],
                     note=note)

    def void(self, request: RequestView, note: str, told: Told) -> None:
        """Nothing can be said of the grasp, or the scene is ready where only that was asked for."""
        self._submit(request, told, voided=True, note=note)

    def _submit(self, request: RequestView, told: Told, **fields: Any) -> None:
        """For this very request: when somebody else has answered it, the server refuses."""
        self._call(names.SUBMIT_REWARD, SubmitReward.Request(session=request.session, episode=request.episode, **fields), told)

    def amend(self, session: str, episode: int, reward: float | None, note: str, told: Told) -> None:
        """Change the reward of an earlier episode, 0..1; None makes it void."""
        self._call(names.AMEND_REWARD, AmendReward.Request(
            session=session, episode=episode, reward=math.nan if reward is None else float(reward), voided=reward is None,
            note=note), told)

    def control(self, command: str, note: str, told: Told) -> None:
        """pause | go_on | skip | repeat | finish."""
        self._call(names.CONTROL_SESSION, ControlSession.Request(command=CONTROLS[command], note=note), told)

    def decide(self, proposal: ProposalView, decision: str, note: str, told: Told) -> None:
        """approve | reject | skip a grasp that waits for it."""
        self._call(names.ANSWER_PROPOSAL, AnswerProposal.Request(
            session=proposal.session, episode=proposal.episode, attempt=proposal.attempt, draw=proposal.draw,
            answer=DECISIONS[decision], note=note), told)

    def stop(self, reason: str, told: Told) -> None:
        """Stop arm and hand where they are; nothing moves until `rearm`."""
        self._call(names.STOP, Stop.Request(reason=reason), told)

    def rearm(self, told: Told) -> None:
        """Release the stop latch."""
        self._call(names.REARM, Rearm.Request(), told)

    def _call(self, name: str, request: Any, told: Told) -> None:
        """Call a service; `told` hears of its answer, or that none came, once, from another thread."""
        client = self._clients[name]
        if not client.service_is_ready():
            told(Reply(False, "the graph does not answer: nothing was sent; try again when it is back"))
            return
        once = _Once(told)
        future = client.call_async(request)
        future.add_done_callback(lambda done: once(_reply(done.result())))

        def missing() -> None:
            if once(Reply(False, f"no answer within {ANSWER_SECONDS:.0f} s; what is shown tells whether it was taken")):
                client.remove_pending_request(future)

        timer = threading.Timer(ANSWER_SECONDS, missing)
        timer.daemon = True
        timer.start()
        future.add_done_callback(lambda _: timer.cancel())


class _Once:
    """Lets the first of several answers through."""

    def __init__(self, told: Told) -> None:
        self._told, self._lock, self._done = told, threading.Lock(), False

    def __call__(self, reply: Reply) -> bool:
        with self._lock:
            if self._done:
                return False
            self._done = True
        self._told(reply)
        return True


def _reply(response: Any) -> Reply:
    if response is None:
        return Reply(False, "the service failed")
    accepted = next((bool(getattr(response, f)) for f in ("accepted", "stopped", "armed") if hasattr(response, f)), False)
    return Reply(accepted, response.message or ("accepted" if accepted else "refused"))


# -- messages as values ------------------------------------------------------------------------------


def session_view(message: SessionStatus) -> SessionView:
    """A status as values."""
    count, n = len(message.finished_episodes), len(message.residual_names)
    eps = np.array(message.residuals, float).reshape(-1, n) if n else np.zeros((count, 0))
    elites = set(message.elites)
    said = {Episode.SUCCESS_YES: True, Episode.SUCCESS_NO: False}
    rows = tuple(EpisodeRow(message.finished_episodes[k], message.statuses[k], _number(message.rewards[k]),
                            said.get(message.successes[k]), _drawn_eps(eps[k]), message.finished_episodes[k] in elites)
                 for k in range(count))
    return SessionView(message.session, message.session_dir, message.task, message.object_set, message.method, message.state,
                       message.episode, message.episodes, rows, tuple(message.residual_names), tuple(message.residual_sigma),
                       message.infeasible_samples, message.rejected_samples, _number(message.best_reward),
                       message.seconds_elapsed, _number(message.seconds_left), message.pausing, message.requires_approval,
                       message.message)


def _drawn_eps(eps: np.ndarray) -> tuple[float, ...]:
    """Empty where no sample was drawn."""
    return tuple(eps.tolist()) if np.isfinite(eps).all() else ()


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def request_view(message: RewardRequest) -> RequestView:
    """A request as values."""
    pictures = {"before": message.image_before, "end": message.image_end, "after": message.image_after,
                "other": message.other_image}
    return RequestView(KINDS[message.kind], message.session, message.episode, message.attempt, message.next_episode,
                       message.reason, message.stop_reason, _number(message.suggested_reward), message.other_episode,
                       message.question, message.questions, {n: bytes(p.data) for n, p in pictures.items() if p.data})


def proposal_view(message: GraspProposal) -> ProposalView:
    """A proposal as values, its hand drawn into its picture."""
    step = conv.xyz(message.executed.contact) - conv.xyz(message.xi.contact)
    kind = "the prior alone" if message.control else f"{1000 * float(np.linalg.norm(step)):.0f} mm off the prior's contact"
    again = f", the sample of episode {message.repeat_of + 1} again" if message.repeat_of >= 0 else ""
    return ProposalView(message.session, message.episode, message.attempt, message.draw, message.needs_answer,
                        f"Episode {message.episode + 1}, draw {message.draw + 1}: {kind}{again}", _with_preview(message))


def _with_preview(message: GraspProposal) -> bytes:
    """JPEG of the proposal; empty where its picture cannot be used."""
    try:
        rgb = conv.image_from_msg(message.picture, "rgb8")
        intrinsics = conv.intrinsics_from_msg(message.camera_info)
        camera = conv.pose_from_msg(message.camera_pose)
    except ValueError:
        return b""
    segments: dict[str, np.ndarray] = {}
    contact = None
    for marker in message.preview.markers:
        points = np.array([[p.x, p.y, p.z] for p in marker.points])
        if marker.type == Marker.LINE_LIST:
            segments[marker.ns] = points.reshape(-1, 2, 3)
        elif marker.type == Marker.LINE_STRIP:
            segments[marker.ns] = np.stack([points[:-1], points[1:]], axis=1)
        elif marker.ns == "contact" and len(points):
            contact = points[0]
    pixels = np.array(message.contact_pixels, float).reshape(-1, 2)
    return bytes(conv.jpeg_msg(preview_picture(rgb, intrinsics, camera, segments, contact, pixels), message.header).data)


def jpeg(message: AnyImage) -> bytes:
    """A picture as JPEG; empty where it cannot be read."""
    try:
        rgb = conv.image_from_msg(message, "rgb8")
    except (ValueError, cv2.error):
        return b""
    return bytes(conv.jpeg_msg(rgb, message.header).data)
