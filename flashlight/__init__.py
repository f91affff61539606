"""PyTorch's API over Apple's MLX, with its engine in C++.

``import flashlight as torch``: tensors, autograd, ``nn``, ``optim`` and ``utils.data``
under PyTorch's names and with PyTorch's semantics.
"""

from flashlight import _C  # before mlx.core: brings MLX in with a fast BLAS
from flashlight import _namespaces as _namespaces  # fills _C._nn, _C._linalg, ...
from flashlight._C import (  # noqa: F401
    Generator,
    can_cast,
    channels_last,
    channels_last_3d,
    contiguous_format,
    default_generator,
    device,
    dtype,
    get_default_dtype,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    is_grad_enabled,
    is_inference_mode_enabled,
    jagged,
    layout,
    memory_format,
    preserve_format,
    promote_types,
    result_type,
    sparse_bsc,
    sparse_bsr,
    sparse_coo,
    sparse_csc,
    sparse_csr,
    strided,
)
from flashlight._dtypes import *  # noqa: F401,F403
from flashlight._size import Size  # noqa: F401
from flashlight._tensor_str import set_printoptions  # noqa: F401
from flashlight._tensor_types import *  # noqa: F401,F403
from flashlight.constants import e, inf, nan, newaxis, pi  # noqa: F401
from flashlight.tensor import Tensor  # noqa: F401

# isort: split
from flashlight.ops import *  # noqa: F401,F403
from flashlight.ops import _segment_reduce  # noqa: F401

# isort: split
from flashlight import autograd  # noqa: F401
from flashlight.autograd import (  # noqa: F401
    enable_grad,
    inference_mode,
    no_grad,
    set_grad_enabled,
)
from flashlight.creation import (  # noqa: F401
    as_tensor,
    asarray,
    from_dlpack,
    from_numpy,
    frombuffer,
    set_default_device,
    tensor,
)
from flashlight.info import (  # noqa: F401
    finfo,
    get_num_threads,
    iinfo,
    is_complex,
    is_conj,
    is_floating_point,
    is_inference,
    is_neg,
    is_nonzero,
    is_same_size,
    is_signed,
    is_storage,
    is_tensor,
    numel,
    set_default_dtype,
    set_default_tensor_type,
    set_num_threads,
    typename,
)
from flashlight.random import (  # noqa: F401
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from flashlight.serialization import load, save  # noqa: F401
from flashlight.storage import *  # noqa: F401,F403

# isort: split
from flashlight import (  # noqa: F401
    __future__,
    _aten,
    _lazy,
    _pickling,
    accelerator,
    amp,
    backends,
    compiler,
    cpu,
    cuda,
    distributed,
    fft,
    func,
    functional,
    jit,
    library,
    linalg,
    masked,
    mps,
    multiprocessing,
    nn,
    optim,
    overrides,
    profiler,
)
from flashlight import random as random  # noqa: F401
from flashlight import return_types, signal, sparse, special, types, utils, version, xpu
from flashlight._C import (  # noqa: F401
    Tag,
    autocast_decrement_nesting,
    autocast_increment_nesting,
    clear_autocast_cache,
    is_autocast_cache_enabled,
    set_autocast_cache_enabled,
)
from flashlight._lowrank import pca_lowrank, svd_lowrank  # noqa: F401
from flashlight._quantized_tensors import *  # noqa: F401,F403
from flashlight._quantized_tensors import _empty_affine_quantized  # noqa: F401
from flashlight._settings import *  # noqa: F401,F403
from flashlight._sparse_tensors import (  # noqa: F401
    sparse_coo_tensor,
    sparse_csr_tensor,
)
from flashlight.amp.autocast_mode import (  # noqa: F401
    autocast,
    get_autocast_cpu_dtype,
    get_autocast_dtype,
    get_autocast_gpu_dtype,
    is_autocast_cpu_enabled,
    is_autocast_enabled,
    set_autocast_cpu_dtype,
    set_autocast_cpu_enabled,
    set_autocast_dtype,
    set_autocast_enabled,
    set_autocast_gpu_dtype,
)
from flashlight.func import vmap  # noqa: F401
from flashlight.functional import *  # noqa: F401,F403
from flashlight.utils import checkpoint as _checkpoint  # noqa: F401

_pickling.register()

__version__ = "0.1.0"
