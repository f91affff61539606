"""Sparse tensors: coordinates and values (COO), or compressed rows (CSR).

Coordinates are an integer tensor of one row a sparse dimension; the values are a plain
tensor, so that autograd follows them through every function here.
"""

import re

from flashlight import _C
from flashlight._parted import Parted, common_answers
from flashlight._size import Size

_JOIN = ",\n       "


def _library():
    import flashlight

    return flashlight


class SparseTensor(Parted):
    """A tensor of coordinates and values, which are zero elsewhere."""

    _kind = "sparse"

    def _sizes(self):
        return self.__dict__["_shape"]

    def _dtype_of_parts(self):
        return self.__dict__["_v"].dtype

    _engine_dtype = _dtype_of_parts

    def _differentiated(self):
        return self._values(), lambda gradient: _map_values(self, lambda v: gradient)

    def _indices(self):
        """The coordinates, one row a sparse dimension."""
        return self.__dict__["_i"]

    def _values(self):
        """The values."""
        return self.__dict__["_v"]

    def _nnz(self):
        """How many values there are, counting coordinates as often as they occur."""
        return self._indices().shape[1]

    def indices(self):
        """The coordinates of a coalesced tensor."""
        self._need_coalesced("indices")
        return self._indices()

    def values(self):
        """The values of a coalesced tensor."""
        self._need_coalesced("values")
        return self._values()

    def _need_coalesced(self, what):
        if not self.is_coalesced():
            raise RuntimeError(
                f"Cannot get {what} on an uncoalesced tensor, please call .coalesce() "
                "first"
            )

    def is_coalesced(self):
        """Whether coordinates are sorted and occur once."""
        return self.__dict__["_coalesced"]

    def _coalesced_(self, coalesced):
        self.__dict__["_coalesced"] = coalesced
        return self

    def sparse_dim(self):
        """The number of sparse dimensions, the first ones."""
        return self._indices().shape[0]

    def dense_dim(self):
        """The number of dimensions of a value."""
        return self._values().dim() - 1

    def coalesce(self):
        """An equal tensor whose coordinates are sorted and occur once."""
        if self.is_coalesced():
            return self
        if self._nnz() < 2:
            return _like(self, self._indices(), self._values(), coalesced=True)
        torch = _library()
        flat, where = torch.unique(_flat(self), return_inverse=True)
        values = self._values()
        if values.dtype is _C.bool:
            summed = values.to(_C.int32)
        else:
            summed = values
        out = torch.zeros((flat.numel(), *values.shape[1:]), dtype=summed.dtype)
        out = out.index_add(0, where, summed).to(values.dtype)
        return _like(self, _unflat(flat, self._sparse_sizes()), out, coalesced=True)

    def _sparse_sizes(self):
        return tuple(self._sizes())[: self.sparse_dim()]

    def to_dense(self, dtype=None, *, masked_grad=None):
        """The plain tensor."""
        torch = _library()
        whole = self.coalesce()
        out = torch.zeros(self._sizes(), dtype=self._dtype_of_parts())
        if self.sparse_dim() == 0:
            if whole._nnz():
                out = whole._values().sum(0).to(out.dtype)
        elif whole._nnz():
            out = out.index_put(tuple(whole._indices().unbind(0)), whole._values())
        return out if dtype is None else out.to(dtype)

    def to_sparse(self, sparse_dim=None, *, layout=None, **options):
        """The tensor itself, or in another sparse layout."""
        if layout is _C.sparse_csr:
            return self.to_sparse_csr()
        if sparse_dim is not None and sparse_dim != self.sparse_dim():
            return self.to_dense().to_sparse(sparse_dim)
        return self

    def to_sparse_csr(self, dense_dim=None):
        """The tensor as compressed rows."""
        if self.sparse_dim() != 2 or self.dense_dim() != 0:
            raise RuntimeError(
                "to_sparse_csr: only matrices without dense dimensions are supported"
            )
        whole = self.coalesce()
        rows, columns = whole._indices().unbind(0)
        crow = _library().zeros(self._sizes()[0] + 1, dtype=_C.int64)
        counted = crow.index_add(0, rows + 1, _library().ones_like(rows)).cumsum(0)
        return CompressedRows._make(counted, columns, whole._values(), self._sizes())

    def _text(self):
        parts = [
            _part(self._indices(), "indices"),
            _part(self._values(), "values"),
            f"size={tuple(self._sizes())}, nnz={self._nnz()}",
        ]
        return f"tensor({_JOIN.join(parts)}, {_tail(self, 'sparse_coo')})"


