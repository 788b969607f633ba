"""Error codes of deft_msgs SubmitReward, AmendReward, ControlSession, AnswerProposal and FineTune, for the ROS-free core.

A contract test keeps them equal.
"""

OK = 0
NOTHING_PENDING = 501
WRONG_SESSION = 502
WRONG_EPISODE = 503
BAD_REWARD = 504
ALREADY_ANSWERED = 505
NOT_SAVED = 506
BAD_COMPARISON = 507

# of AmendReward
NO_SUCH_EPISODE = 511
BAD_AMENDMENT = 512
AMENDMENT_NOT_SAVED = 513

# of ControlSession
NO_SESSION = 521
NOT_NOW = 522
BAD_COMMAND = 523
CONTROL_NOT_SAVED = 524

# of AnswerProposal
NOTHING_PROPOSED = 531
WRONG_PROPOSAL = 532
BAD_DECISION = 533
APPROVAL_NOT_SAVED = 534

BAD_GOAL = 601
SESSION_MISMATCH = 602
JOURNAL_FAILED = 603
PIPELINE_FAILED = 604
BUSY = 605
NO_RESIDUAL = 606  # of Evaluate

NO_POLICY, BAD_POLICY_INPUT = 851, 852  # of PredictResidual: another attempt would end alike
POLICY_REFUSED = 853  # of PredictResidual: not finite or out of bounds, so that the prior is executed alone

# Of Observe: what is waited for, and what a person at the table can mend by putting the object right or pointing at it.
CAMERA_PROBLEMS = (101, 107, 108)
SCENE_PROBLEMS = (102, 103, 104, 106)
