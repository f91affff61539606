"""The kinds of programs; each is a module here. ``transforms`` would be another."""

KINDS = ("views", "autograd", "indexing")
# Lines of every kind in one program.
MIXED = "mixed"