class CompressedRows(Parted):
    """A matrix of compressed rows: where each row begins, columns and values."""

    _kind = "sparse CSR"

    @classmethod
    def _make(cls, crow, columns, values, shape):
        parts = {
            "_crow": crow,
            "_columns": columns,
            "_v": values,
            "_shape": Size(shape),
        }
        return cls._new(values.dtype, **parts)

    def _sizes(self):
        return self.__dict__["_shape"]

    def _dtype_of_parts(self):
        return self.__dict__["_v"].dtype

    _engine_dtype = _dtype_of_parts

    def _differentiated(self):
        return self._values(), lambda gradient: _map_values(self, lambda v: gradient)

    def crow_indices(self):
        """Where in the values each row begins, and where the last ends."""
        return self.__dict__["_crow"]

    def col_indices(self):
        """The column of each value."""
        return self.__dict__["_columns"]

    def values(self):
        """The values."""
        return self.__dict__["_v"]

    _values = values

    def _nnz(self):
        """How many values there are."""
        return self.values().shape[0]

    def sparse_dim(self):
        """2."""
        return 2

    def dense_dim(self):
        """0."""
        return 0

    def to_sparse(self, sparse_dim=None, *, layout=None, **options):
        """The tensor as coordinates and values."""
        if layout is _C.sparse_csr:
            return self
        torch = _library()
        counts = self.crow_indices().diff().to(_C.int64)
        rows = torch.arange(self._sizes()[0]).repeat_interleave(counts)
        indices = torch.stack([rows, self.col_indices().to(_C.int64)])
        return _make(indices, self.values(), self._sizes(), coalesced=True)

    def to_sparse_csr(self, dense_dim=None):
        """The tensor itself."""
        return self

    def to_dense(self, dtype=None, *, masked_grad=None):
        """The plain tensor."""
        return self.to_sparse().to_dense(dtype)

    def _text(self):
        parts = [
            _part(self.crow_indices(), "crow_indices"),
            _part(self.col_indices(), "col_indices"),
            _part(self.values(), "values"),
            f"size={tuple(self._sizes())}, nnz={self._nnz()}",
        ]
        return f"tensor({_JOIN.join(parts)}, {_tail(self, 'sparse_csr')})"


def _part(tensor, name):
    """``name=tensor(...)``, without a dtype, as the parts are printed."""
    text = re.sub(r", dtype=torch\.\w+", "", repr(tensor.detach()))
    if tensor.numel() == 0 and "size=" not in text:
        text = text[:-1] + f", size={tuple(tensor.shape)})"
    first, *rest = text.split("\n")
    more = " " * len(f"tensor({name}=")
    return f"{name}=" + "\n".join([first, *(more + line for line in rest)])


def _tail(x, layout):
    torch = _library()
    tail = [f"layout=torch.{layout}"]
    if x.dtype not in (torch.get_default_dtype(), _C.int64, _C.bool):
        tail.insert(0, f"dtype={x.dtype}")
    if x.grad_fn is not None:
        tail.append(f"grad_fn=<{x.grad_fn.name()}>")
    elif x.requires_grad:
        tail.append("requires_grad=True")
    return ", ".join(tail)


def _make(indices, values, shape, coalesced=False):
    parts = {
        "_i": indices,
        "_v": values,
        "_shape": Size(shape),
        "_coalesced": coalesced,
    }
    return SparseTensor._new(values.dtype, **parts)


def _like(x, indices, values, coalesced=None):
    known = x.is_coalesced() if coalesced is None else coalesced
    return _make(indices, values, x._sizes(), known)


def _flat(x):
    """The coordinates as one number each, in the order of memory."""
    torch = _library()
    flat = torch.zeros(x._nnz(), dtype=_C.int64)
    for row, size in zip(x._indices().unbind(0), x._sparse_sizes()):
        flat = flat * size + row
    return flat


