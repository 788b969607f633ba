"""dex-retargeting behind a pipe, for benchmarks/retarget.py; runs in the peers' environment (benchmarks/README.md).

Reads pickled requests from stdin and answers each on stdout:
    ("build", settings)                       the peer's own configuration of one hand: names of its joints
    ("retarget", keypoints, fresh)            a warm-started sequence, or with fresh=True each pose from the middle of the
                                              limits: joints (T, n), seconds (T,)
    ("objective", keypoints, joints, fresh)   the peer's own objective at any joints (T, n): values (T,)
Keypoints are (T, 21, 3) m, OpenPose order, axes of the robot's base; joints are in the order of the names.
"""

import contextlib
import pickle
import sys
import time

import numpy as np
from dex_retargeting.retargeting_config import RetargetingConfig


class Peer:
    def build(self, settings):
        self.settings = settings
        self.seq = RetargetingConfig.from_dict(dict(settings)).build()
        return list(self.seq.optimizer.target_joint_names)

    def vectors(self, keypoints):
        origin, task = self.seq.optimizer.target_link_human_indices
        return keypoints[:, task] - keypoints[:, origin]

    def retarget(self, keypoints, fresh):
        self.seq = RetargetingConfig.from_dict(dict(self.settings)).build()
        joints, seconds = [], []
        for vector in self.vectors(keypoints):
            if fresh:
                self.seq.reset()
                if hasattr(self.seq.optimizer, "projected"):
                    self.seq.optimizer.projected[:] = False
            started = time.perf_counter()
            self.seq.retarget(vector)
            seconds.append(time.perf_counter() - started)
            joints.append(self.seq.last_qpos.copy())
        return np.array(joints, float), np.array(seconds)

    def objective(self, keypoints, joints, fresh):
        optimizer = RetargetingConfig.from_dict(dict(self.settings)).build().optimizer
        values = []
        for vector, q in zip(self.vectors(keypoints), joints, strict=True):
            if fresh and hasattr(optimizer, "projected"):
                optimizer.projected[:] = False
            value = optimizer.get_objective_function(vector.astype(np.float32), np.array([]), q.astype(np.float32))
            values.append(value(np.asarray(q, float), np.array([])))
        return np.array(values)


def main():
    answers, sys.stdout = sys.stdout.buffer, sys.stderr  # what the library prints must not reach the pipe
    peer = Peer()
    with contextlib.suppress(EOFError):
        while True:
            request, *arguments = pickle.load(sys.stdin.buffer)
            pickle.dump(getattr(peer, request)(*arguments), answers)
            answers.flush()


if __name__ == "__main__":
    main()
