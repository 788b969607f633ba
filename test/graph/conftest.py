"""Graphs that a test file shares."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from graph_support import Tester, graph_with


@pytest.fixture(scope="module")
def scripted() -> Iterator[Tester]:
    """The graph with the scripted operator."""
    with graph_with(0) as tester:
        yield tester


@pytest.fixture(scope="module")
def unattended() -> Iterator[Tester]:
    """The graph where nobody answers but the test."""
    with graph_with(1, operator="none") as tester:
        yield tester
