"""What `launch.py` does, one file for each mode."""
