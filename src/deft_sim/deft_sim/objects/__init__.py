"""Procedural things for the table: one module a class, each with a train and a test set (metres, kg).

Sizes, masses and friction are those of ordinary household things. `add_*` functions put one into a
model; a thing that can be moved is a free body.
"""
