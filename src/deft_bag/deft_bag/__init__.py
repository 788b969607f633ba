"""Bags of sessions: writing them as they happen, and reading them again, whole or damaged."""