def _unflat(flat, sizes):
    torch = _library()
    rows = []
    for size in reversed(sizes):
        rows.insert(0, flat % size)
        flat = flat.div(size, rounding_mode="floor")
    return torch.stack(rows) if rows else flat.new_empty((0, flat.numel()))


# --- making them ---


def sparse_coo_tensor(
    indices,
    values,
    size=None,
    *,
    dtype=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
    check_invariants=None,
    is_coalesced=None,
):
    """A sparse tensor of coordinates and values.

    Args:
        indices: (sparse dimensions, n) integers.
        values: (n, ...) numbers.
        size: The sizes; as large as the indices need if absent.
        dtype, device: Of the values, which tell them if absent.
        requires_grad: Whether autograd records what is done with the values.
        check_invariants: Whether coordinates are checked even where ``torch.sparse.
            check_sparse_tensor_invariants`` is off. Here they always are.
        is_coalesced: Whether they are known to be sorted and to occur once.

    Raises:
        RuntimeError: Coordinates and sizes or values do not fit.

    Example:
        >>> import flashlight as torch
        >>> x = torch.sparse_coo_tensor([[0, 1], [2, 0]], [3.0, 4.0], (2, 3))
        >>> x.to_dense()
        tensor([[0., 0., 3.],
                [4., 0., 0.]])
    """
    torch = _library()
    indices = torch.as_tensor(indices)
    values = torch.as_tensor(values)
    if dtype is not None:
        values = values.to(dtype)
    if device is not None:
        values = values.to(device)
    if indices.dim() != 2:
        raise RuntimeError(
            f"indices must be sparse_dim x nnz, but got: {list(indices.shape)}"
        )
    if values.dim() == 0:
        values = values.reshape(1).expand(indices.shape[1])
    if values.shape[0] != indices.shape[1]:
        raise RuntimeError(
            "indices and values must have same nnz, but got nnz from indices: "
            f"{indices.shape[1]}, nnz from values: {values.shape[0]}"
        )
    indices = indices.to(_C.int64)
    sizes = _sizes_for(indices, values, size)
    if values.requires_grad != requires_grad and requires_grad:
        values = values.detach().requires_grad_()
    return _make(indices, values, sizes, bool(is_coalesced))


def _sizes_for(indices, values, size):
    lowest, highest = [], []
    if indices.numel():
        lowest, highest = indices.amin(1).tolist(), indices.amax(1).tolist()
    for d, least in enumerate(lowest):
        if least < 0:
            raise RuntimeError(f"found negative index {least} for dim {d}")
    if size is None:
        return (*(most + 1 for most in highest), *values.shape[1:])
    size = tuple(size)
    sparse = indices.shape[0]
    if len(size) != sparse + values.dim() - 1:
        raise RuntimeError(
            "'len(size) == sparse_dim + dense_dim' is not satisfied: len(size) = "
            f"{len(size)}, sparse_dim = {sparse}, dense_dim = {values.dim() - 1}"
        )
    for d, most in enumerate(highest):
        if most >= size[d]:
            raise RuntimeError(
                f"size is inconsistent with indices: for dim {d}, size is {size[d]} "
                f"but found index {most}"
            )
    if tuple(values.shape[1:]) != size[sparse:]:
        expected = [values.shape[0], *size[sparse:]]
        raise RuntimeError(
            f"values has incorrect size, expected {expected}, got {list(values.shape)}"
        )
    return size


