"""Our training steps beside the same ones in PyTorch: see benchmarks/README.md."""
