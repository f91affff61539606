"""How tensors are sent to another process: by the memory that their storage lies in."""

from multiprocessing.reduction import DupFd, ForkingPickler

from flashlight import _C
from flashlight.storage import TypedStorage, UntypedStorage
from flashlight.tensor import Tensor


class StorageWeakRef:
    """Names a storage without keeping it; equal for the same one."""

    def __init__(self, storage):
        self._weak = storage.untyped()._storage.weak()
        self.cdata = self._weak.cdata

    def expired(self):
        """Whether the storage has gone."""
        return self._weak.expired()

    def __hash__(self):
        return self.cdata

    def __eq__(self, other):
        return isinstance(other, StorageWeakRef) and self.cdata == other.cdata


def rebuild_storage_fd(df, size):
    """The storage on the memory behind a descriptor of the process that sent it."""
    return UntypedStorage._wrap(_C._open_shared_storage(df.detach(), size))


def rebuild_typed_storage(storage, dtype):
    return TypedStorage(wrap_storage=storage, dtype=dtype)


def reduce_storage(storage):
    """Move the storage to shared memory, and say how to open that."""
    storage.share_memory_()
    df = DupFd(storage._storage.descriptor())
    return rebuild_storage_fd, (df, storage.nbytes())


def reduce_typed_storage(storage):
    return rebuild_typed_storage, (storage.untyped(), storage.dtype)


def check_no_history(tensor):
    """Raise where the tensor has a history: a graph stays in its process.

    Raises:
        RuntimeError: PyTorch's.
    """
    if tensor.requires_grad and not tensor.is_leaf:
        raise RuntimeError(
            "Cowardly refusing to serialize non-leaf tensor which requires_grad, since "
            "autograd does not support crossing process boundaries.  If you just want "
            "to transfer the data, call detach() on the tensor before serializing "
            "(e.g., putting it on the queue)."
        )


def reduce_tensor(tensor):
    """As for a file, but that the storage is reduced by :func:`reduce_storage`."""
    check_no_history(tensor)
    return tensor.__reduce_ex__(2)


def init_reductions():
    """Have Python's queues, pipes, pools and processes send tensors so."""
    ForkingPickler.register(UntypedStorage, reduce_storage)
    ForkingPickler.register(TypedStorage, reduce_typed_storage)
    ForkingPickler.register(Tensor, reduce_tensor)
