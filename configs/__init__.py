"""One file a config; `common.py` has what they share."""
