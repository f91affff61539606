"""Nested lists, tuples and dicts as a list of leaves and the shape of the nest."""

import collections
import dataclasses
import functools


@dataclasses.dataclass(frozen=True)
class TreeSpec:
    """The shape of a nest: its type, what it needs beside its items, and theirs."""

    type: object
    context: object
    children_specs: tuple

    @property
    def num_leaves(self):
        """How many leaves there are below."""
        if self.type is None:
            return 1
        return sum(s.num_leaves for s in self.children_specs)

    def is_leaf(self):
        """Whether it stands for one leaf."""
        return self.type is None


LeafSpec = functools.partial(TreeSpec, None, None, ())


def _named(cls):
    return issubclass(cls, tuple) and hasattr(cls, "_fields")


def _returned(cls):
    # Results such as torch.return_types.max.
    return issubclass(cls, tuple) and hasattr(cls, "n_sequence_fields")


# Type -> (items and context of a value, value of items and context).
_NODES = {
    list: (lambda x: (x, None), lambda items, _: list(items)),
    tuple: (lambda x: (x, None), lambda items, _: tuple(items)),
    dict: (
        lambda x: (list(x.values()), tuple(x)),
        lambda items, keys: dict(zip(keys, items)),
    ),
    collections.OrderedDict: (
        lambda x: (list(x.values()), tuple(x)),
        lambda items, keys: collections.OrderedDict(zip(keys, items)),
    ),
    collections.defaultdict: (
        lambda x: (list(x.values()), (x.default_factory, tuple(x))),
        lambda items, c: collections.defaultdict(c[0], zip(c[1], items)),
    ),
    collections.deque: (
        lambda x: (list(x), x.maxlen),
        lambda items, maxlen: collections.deque(items, maxlen),
    ),
}


def register_pytree_node(cls, flatten_fn, unflatten_fn, **names):
    """Let values of a class be nests.

    Args:
        cls: The class.
        flatten_fn: Gives ``(items, context)`` of a value.
        unflatten_fn: Makes a value of ``(items, context)``.
    """
    if cls in _NODES:
        raise ValueError(f"{cls} is already registered as pytree node.")
    _NODES[cls] = (flatten_fn, unflatten_fn)


_register_pytree_node = _private_register_pytree_node = register_pytree_node


def _node(x):
    cls = type(x)
    if cls in _NODES:
        return _NODES[cls]
    if _named(cls):
        return (lambda x: (list(x), cls), lambda items, cls: cls(*items))
    if _returned(cls):
        return (lambda x: (list(x), cls), lambda items, cls: cls(items))
    return None


def _flatten(x, leaves, is_leaf):
    node = None if is_leaf and is_leaf(x) else _node(x)
    if node is None:
        leaves.append(x)
        return LeafSpec()
    items, context = node[0](x)
    specs = tuple(_flatten(i, leaves, is_leaf) for i in items)
    return TreeSpec(type(x), context, specs)


def tree_flatten(tree, is_leaf=None):
    """The leaves of a nest, in order, and its shape."""
    leaves = []
    spec = _flatten(tree, leaves, is_leaf)
    return leaves, spec


def _unflatten(leaves, spec):
    if spec.is_leaf():
        return next(leaves)
    items = [_unflatten(leaves, s) for s in spec.children_specs]
    if spec.type in _NODES:
        return _NODES[spec.type][1](items, spec.context)
    return spec.type(*items) if _named(spec.type) else spec.type(items)


def tree_unflatten(leaves, treespec):
    """A nest of that shape with these leaves."""
    leaves = list(leaves)
    if len(leaves) != treespec.num_leaves:
        raise ValueError(
            f"tree_unflatten(leaves, treespec): `leaves` has length {len(leaves)} but "
            f"the spec refers to a pytree that holds {treespec.num_leaves} items"
        )
    return _unflatten(iter(leaves), treespec)


def tree_leaves(tree, is_leaf=None):
    """The leaves of a nest, in order."""
    return tree_flatten(tree, is_leaf)[0]


tree_iter = tree_leaves


def tree_structure(tree, is_leaf=None):
    """The shape of a nest."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func, tree, *rests, is_leaf=None):
    """A nest of the same shape with ``func`` of each leaf (and of those of `rests`)."""
    leaves, spec = tree_flatten(tree, is_leaf)
    others = []
    for rest in rests:
        more, shape = tree_flatten(rest, is_leaf)
        if shape != spec:
            raise ValueError(f"tree_map(): {shape} is not of the shape of {spec}")
        others.append(more)
    return tree_unflatten([func(*row) for row in zip(leaves, *others)], spec)


def tree_map_(func, tree, *rests, is_leaf=None):
    """Call ``func`` on each leaf; the nest itself comes back."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def tree_map_only(types, func, tree=None, is_leaf=None):
    """The nest with ``func`` of those leaves that are of a type (or pass a test)."""
    if isinstance(types, type) or isinstance(types, tuple):
        wanted = lambda x: isinstance(x, types)  # noqa: E731
    else:
        wanted = types
    return tree_map(lambda x: func(x) if wanted(x) else x, tree, is_leaf=is_leaf)


def tree_any(pred, tree, is_leaf=None):
    """Whether ``pred`` holds for a leaf."""
    return any(map(pred, tree_leaves(tree, is_leaf)))


def tree_all(pred, tree, is_leaf=None):
    """Whether ``pred`` holds for all leaves."""
    return all(map(pred, tree_leaves(tree, is_leaf)))


def tree_all_only(types, pred, tree, is_leaf=None):
    """Whether ``pred`` holds for all leaves of a type."""
    return all(pred(x) for x in tree_leaves(tree, is_leaf) if isinstance(x, types))


def arg_tree_leaves(*args, **kwargs):
    """The leaves of the arguments of a call."""
    return tree_leaves([*args, *kwargs.values()])
