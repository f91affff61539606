"""Random programs that PyTorch judges: ``python -m fuzz --kind views``, in tests/.

A program is a list of Python lines over the tensors that it makes. PyTorch runs it
while it is written, so that operands mostly fit; flashlight runs the same lines, and
after each of them everything that can be seen of every tensor is compared. A program
that differs is cut down to the lines that it takes.

Each kind is a module with a list ``MAKERS`` of (weight, function): the function is
given a ``Writer`` and returns a line, or None where it has none for these tensors.
"""
