"""From grasp labels (docs/human_video.md) to the weights of an affordance network."""
