"""What RViz and Foxglove show: every topic of their files is there, and the markers stand where they should."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from deft_msgs.msg import GraspProposal
from graph_support import SUCCEEDED, graph_with, wait_for
from operator_desks import for_docs
from visualization_msgs.msg import Marker, MarkerArray

from deft_core.config import default_config_dir
from deft_core.ros import conversions as conv
from deft_core.ros import names
from deft_core.ros.qos import LATCHED

pytestmark = pytest.mark.graph
MARKERS = {names.OBSERVED_MARKERS: {"object", "table", "caption"},
           names.AFFORDANCE_MARKERS: {"contacts", "mean_contact", "wrist_x", "wrist_y", "wrist_z", "caption"},
           names.PLANNED_GRASP: {"open_hand", "closed_hand", "way", "contact"},
           names.RESIDUAL_MARKERS: {"residual", "prior_palm", "tried_palm", "caption"}}
RVIZ_TYPES = {"rviz_default_plugins/MarkerArray": "visualization_msgs/msg/MarkerArray",
              "rviz_default_plugins/Image": "sensor_msgs/msg/Image"}
ROBOTS_OWN = {"/robot_description"}  # not of the simulated robot


def rviz_topics() -> dict[str, str]:
    """Topic -> type of RViz's displays."""
    config = yaml.safe_load((default_config_dir() / "rviz" / "deft.rviz").read_text())
    displays = config["Visualization Manager"]["Displays"]
    return {d["Topic"]["Value"]: RVIZ_TYPES[d["Class"]] for d in displays if "Topic" in d}


def foxglove_topics() -> set[str]:
    """Topics of Foxglove's panels."""
    text = (default_config_dir() / "foxglove" / "deft.json").read_text()
    layout = json.loads(text)
    panels = set(re.findall(r'"([A-Za-z0-9]+![a-z]+)"', json.dumps(layout["layout"])))
    assert panels == set(layout["configById"]), "every panel is placed, and every place has its panel"
    return {t.split(".")[0] for t in re.findall(r'"(/[a-z_/]+[.\w\[:\]]*)"', text)}


def test_topics_exist_and_markers_stand_at_the_object(tmp_path: Path):
    with graph_with(9) as tester:
        heard: dict[str, MarkerArray] = {}
        proposals: list[GraspProposal] = []
        for topic in MARKERS:
            tester.node.create_subscription(MarkerArray, topic, lambda m, t=topic: heard.__setitem__(t, m), LATCHED)
        tester.node.create_subscription(GraspProposal, names.GRASP_PROPOSAL, proposals.append, LATCHED)
        handle = tester.send(tmp_path, episodes=1)
        wait_for(lambda: set(heard) == set(MARKERS) and any(p.session for p in proposals)
                 and len(heard[names.RESIDUAL_MARKERS].markers) > 1, 60)
        seen = {topic: message for topic, message in heard.items()}
        types = {name: kinds for name, kinds in tester.node.get_topic_names_and_types()}
        assert tester.result(handle)[0] == SUCCEEDED
        wait_for(lambda: len(heard[names.RESIDUAL_MARKERS].markers) == 1, 10, "the residual to be taken away at the end")
    for topic, kind in rviz_topics().items():
        assert kind in types.get(topic, []), f"RViz shows {topic}"
    missing = foxglove_topics() - set(types)
    assert not missing, f"Foxglove shows {missing}"
    proposal = next(p for p in proposals if p.session)
    contact = conv.xyz(proposal.executed.contact)
    for topic, spaces in MARKERS.items():
        markers = [m for m in seen[topic].markers if m.action == Marker.ADD]
        assert {m.ns for m in markers} == spaces and {m.header.frame_id for m in markers} == {"base_link"}
        points = np.array([[p.x, p.y, p.z] for m in markers for p in m.points] or [[np.nan] * 3])
        assert topic == names.OBSERVED_MARKERS or (np.isfinite(points).all() and np.linalg.norm(
            points - contact, axis=1).max() < 0.6), f"{topic}: within 0.6 m of the grasp"
    ghost = next(m for m in seen[names.PLANNED_GRASP].markers if m.ns == "closed_hand")
    bones = np.array([[p.x, p.y, p.z] for p in ghost.points]).reshape(-1, 2, 3)
    assert len(bones) >= 20 and np.linalg.norm(bones[:, 0] - bones[:, 1], axis=1).max() < 0.12, "a hand, link to link"
    assert np.linalg.norm(bones.reshape(-1, 3) - contact, axis=1).min() < 0.08, "it closes around the contact"
    draw(proposal, seen, for_docs("markers.jpg", tmp_path))


def draw(proposal: GraspProposal, seen: dict[str, MarkerArray], path: Path) -> None:
    """All markers over the camera's picture, as a 3-D viewer would show them from there."""
    rgb = conv.image_from_msg(proposal.picture, "rgb8")
    intrinsics, camera = conv.intrinsics_from_msg(proposal.camera_info), conv.pose_from_msg(proposal.camera_pose)
    scale = 2
    picture = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)

    def at(points: np.ndarray) -> np.ndarray:
        return np.round(scale * intrinsics.project(camera.inverse().apply(points))).astype(int)

    for array in seen.values():
        for marker in (m for m in array.markers if m.action == Marker.ADD):
            colour = tuple(int(255 * getattr(marker.color, c)) for c in "rgb")
            points = np.array([[p.x, p.y, p.z] for p in marker.points]).reshape(-1, 3)
            if marker.type == Marker.CUBE and marker.ns == "object":
                corners = conv.xyz(marker.pose.position) + conv.xyz(marker.scale) / 2 * np.array(
                    [[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
                for a in range(8):
                    for b in (a ^ 1, a ^ 2, a ^ 4):
                        cv2.line(picture, at(corners[a]), at(corners[b]), colour, 1, cv2.LINE_AA)
            elif marker.type in (Marker.LINE_LIST, Marker.LINE_STRIP):
                pairs = points.reshape(-1, 2, 3) if marker.type == Marker.LINE_LIST else np.stack([points[:-1], points[1:]], 1)
                for start, end in pairs:
                    cv2.line(picture, at(start), at(end), colour, 2, cv2.LINE_AA)
            elif marker.type == Marker.SPHERE_LIST:
                for point in points:
                    cv2.circle(picture, at(point), 5, colour, -1, cv2.LINE_AA)
            elif marker.type == Marker.ARROW:
                cv2.arrowedLine(picture, at(points[0]), at(points[1]), colour, 3, cv2.LINE_AA, tipLength=0.25)
    assert cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])
