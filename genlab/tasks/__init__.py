"""Tasks: losses, no networks. A config names one by its file."""