def sparse_csr_tensor(
    crow_indices,
    col_indices,
    values,
    size=None,
    *,
    dtype=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
    check_invariants=None,
):
    """A sparse matrix of compressed rows.

    Args:
        crow_indices: (rows + 1) where in ``values`` each row begins, and the end.
        col_indices: (n) the column of each value.
        values: (n) numbers.
        size: (rows, columns); as large as needed if absent.
        dtype, device, requires_grad: Of the values.
        check_invariants: The lengths are always checked.
    """
    torch = _library()
    crow, columns = torch.as_tensor(crow_indices), torch.as_tensor(col_indices)
    values = torch.as_tensor(values)
    if dtype is not None:
        values = values.to(dtype)
    if requires_grad:
        values = values.detach().requires_grad_()
    for name, part in (("crow_indices", crow), ("col_indices", columns)):
        if part.dim() != 1:
            raise NotImplementedError(f"sparse_csr_tensor: batches ({name})")
    if size is None:
        width = int(columns.max()) + 1 if columns.numel() else 0
        size = (crow.numel() - 1, width)
    if crow.numel() != size[0] + 1:
        raise RuntimeError(
            f"crow_indices.shape[-1] must be equal to nrows + 1 = {size[0] + 1}, but "
            f"got {crow.numel()}"
        )
    if columns.numel() != values.shape[0] or int(crow[-1]) != values.shape[0]:
        raise RuntimeError(
            "sparse_csr_tensor: col_indices, values and the end of crow_indices "
            f"differ: {columns.numel()}, {values.shape[0]}, {int(crow[-1])}"
        )
    return CompressedRows._make(crow, columns, values, size)


def to_sparse(x, sparse_dim=None, *, layout=None, blocksize=None, dense_dim=None):
    """The plain tensor's elements that are not zero, with their coordinates."""
    torch = _library()
    if layout not in (None, _C.sparse_coo, _C.sparse_csr):
        raise NotImplementedError(f"to_sparse: layout {layout} is not supported")
    n = x.dim() if sparse_dim is None else sparse_dim
    if not 0 <= n <= x.dim() or (n == 0 and x.dim() > 0):
        raise RuntimeError(
            f"sparse_dim should be in range [1, {x.dim()}], but got {sparse_dim}"
        )
    if x.dim() == 0:
        there = (x != 0).reshape(1)
        values = x.reshape(1)[there]
        indices = torch.empty((0, values.shape[0]), dtype=_C.int64)
    else:
        kept = x.detach() != 0
        if n < x.dim():
            kept = kept.flatten(n).any(-1)
        indices = kept.nonzero().t().contiguous()
        values = x[tuple(indices.unbind(0))]
    out = _make(indices, values, x.shape, coalesced=True)
    return out.to_sparse_csr() if layout is _C.sparse_csr else out


# --- what they answer ---

_answer = common_answers(SparseTensor, "_v")
_answer_rows = common_answers(CompressedRows, "_v")


@_answer("layout.__get__")
def _layout(x):
    return _C.sparse_coo


@_answer("is_sparse.__get__")
def _is_sparse(x):
    return True


@_answer_rows("layout.__get__")
def _layout_of_rows(x):
    return _C.sparse_csr


@_answer_rows("is_sparse_csr.__get__")
def _is_sparse_csr(x):
    return True


@_answer("stride")
@_answer_rows("stride")
def _stride(x, dim=None):
    strides = (0,) * x.dim()
    return strides if dim is None else strides[dim]


def _map_values(x, function):
    """A tensor of the same coordinates; ``function`` of the values."""
    if isinstance(x, CompressedRows):
        values = function(x.values())
        if values is x.values():
            return x
        parts = x.crow_indices(), x.col_indices(), values, x._sizes()
        return CompressedRows._make(*parts)
    values = function(x._values())
    return x if values is x._values() else _like(x, x._indices(), values)


def _linear(*names):
    """Of the values as they are: sums of them are mapped alike."""
    for name in names:

        def run(x, *args, _name=name, **kwargs):
            return _map_values(x, lambda v: getattr(v, _name)(*args, **kwargs))

        _answer(name)(run)
        _answer_rows(name)(run)


_linear("clone", "detach", "neg", "negative", "to", "type_as", "conj")
_linear("double", "float", "half", "bfloat16", "long", "int", "short", "char", "byte")
_linear("bool", "cfloat", "cdouble", "deg2rad", "rad2deg")


def _of_each(*names):
    """Of each element, zero of zero: the coordinates must occur once."""
    for name in names:

        def run(x, *args, _name=name, **kwargs):
            whole = x if isinstance(x, CompressedRows) else x.coalesce()
            return _map_values(whole, lambda v: getattr(v, _name)(*args, **kwargs))

        _answer(name)(run)
        _answer_rows(name)(run)


_of_each("abs", "absolute", "asin", "asinh", "atan", "atanh", "ceil", "erf", "erfinv")
_of_each("expm1", "floor", "frac", "isinf", "isnan", "log1p", "relu", "round", "sgn")
_of_each("sign", "signbit", "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc")


