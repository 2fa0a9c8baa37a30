"""What all layers share: instruction sets, threads, forks, and what arguments may be."""
