"""The retargeting node: `retarget_hand` turns an affordance into grasp parameters xi of the robot hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from deft_msgs.srv import RetargetHand

from deft_core.errors import DeftError
from deft_core.ros import conversions as conv
from deft_core.ros import names
from deft_core.ros.node import (
    DeftNode,
    answering,
    declare,
    declare_config_dir,
    declare_hand,
    refuse_unknown_parameters,
    run_node,
)
from deft_core.types import GraspParameters
from deft_retarget import codes
from deft_retarget.mano_file import mano_skeleton
from deft_retarget.retargeter import Retargeter
from deft_retarget.wrist import grasp_rotation


class RetargetNode(DeftNode):
    """Service `deft/retarget_hand`."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__("deft_retarget", **kwargs)
        self._hand = declare_hand(self, declare_config_dir(self))
        method = declare(self, "method", "", "axis | vector | dexpilot; empty: what the hand's YAML says")
        mano_file = declare(self, "mano_file", "",
                            "path of your licensed MANO_RIGHT.pkl; empty: the free hand that comes with DEFT")
        refuse_unknown_parameters(self)
        skeleton = mano_skeleton(Path(mano_file).expanduser()) if mano_file else None
        self._retargeter = Retargeter(self._hand, method or None, skeleton)
        self._retargeter.warm_up()
        self.create_service(RetargetHand, names.RETARGET_HAND, self._retarget)

    def _retarget(self, request: RetargetHand.Request, response: RetargetHand.Response) -> RetargetHand.Response:
        prior = request.affordance
        with answering(self, response, codes.BAD_INPUT):
            found = self._retargeter.retarget(np.array(prior.mano_joint_angles), side=prior.side)
            contact = conv.xyz(prior.mean_contact)
            if not np.isfinite(contact).all():
                raise DeftError(codes.BAD_INPUT, "the contact point is not finite")
            try:
                wrist = conv.rotation_from_msg(prior.wrist_orientation_base)
            except ValueError as error:
                raise DeftError(codes.BAD_INPUT, str(error)) from None
            response.grasp = conv.grasp_to_msg(GraspParameters(
                contact, grasp_rotation(wrist, prior.side).as_rotvec(), self._hand.joint_names, found.joints, self._hand.name,
                prior.base_frame))
            response.saturated_joints = list(found.saturated)
            response.fingers = list(found.fingertip_errors)
            response.fingertip_errors = list(found.fingertip_errors.values())
            response.fingertip_error = found.fingertip_error
            response.converged = found.converged
        return response


def main() -> None:
    """Executable `retarget_node`."""
    run_node(RetargetNode)


if __name__ == "__main__":
    main()
