"""The affordance node: `predict_affordance` turns an observation into a grasp prior and publishes it as a picture."""

from __future__ import annotations

import numpy as np
from deft_msgs.msg import Affordance, ObjectObservation
from deft_msgs.srv import PredictAffordance
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import Image
from visualization_msgs.msg import MarkerArray

from deft_affordance import codes
from deft_affordance.markers import affordance_markers
from deft_affordance.overlay import overlay
from deft_affordance.predictor import Contact, ObjectView, Prediction, contact_in_space
from deft_affordance.priors import PRIORS, make_predictor
from deft_core.errors import DeftError
from deft_core.ros import conversions as conv
from deft_core.ros import names
from deft_core.ros.node import DeftNode, answering, declare, refuse_unknown_parameters, run_node
from deft_core.ros.qos import LATCHED


class AffordanceNode(DeftNode):
    """Service `deft/predict_affordance`; publishes `deft/affordance_overlay` and `deft/affordance_markers` for people."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__("deft_affordance", **kwargs)
        prior = declare(self, "prior", "learned", "which predictor: " + ", ".join(PRIORS))
        weights = declare(self, "weights", "", "of the learned one, a file of `deft train-affordance`; empty: the package's")
        refuse_unknown_parameters(self)
        self._predictor = make_predictor(prior, weights)
        self._overlay = self.create_publisher(Image, names.AFFORDANCE_OVERLAY, LATCHED)
        self._markers = self.create_publisher(MarkerArray, names.AFFORDANCE_MARKERS, LATCHED)
        self.create_service(PredictAffordance, names.PREDICT_AFFORDANCE, self._predict)

    def _predict(self, request: PredictAffordance.Request,
                 response: PredictAffordance.Response) -> PredictAffordance.Response:
        with answering(self, response, codes.BAD_OBSERVATION):
            response.affordance = self._answer(request)
        return response

    def _answer(self, request: PredictAffordance.Request) -> Affordance:
        seen = request.observation
        try:
            view, depth = self._view(seen, request.text), conv.depth_from_msg(seen.aligned_depth)
            if view.mask.shape != depth.shape:
                raise ValueError(f"mask {view.mask.shape} and depth {depth.shape} differ in size")
        except ValueError as error:
            raise DeftError(codes.BAD_OBSERVATION, f"the observation cannot be used: {error}") from None
        prediction = self._predictor.predict(view, request.wrist, np.random.default_rng(request.seed))
        contact = contact_in_space(prediction, view, depth)
        self._overlay.publish(conv.image_to_msg(overlay(view, prediction, contact), "rgb8", seen.header))
        found = self._message(seen, prediction, contact)
        self._markers.publish(affordance_markers(found))
        return found

    @staticmethod
    def _view(seen: ObjectObservation, text: str) -> ObjectView:
        roi = (seen.roi.x_offset, seen.roi.y_offset, seen.roi.width, seen.roi.height)
        return ObjectView(conv.image_from_msg(seen.rgb_crop, "rgb8"), roi, conv.image_from_msg(seen.mask, "mono8") > 0,
                          conv.intrinsics_from_msg(seen.camera_info), conv.pose_from_msg(seen.camera_pose), text)

    def _message(self, seen: ObjectObservation, prediction: Prediction, contact: Contact) -> Affordance:
        camera_rotation: Rotation = conv.rotation_from_msg(seen.camera_pose.orientation)
        out = Affordance(
            header=seen.header, task=seen.task, prior=self._predictor.name, base_frame=seen.base_frame,
            contact_pixels=prediction.pixels.ravel().tolist(), contact_points=[conv.point_msg(p) for p in contact.points],
            mean_contact=conv.point_msg(contact.mean), contact_deviation=contact.deviation,
            wrist_orientation_base=conv.quaternion_msg(prediction.wrist_in_base),
            wrist_orientation_camera=conv.quaternion_msg(camera_rotation.inv() * prediction.wrist_in_base),
            wrist_deviation=prediction.wrist_deviation, side="right", mano_joint_angles=prediction.mano_pose,
            confidence=float(prediction.confidence))
        if prediction.heatmap is not None:
            out.heatmap = conv.image_to_msg(prediction.heatmap.astype(np.float32), "32FC1", seen.header)
        return out


def main() -> None:
    """Executable `affordance_node`."""
    run_node(AffordanceNode)


if __name__ == "__main__":
    main()
