"""How much of PyTorch is there: counts by area, and a sample of calls compared."""
