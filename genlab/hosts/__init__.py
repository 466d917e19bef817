"""The machines of a run: how its processes meet, agree and learn that one is lost; what Slurm says;
where compiled programs are kept."""
