"""`deft panel --web`: the server with a node of its own."""

from __future__ import annotations

import uvicorn

from deft_core.descriptions import CameraConfig
from deft_core.ros.spun_node import SpunNode
from deft_operator.graph_link import GraphLink
from deft_operator.web.access import Access
from deft_operator.web.server import make_app, settings


def serve(camera: CameraConfig, host: str, port: int, access: Access) -> None:
    """Serve until interrupted. rclpy must be initialised. Raises OSError where the port is taken."""
    with SpunNode("deft_web_panel") as node:
        link = GraphLink(node, camera)
        try:
            uvicorn.run(**settings(make_app(link, access), host, port))
        finally:
            link.close()
