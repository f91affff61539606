"""The kinds of programs; each is a module here."""

KINDS = ("views", "autograd", "indexing", "transforms")
# Lines of the first three in one program.
MIXED = "mixed"
OF_MIXED = KINDS[:3]
