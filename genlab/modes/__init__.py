"""What `launch.py` does: one file a mode."""
