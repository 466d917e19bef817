"""One file for each config; `common.py` has what they share."""
