"""What becomes of us where the system has no more to give: memory, disk, threads, CPUs."""
