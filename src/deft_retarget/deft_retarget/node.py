"""The retargeting node: `retarget_hand` turns an affordance into grasp parameters xi of the robot hand."""

from __future__ import annotations

import numpy as np
from deft_msgs.srv import RetargetHand
from rclpy.node import Node

from deft_core.errors import DeftError
from deft_core.ros import conversions as conv
from deft_core.ros import names
from deft_core.ros.node import answering, declare_config_dir, declare_hand, refuse_unknown_parameters, run_node
from deft_core.types import GraspParameters
from deft_retarget import codes
from deft_retarget.axis_mapping import AxisRetargeter, grasp_rotation


class RetargetNode(Node):
    """Service `deft/retarget_hand`."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__("deft_retarget", **kwargs)
        self._hand = declare_hand(self, declare_config_dir(self))
        refuse_unknown_parameters(self)
        self._retargeter = AxisRetargeter(self._hand)
        self.create_service(RetargetHand, names.RETARGET_HAND, self._retarget)

    def _retarget(self, request: RetargetHand.Request, response: RetargetHand.Response) -> RetargetHand.Response:
        prior = request.affordance
        with answering(self, response, codes.BAD_INPUT):
            joints = self._retargeter.retarget(np.array(prior.mano_joint_angles))
            contact = conv.xyz(prior.mean_contact)
            if not np.isfinite(contact).all():
                raise DeftError(codes.BAD_INPUT, "the contact point is not finite")
            try:
                wrist = conv.rotation_from_msg(prior.wrist_orientation_base)
            except ValueError as error:
                raise DeftError(codes.BAD_INPUT, str(error)) from None
            response.grasp = conv.grasp_to_msg(GraspParameters(
                contact, grasp_rotation(wrist).as_rotvec(), self._hand.joint_names, joints.joints, self._hand.name,
                prior.base_frame))
            response.saturated_joints = list(joints.saturated)
        return response


def main() -> None:
    """Executable `retarget_node`."""
    run_node(RetargetNode)


if __name__ == "__main__":
    main()
