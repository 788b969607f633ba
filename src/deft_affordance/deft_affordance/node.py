"""The affordance node: `predict_affordance` turns an observation into a grasp prior."""

from __future__ import annotations

import numpy as np
from deft_msgs.msg import Affordance, ObjectObservation
from deft_msgs.srv import PredictAffordance
from rclpy.node import Node
from scipy.spatial.transform import Rotation

from deft_affordance import codes
from deft_affordance.heuristic import HeuristicPredictor
from deft_affordance.predictor import AffordancePredictor, ObjectView, Prediction
from deft_core.config import nearest
from deft_core.errors import ConfigError, DeftError
from deft_core.projection import NoDepthError, contact_point
from deft_core.ros import conversions as conv
from deft_core.ros import names
from deft_core.ros.node import answering, declare, refuse_unknown_parameters, run_node
from deft_core.types import Array

PREDICTORS = {"heuristic": HeuristicPredictor}


def make_predictor(prior: str) -> AffordancePredictor:
    """The predictor of a name. Raises ConfigError with the valid names."""
    if prior not in PREDICTORS:
        raise ConfigError(f"unknown prior '{prior}': {nearest(prior, PREDICTORS)}")
    return PREDICTORS[prior]()


class AffordanceNode(Node):
    """Service `deft/predict_affordance`."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__("deft_affordance", **kwargs)
        self._predictor = make_predictor(declare(self, "prior", "heuristic", "which predictor: " + ", ".join(PREDICTORS)))
        refuse_unknown_parameters(self)
        self.create_service(PredictAffordance, names.PREDICT_AFFORDANCE, self._predict)

    def _predict(self, request: PredictAffordance.Request,
                 response: PredictAffordance.Response) -> PredictAffordance.Response:
        with answering(self, response, codes.BAD_OBSERVATION):
            response.affordance = self._answer(request)
        return response

    def _answer(self, request: PredictAffordance.Request) -> Affordance:
        seen = request.observation
        try:
            view = self._view(seen, request.text)
            depth, intrinsics = conv.depth_from_msg(seen.aligned_depth), conv.intrinsics_from_msg(seen.camera_info)
            if view.mask.shape != depth.shape:
                raise ValueError(f"mask {view.mask.shape} and depth {depth.shape} differ in size")
        except ValueError as error:
            raise DeftError(codes.BAD_OBSERVATION, f"the observation cannot be used: {error}") from None
        prediction = self._predictor.predict(view, request.wrist, np.random.default_rng(request.seed))
        try:
            points = [contact_point(uv, view.mask, depth, intrinsics, view.camera) for uv in prediction.pixels]
        except NoDepthError as error:
            raise DeftError(codes.NO_CONTACT_DEPTH, str(error)) from None
        return self._message(seen, prediction, points)

    @staticmethod
    def _view(seen: ObjectObservation, text: str) -> ObjectView:
        roi = (seen.roi.x_offset, seen.roi.y_offset, seen.roi.width, seen.roi.height)
        return ObjectView(conv.image_from_msg(seen.rgb_crop, "rgb8"), roi, conv.image_from_msg(seen.mask, "mono8") > 0,
                          conv.pose_from_msg(seen.camera_pose), text)

    def _message(self, seen: ObjectObservation, prediction: Prediction, points: list[Array]) -> Affordance:
        camera_rotation: Rotation = conv.rotation_from_msg(seen.camera_pose.orientation)
        return Affordance(
            header=seen.header, task=seen.task, prior=self._predictor.name, base_frame=seen.base_frame,
            contact_pixels=prediction.pixels.ravel().tolist(), contact_points=[conv.point_msg(p) for p in points],
            mean_contact=conv.point_msg(np.mean(points, axis=0)),
            wrist_orientation_base=conv.quaternion_msg(prediction.wrist_in_base),
            wrist_orientation_camera=conv.quaternion_msg(camera_rotation.inv() * prediction.wrist_in_base),
            side="right", mano_joint_angles=prediction.mano_pose, confidence=float(prediction.confidence))


def main() -> None:
    """Executable `affordance_node`."""
    run_node(AffordanceNode)


if __name__ == "__main__":
    main()
