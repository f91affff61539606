"""Sequences of different lengths in one tensor."""

from collections import namedtuple

import flashlight

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpad_sequence",
    "pack_sequence",
    "unpack_sequence",
]

_PackedSequence = namedtuple(
    "PackedSequence", ["data", "batch_sizes", "sorted_indices", "unsorted_indices"]
)


class PackedSequence(_PackedSequence):
    """Sequences of different lengths, time step by time step.

    Made by :func:`pack_padded_sequence`; recurrent layers take and return it.

    Attributes:
        data: Elements of all sequences, those of a time step together.
        batch_sizes: Number of sequences at each time step, on the CPU.
        sorted_indices: How the sequences were ordered by length, or None.
        unsorted_indices: How to undo that, or None.
    """

    __slots__ = ()

    def __new__(
        cls, data, batch_sizes=None, sorted_indices=None, unsorted_indices=None
    ):
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:
            # As an unpickled tuple: (data, batch_sizes).
            if not (isinstance(data, (list, tuple)) and len(data) == 2):
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        elif batch_sizes.device.type != "cpu":
            raise ValueError(
                "batch_sizes should always be on CPU. Instances of PackedSequence "
                "should never be created manually. They should be instantiated by "
                "functions like pack_sequence and pack_padded_sequences in "
                "nn.utils.rnn. https://pytorch.org/docs/stable/nn.html#torch.nn.utils."
                "rnn.pack_sequence"
            )
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def pin_memory(self):
        """Return the sequence with its data in pinned memory."""
        return self._with(self.data.pin_memory())

    def _with(self, data):
        return type(self)(
            data, self.batch_sizes, self.sorted_indices, self.unsorted_indices
        )

    def to(self, *args, **kwargs):
        """Move and/or cast the data as ``Tensor.to`` does."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        kwargs = {k: v for k, v in kwargs.items() if k not in ("device", "dtype")}
        sorted_indices = self.sorted_indices
        unsorted_indices = self.unsorted_indices
        if sorted_indices is not None:
            sorted_indices = sorted_indices.to(data.device, **kwargs)
            unsorted_indices = unsorted_indices.to(data.device, **kwargs)
        return type(self)(data, self.batch_sizes, sorted_indices, unsorted_indices)

    def cuda(self, *args, **kwargs):
        """Move to a GPU under its CUDA name."""
        return self.to(device="cuda") if not args else self.to(*args, **kwargs)

    def cpu(self, *args, **kwargs):
        """Move to the CPU."""
        return self.to(*args, device="cpu", **kwargs)

    def double(self):
        """Cast to float64."""
        return self.to(dtype=flashlight.double)

    def float(self):
        """Cast to float32."""
        return self.to(dtype=flashlight.float)

    def half(self):
        """Cast to float16."""
        return self.to(dtype=flashlight.half)

    def long(self):
        """Cast to int64."""
        return self.to(dtype=flashlight.long)

    def int(self):
        """Cast to int32."""
        return self.to(dtype=flashlight.int)

    def short(self):
        """Cast to int16."""
        return self.to(dtype=flashlight.short)

    def char(self):
        """Cast to int8."""
        return self.to(dtype=flashlight.int8)

    def byte(self):
        """Cast to uint8."""
        return self.to(dtype=flashlight.uint8)

    @property
    def is_cuda(self) -> bool:
        return self.data.is_cuda

    def is_pinned(self) -> bool:
        """Tell whether the data is in pinned memory."""
        return self.data.is_pinned()


def invert_permutation(permutation):
    """Return the permutation that undoes ``permutation``; None stays None."""
    if permutation is None:
        return None
    order = flashlight.arange(0, permutation.numel(), device=permutation.device)
    output = flashlight.empty_like(permutation)
    return output.scatter_(0, permutation, order.to(permutation.dtype))


def pack_padded_sequence(
    input, lengths, batch_first: bool = False, enforce_sorted: bool = True
):
    """Pack padded sequences.

    Args:
        input: (T, B, *), or (B, T, *) if ``batch_first``.
        lengths: Length of each sequence.
        batch_first: See ``input``.
        enforce_sorted: Expect the longest first; otherwise they are sorted.
    """
    if not isinstance(lengths, flashlight.Tensor):
        lengths = flashlight.as_tensor(lengths, dtype=flashlight.int64, device="cpu")
    else:
        lengths = lengths.to(dtype=flashlight.int64)
    if enforce_sorted:
        sorted_indices = None
    else:
        lengths, sorted_indices = flashlight.sort(lengths, descending=True)
        sorted_indices = sorted_indices.to(input.device)
        input = input.index_select(0 if batch_first else 1, sorted_indices)
    data, batch_sizes = flashlight._pack_padded_sequence(input, lengths, batch_first)
    return PackedSequence(data, batch_sizes, sorted_indices, None)


def pad_packed_sequence(
    sequence, batch_first: bool = False, padding_value: float = 0.0, total_length=None
):
    """Undo :func:`pack_padded_sequence`.

    Args:
        sequence: Packed sequences.
        batch_first: Return (B, T, *) instead of (T, B, *).
        padding_value: Value of the padding.
        total_length: T, if longer than the longest.

    Returns:
        The padded sequences and their lengths.
    """
    max_seq_length = sequence.batch_sizes.size(0)
    if total_length is not None:
        if total_length < max_seq_length:
            raise ValueError(
                "Expected total_length to be at least the length of the longest "
                f"sequence in input, but got total_length={total_length} and max "
                f"sequence length being {max_seq_length}"
            )
        max_seq_length = total_length
    padded, lengths = flashlight._pad_packed_sequence(
        sequence.data, sequence.batch_sizes, batch_first, padding_value, max_seq_length
    )
    if sequence.unsorted_indices is not None:
        batch_dim = 0 if batch_first else 1
        order = sequence.unsorted_indices
        return padded.index_select(batch_dim, order), lengths[order.cpu()]
    return padded, lengths


def pad_sequence(
    sequences,
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
):
    """Stack sequences of different lengths, padded.

    Args:
        sequences: Tensors (L, *).
        batch_first: Return (B, T, *) instead of (T, B, *).
        padding_value: Value of the padding.
        padding_side: ``"right"`` or ``"left"``.
    """
    if not isinstance(sequences, (list, tuple)):
        if not hasattr(sequences, "__iter__"):
            raise RuntimeError(
                "pad_sequence: Expected iterable for input sequences, but got arg of "
                f"type: {type(sequences)}"
            )
        sequences = tuple(sequences)
    return flashlight._C._nn.pad_sequence(
        sequences, batch_first, padding_value, padding_side
    )


def unpad_sequence(padded_sequences, lengths, batch_first: bool = False):
    """Undo :func:`pad_sequence`: return the list of the sequences."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [seq[:length] for seq, length in zip(padded_sequences, lengths.tolist())]


def pack_sequence(sequences, enforce_sorted: bool = True):
    """Pack a list of sequences; see :func:`pack_padded_sequence`."""
    lengths = flashlight.as_tensor([v.size(0) for v in sequences])
    return pack_padded_sequence(
        pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted
    )


def unpack_sequence(packed_sequences):
    """Undo :func:`pack_sequence`: return the list of the sequences."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
