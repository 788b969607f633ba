"""A residual as markers: the step from the prior's contact to the tried one, and the turn of the wrist."""

from __future__ import annotations

import numpy as np
from deft_msgs.msg import GraspProposal
from visualization_msgs.msg import Marker

from deft_core.ros import conversions as conv
from deft_core.ros import markers
from deft_core.types import Array

CAPTION = np.array([0.0, 0.0, 0.16])  # m, above the contact
AXIS = 0.06  # m, length of the drawn palm normals
STEP, PRIOR, TRIED = (1.0, 0.2, 0.6, 1.0), (0.6, 0.6, 0.6, 0.9), (1.0, 0.2, 0.6, 0.9)


def residual_markers(proposal: GraspProposal) -> list[Marker]:
    """Namespaces: residual (an arrow by eps's contact part), prior_palm and tried_palm (the palm's normal), caption."""
    prior, tried = conv.grasp_from_msg(proposal.xi), conv.grasp_from_msg(proposal.executed)
    words = f"episode {proposal.episode}: {1000 * float(np.linalg.norm(tried.contact - prior.contact)):.0f} mm off the prior"
    header = proposal.header
    return [markers.arrow(header, "residual", prior.contact, tried.contact, STEP, 0.006),
            _palm(proposal, "prior_palm", prior.contact, prior.rotation().as_matrix()[:, 2], PRIOR),
            _palm(proposal, "tried_palm", tried.contact, tried.rotation().as_matrix()[:, 2], TRIED),
            markers.caption(header, "caption", tried.contact + CAPTION, words, (1.0, 1.0, 1.0, 1.0))]


def _palm(proposal: GraspProposal, namespace: str, contact: Array, normal: Array, colour: markers.Colour) -> Marker:
    """The way out of the palm, ending at the contact."""
    return markers.arrow(proposal.header, namespace, contact - AXIS * normal, contact, colour, 0.004)
