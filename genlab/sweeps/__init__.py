"""Experiments: many runs of one config, and a table of what they reached.

An experiment file holds `get_config(arg)` and `sweep(add)` or `sweep(add, arg)`, which calls
`add({key: value, ...})` once for each run; keys are those of the config (`model.code`, `seed`).
`METRICS`, if it is there, names what the pictures show. The key `config` names a file of `configs/`
to start from, so that one table compares families; what a resumed run may change (`eval.`,
`sample.`) then comes from the experiment's own config, and so from the command line.

A sweep is its folder: each run has a workdir in it, and what befell the run is read from there by
whoever looks (`states.py`). So the same command goes on after a kill, wherever it is given.
"""