@_answer("numpy")
@_answer_rows("numpy")
def _numpy(x, *, force=False):
    layout = "SparseCsr" if isinstance(x, CompressedRows) else "Sparse"
    raise TypeError(
        f"can't convert {layout} layout tensor to numpy. Use Tensor.to_dense() first."
    )


@_answer("__dlpack__")
@_answer_rows("__dlpack__")
def _dlpack(x, **options):
    raise BufferError("Can't export tensors with layout other than torch.strided")


@_answer("grad.__get__")
@_answer_rows("grad.__get__")
def _gradient(x):
    gradient = x._values().grad
    return None if gradient is None else _map_values(x, lambda values: gradient)


@_answer("grad.__set__")
@_answer_rows("grad.__set__")
def _set_gradient(x, gradient):
    if gradient is None:
        x._values().grad = None
        return
    same = type(gradient) is type(x) and gradient._values().shape == x._values().shape
    places = zip(_places(x), _places(gradient)) if same else ()
    if not same or not all(a.equal(b) for a, b in places):
        raise NotImplementedError(
            f"grad: not supported for {x._kind} tensors unless both are zero at the "
            "same places"
        )
    x._values().grad = gradient._values()


def _places(x):
    """The parts of a sparse tensor that say where its values are."""
    if isinstance(x, CompressedRows):
        return x.crow_indices(), x.col_indices()
    return (x._indices(),)


@_answer("requires_grad_")
@_answer_rows("requires_grad_")
def _requires_grad_(x, requires_grad=True):
    x._values().requires_grad_(requires_grad)
    return x


def _is_number(x):
    if isinstance(x, Parted):
        return False
    return not isinstance(x, _C.TensorBase) or x.dim() == 0


def _same_sizes(name, a, b):
    if a._sizes() != b._sizes():
        raise RuntimeError(
            f"{name}: expected sizes of 'self' and 'other' to match, but "
            f"{list(a._sizes())} != {list(b._sizes())}"
        )


def _add(name, a, b, alpha=1):
    if not isinstance(a, SparseTensor):
        if isinstance(a, CompressedRows):
            return _add(name, a.to_sparse(), b, alpha).to_sparse_csr()
        return getattr(a, name)(b.to_dense(), alpha=alpha)
    if isinstance(b, CompressedRows):
        b = b.to_sparse()
    if not isinstance(b, SparseTensor):
        raise RuntimeError(
            f"{name}(sparse, dense) is not supported. Use {name}(dense, sparse) "
            "instead."
        )
    _same_sizes(name, a, b)
    torch = _library()
    dtype = torch.promote_types(a._dtype_of_parts(), b._dtype_of_parts())
    if name == "sub" and dtype is _C.bool:
        return a._values() - b._values()  # the error of plain tensors
    left, right = a._values().to(dtype), b._values().to(dtype)
    right = right * alpha if name == "add" else right * -alpha
    indices = torch.cat([a._indices(), b._indices()], 1)
    out = _make(indices, torch.cat([left, right.to(dtype)]), a._sizes())
    return out.coalesce() if a.is_coalesced() and b.is_coalesced() else out


def _mul(a, b):
    if isinstance(a, CompressedRows) or isinstance(b, CompressedRows):
        if _is_number(b):
            return _map_values(a, lambda v: v * b)
        if _is_number(a):
            return _map_values(b, lambda v: a * v)
        coo = [x.to_sparse() if isinstance(x, CompressedRows) else x for x in (a, b)]
        return _mul(*coo).to_sparse_csr()
    if not isinstance(a, SparseTensor):
        return _mul(b, a)
    if _is_number(b):
        return _map_values(a, lambda v: v * b)
    if not isinstance(b, SparseTensor):
        dense = b.expand(a._sizes())
        there = dense[tuple(a._indices().unbind(0))] if a.sparse_dim() else dense[None]
        return _map_values(a, lambda v: v * there)
    _same_sizes("mul", a, b)
    torch = _library()
    a, b = a.coalesce(), b.coalesce()
    flat, other = _flat(a), _flat(b)
    if not a._nnz() or not b._nnz():
        both = torch.zeros(a._nnz(), dtype=_C.bool)
        at = torch.zeros(a._nnz(), dtype=_C.int64)
    else:
        at = torch.searchsorted(other, flat).clamp(max=b._nnz() - 1)
        both = other[at] == flat
    values = a._values()[both] * b._values()[at[both]]
    return _like(a, a._indices()[:, both], values, coalesced=True)


