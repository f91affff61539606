"""What was built with what, under PyTorch's names."""

cuda = hip = xpu = rocm = None
debug = False
git_version = None
