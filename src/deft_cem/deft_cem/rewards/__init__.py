"""Where rewards come from: an operator's score, comparisons with earlier grasps, pictures."""
