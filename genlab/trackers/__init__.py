"""Trackers: where the numbers and pictures of a training go beside its workdir.

`report.writers` names them. Each is a `Writer` in a file of its own and imports its package when it
is opened; nothing leaves the machine unless the tracker's own environment variables say so.
"""
