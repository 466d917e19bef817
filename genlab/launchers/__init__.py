"""Who starts the runs of a sweep: this machine, or Slurm."""
