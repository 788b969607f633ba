"""Searches for the residual behind one ask and tell: Algorithm 1, deft_plus, and those that they are measured beside."""

from __future__ import annotations

from deft_cem.search.basis import Basis
from deft_cem.search.bo import BoSearch
from deft_cem.search.cma_es import CmaSearch
from deft_cem.search.config import SearchConfig
from deft_cem.search.deft import DeftSearch, RandomSearch
from deft_cem.search.deft_plus import DeftPlusSearch
from deft_cem.search.search import Search

__all__ = ["Search", "make_search"]


def make_search(config: SearchConfig, basis: Basis, seed: int) -> Search:
    """The search that a configuration names."""
    if config.algorithm == "deft":
        return DeftSearch(basis.size, seed, config.deft)
    if config.algorithm == "random":
        return RandomSearch(basis.size, seed, config.deft)
    if config.algorithm == "cma":
        return CmaSearch(basis.size, seed, config.cma)
    if config.algorithm == "bo":
        return BoSearch(basis.size, seed, config.bo)
    return DeftPlusSearch(basis.groups, seed, config.deft_plus)
