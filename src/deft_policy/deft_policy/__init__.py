"""The residual policy: what the best episodes of a session say of the next grasp."""

__version__ = "0.1.0"
