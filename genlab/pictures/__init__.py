"""Pictures: figures, those of codes, and those of a run."""