def _div(a, b, *, rounding_mode=None):
    if not isinstance(a, Parted) or not _is_number(b):
        raise RuntimeError(
            "Sparse division requires a scalar or zero-dim dense tensor divisor (got "
            f"shape {list(b.shape)} for divisor)"
        )
    whole = a
    if rounding_mode is not None and isinstance(a, SparseTensor):
        whole = a.coalesce()
    return _map_values(whole, lambda v: v.div(b, rounding_mode=rounding_mode))


def _register_arithmetic():
    def add(a, b, *, alpha=1):
        return _add("add", a, b, alpha)

    def sub(a, b, *, alpha=1):
        return _add("sub", a, b, alpha)

    def rsub(a, b, alpha=1):  # b - a
        return _add("sub", b, a, alpha)

    def in_place(function):
        def run(a, b, **kwargs):
            if not isinstance(a, Parted):
                name = "mul_" if function is _mul else f"{function.__name__}_"
                if not isinstance(b, Parted) or name == "_div_":
                    raise NotImplementedError(f"{name}: not supported with sparse")
                return getattr(a, name)(b.to_dense(), **kwargs)
            out = function(a, b, **kwargs)
            to, dtype = a._dtype_of_parts(), out._dtype_of_parts()
            if not _C.can_cast(dtype, to):
                name = "mul" if function is _mul else function.__name__.lstrip("_")
                raise RuntimeError(
                    f"Can't convert result type {_C._scalar_name(dtype)} to output "
                    f"{_C._scalar_name(to)} in {name} operation"
                )
            return a._become(_map_values(out, lambda v: v.to(to)))

        return run

    for names, function in (
        (("add",), add),
        (("sub", "subtract"), sub),
        (("mul", "multiply"), _mul),
        (("div", "divide", "true_divide"), _div),
    ):
        for answer in (_answer, _answer_rows):
            answer(*names, *(f"__{name}__" for name in names))(function)
            answer(*(f"{name}_" for name in names))(in_place(function))
    _answer("rsub", "__rsub__")(rsub)


_register_arithmetic()


@_answer()
@_answer_rows()
def _sum(x, dim=None, keepdim=False, *, dtype=None):
    if dim is not None or keepdim:
        raise NotImplementedError("sum: of dimensions, use torch.sparse.sum")
    values = x.values() if isinstance(x, CompressedRows) else x._values()
    return values.sum(dtype=dtype)


def _product(a, b):
    """Of a sparse matrix and a plain vector or matrix."""
    torch = _library()
    if not isinstance(a, Parted):
        # As the transposed of the transposed ones.
        return _product(_transpose(b, 0, 1), a.t()).t()
    if isinstance(b, Parted):
        return _product(a, b.to_dense()).to_sparse()
    coo = a.to_sparse()
    if coo.sparse_dim() != 2 or coo.dense_dim() or b.dim() not in (1, 2):
        raise RuntimeError(
            f"mm: expected matrices, got {coo.dim()}D and {b.dim()}D tensors"
        )
    (rows, columns), values = coo._indices().unbind(0), coo._values()
    if a._sizes()[1] != b.shape[0]:
        raise RuntimeError(
            f"addmm: Argument #3 (dense): Expected dim 0 size {a._sizes()[1]}, got "
            f"{b.shape[0]}"
        )
    dtype = torch.promote_types(values.dtype, b.dtype)
    terms = (values if b.dim() == 1 else values[:, None]) * b[columns]
    out = torch.zeros((a._sizes()[0], *b.shape[1:]), dtype=dtype)
    return out.index_add(0, rows, terms.to(dtype))


@_answer("mm", "matmul", "mv", "__matmul__", "smm")
@_answer_rows("mm", "matmul", "mv", "__matmul__")
def _matmul(a, b):
    return _product(a, b)


