"""From a clip to a grasp label, one module a step."""
