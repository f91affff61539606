"""Where PyTorch keeps its function transforms, and ``functorch`` looks for them."""