@_answer()
@_answer_rows()
def _addmm(input, mat1, mat2, *, beta=1, alpha=1):
    return beta * input + alpha * _product(mat1, mat2)


@_answer("transpose", "swapaxes", "swapdims")
def _transpose(x, dim0, dim1):
    if isinstance(x, CompressedRows):
        return _transpose(x.to_sparse(), dim0, dim1).to_sparse_csr()
    order = list(range(x.dim()))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    sparse = x.sparse_dim()
    if not x.dim() or order[:sparse] == list(range(sparse)) == order:
        return x
    if any((at < sparse) != (d < sparse) for d, at in enumerate(order)):
        raise RuntimeError(
            f"transpose(): can only transpose sparse dimensions, or dense ones; got "
            f"{dim0} and {dim1} with {sparse} sparse dimensions"
        )
    values = x._values().permute(0, *(d - sparse + 1 for d in order[sparse:]))
    sizes = [x._sizes()[d] for d in order]
    indices = x._indices()[order[:sparse]]
    return _make(indices, values, sizes, coalesced=x._nnz() < 2)


@_answer()
def _t(x):
    if x.sparse_dim() > 2 or x.dense_dim() > 0:
        raise RuntimeError(
            "t() expects a tensor with <= 2 sparse and 0 dense dimensions, but got "
            f"{x.sparse_dim()} sparse and {x.dense_dim()} dense dimensions"
        )
    return x if x.dim() < 2 else _transpose(x, 0, 1)


@_answer_rows("t")
def _t_of_rows(x):
    return _transpose(x, 0, 1)


@_answer("T.__get__")
def _transposed(x):
    return _t(x)


@_answer("select", "__getitem__")
def _select(x, dim, index=None):
    item = index is None  # x[3]
    if item:
        dim, index = 0, dim
    if not isinstance(index, int) or isinstance(index, bool):
        raise NotImplementedError("indices of sparse tensors: only integers yet")
    dim = dim % x.dim()
    size = x._sizes()[dim]
    if not -size <= index < size:
        if item:
            raise IndexError(
                f"index {index} is out of bounds for dimension 0 with size {size}"
            )
        raise IndexError(
            f"select(): index {index} out of range for tensor of size "
            f"{list(x._sizes())} at dimension {dim}"
        )
    index %= size
    sizes = [n for d, n in enumerate(x._sizes()) if d != dim]
    if dim >= x.sparse_dim():
        values = x._values().select(dim - x.sparse_dim() + 1, index)
        return _make(x._indices(), values, sizes, x.is_coalesced())
    kept = x._indices()[dim] == index
    rows = [d for d in range(x.sparse_dim()) if d != dim]
    values = x._values()[kept]
    if not rows:
        return values.sum(0).to(values.dtype)
    return _make(x._indices()[:, kept][rows], values, sizes, x.is_coalesced())


@_answer("cat", "concat", "concatenate")
def _cat(tensors, dim=0):
    torch = _library()
    if not all(isinstance(x, SparseTensor) for x in tensors):
        raise RuntimeError("cat: sparse tensors go with sparse tensors only")
    first = tensors[0]
    dim = dim % first.dim()
    if dim >= first.sparse_dim():
        raise NotImplementedError("cat: along a dense dimension of sparse tensors")
    indices, at = [], 0
    for x in tensors:
        moved = x._indices().clone()
        moved[dim] += at
        indices.append(moved)
        at += x._sizes()[dim]
    sizes = list(first._sizes())
    sizes[dim] = at
    values = torch.cat([x._values() for x in tensors])
    return _make(torch.cat(indices, 1), values, sizes)


@_answer()
@_answer_rows()
def _is_same_size(x, other):
    return x._sizes() == other.shape


@_answer("copy_")
def _copy_(x, source, non_blocking=False):
    return x._become(_map_values(source.to_sparse(), lambda v: v.to(x.dtype)))


@_answer("zero_")
def _zero_(x):
    torch = _library()
    none = torch.zeros((x.sparse_dim(), 0), dtype=_C.int64)
    values = x._values().new_zeros((0, *x._values().shape[1:]))
    return x._become(_like(x, none, values, coalesced=True))


@_answer("zeros_like")
def _zeros_like(x, **options):
    return _zero_(_like(x, x._indices(), x._values()))
