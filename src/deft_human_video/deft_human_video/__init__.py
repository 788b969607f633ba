"""Human hand videos: reading data sets, making synthetic ones, and turning them into grasp labels and demonstrations."""

__version__ = "0.1.0"
