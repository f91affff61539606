"""The kinds of programs; each is a module here."""

KINDS = ("views", "autograd", "indexing", "transforms")
# Lines of every kind in one program.
MIXED = "mixed"
