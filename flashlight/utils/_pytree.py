"""Nests of lists, tuples, dicts and registered classes: their leaves and their shape.

A nest is flattened to the list of its leaves and a ``TreeSpec``; of that and as many
leaves an equal nest is made again.
"""

import collections
import dataclasses
import functools
import importlib
import json
from typing import Any, Callable, NamedTuple

__all__ = [
    "Context",
    "DumpableContext",
    "FlattenFn",
    "FromDumpableContextFn",
    "LeafSpec",
    "PyTree",
    "PyTreeSpec",
    "ToDumpableContextFn",
    "TreeSpec",
    "UnflattenFn",
    "is_namedtuple",
    "is_namedtuple_class",
    "is_namedtuple_instance",
    "is_structseq",
    "is_structseq_class",
    "is_structseq_instance",
    "key_get",
    "keystr",
    "register_pytree_node",
    "tree_all",
    "tree_all_only",
    "tree_any",
    "tree_any_only",
    "tree_flatten",
    "tree_flatten_with_path",
    "tree_is_leaf",
    "tree_iter",
    "tree_leaves",
    "tree_leaves_with_path",
    "tree_map",
    "tree_map_",
    "tree_map_only",
    "tree_map_only_",
    "tree_map_with_path",
    "tree_structure",
    "tree_unflatten",
    "treespec_dumps",
    "treespec_loads",
    "treespec_pprint",
]

PyTree = Context = DumpableContext = Any
FlattenFn = UnflattenFn = ToDumpableContextFn = FromDumpableContextFn = Callable


# --- keys of a path ---


@dataclasses.dataclass(frozen=True)
class SequenceKey:
    """An item of a sequence, by its index."""

    idx: int

    def __str__(self):
        return f"[{self.idx!r}]"

    def get(self, sequence):
        """The item."""
        return sequence[self.idx]


@dataclasses.dataclass(frozen=True)
class MappingKey:
    """An item of a mapping, by its key."""

    key: Any

    def __str__(self):
        return f"[{self.key!r}]"

    def get(self, mapping):
        """The item."""
        return mapping[self.key]


@dataclasses.dataclass(frozen=True)
class GetAttrKey:
    """An attribute, by its name."""

    name: str

    def __str__(self):
        return f".{self.name}"

    def get(self, obj):
        """The attribute."""
        return getattr(obj, self.name)


def keystr(kp):
    """A path as one would write it: ``"['a'][0].x"``."""
    return "".join(map(str, kp))


def key_get(obj, kp):
    """What is at that path of a nest."""
    for key in kp:
        obj = key.get(obj)
    return obj


# --- kinds of tuples ---


def is_namedtuple_class(cls):
    """Whether it is a class that ``namedtuple`` made, or of one."""
    fields = getattr(cls, "_fields", None)
    return (
        isinstance(cls, type)
        and issubclass(cls, tuple)
        and isinstance(fields, tuple)
        and all(isinstance(field, str) for field in fields)
        and callable(getattr(cls, "_make", None))
        and callable(getattr(cls, "_asdict", None))
    )


def is_namedtuple_instance(obj):
    """Whether it is a named tuple."""
    return is_namedtuple_class(type(obj))


def is_namedtuple(obj):
    """Whether it is a named tuple or the class of one."""
    return is_namedtuple_class(obj if isinstance(obj, type) else type(obj))


def is_structseq_class(cls):
    """Whether it is a class as of the results of ``max``: a tuple with names."""
    return (
        isinstance(cls, type)
        and issubclass(cls, tuple)
        and isinstance(getattr(cls, "n_sequence_fields", None), int)
        and isinstance(getattr(cls, "n_fields", None), int)
    )


def is_structseq_instance(obj):
    """Whether it is such a result."""
    return is_structseq_class(type(obj))


def is_structseq(obj):
    """Whether it is such a result or the class of one."""
    return is_structseq_class(obj if isinstance(obj, type) else type(obj))


# --- what is a node ---


class NodeDef(NamedTuple):
    """How a class is taken apart and put together."""

    type: type
    flatten_fn: Callable
    unflatten_fn: Callable
    flatten_with_keys_fn: Any = None


class _Serialization(NamedTuple):
    name: Any
    dump: Any
    load: Any


SUPPORTED_NODES = {}
CONSTANT_NODES = set()
_serialized = {}
_class_of_name = {}


def register_pytree_node(
    cls,
    flatten_fn,
    unflatten_fn,
    *,
    serialized_type_name=None,
    to_dumpable_context=None,
    from_dumpable_context=None,
    flatten_with_keys_fn=None,
):
    """Let instances of a class be nodes of a nest.

    Args:
        cls: The class.
        flatten_fn: Gives the list of children of an instance, and a context.
        unflatten_fn: Makes an instance from children and context.
        serialized_type_name: The name in dumps of specs.
        to_dumpable_context, from_dumpable_context: Of the context, for JSON and back.
        flatten_with_keys_fn: As ``flatten_fn``, with a list of (key, child).

    Raises:
        ValueError: The class is registered already.
    """
    if cls in SUPPORTED_NODES:
        raise ValueError(f"{cls} is already registered as pytree node.")
    _register(
        cls,
        flatten_fn,
        unflatten_fn,
        flatten_with_keys_fn,
        serialized_type_name,
        to_dumpable_context,
        from_dumpable_context,
    )


def _register_pytree_node(
    cls, flatten_fn, unflatten_fn, to_str_fn=None, maybe_from_str_fn=None, **names
):
    register_pytree_node(cls, flatten_fn, unflatten_fn, **names)


def _register(cls, flatten, unflatten, with_keys, name=None, dump=None, load=None):
    if (dump is None) != (load is None):
        raise ValueError(
            f"Both to_dumpable_context and from_dumpable_context for {cls} must be "
            "None or registered."
        )
    SUPPORTED_NODES[cls] = NodeDef(cls, flatten, unflatten, with_keys)
    _serialized[cls] = _Serialization(name, dump, load)
    if name is not None:
        _class_of_name[name] = cls


def _deregister_pytree_node(cls):
    del SUPPORTED_NODES[cls]
    _class_of_name.pop(_serialized.pop(cls).name, None)
    CONSTANT_NODES.discard(cls)


_private_register_pytree_node = _register_pytree_node


def register_dataclass(
    cls, *, field_names=None, drop_field_names=None, serialized_type_name=None
):
    """Let a dataclass be a node: its fields are the children.

    Args:
        cls: The class.
        field_names: The fields that are children; all that ``__init__`` takes if
            absent.
        drop_field_names: Fields that are no children and take their defaults.
        serialized_type_name: The name in dumps of specs.
    """
    drop = set(drop_field_names or ())
    if dataclasses.is_dataclass(cls):
        own = [f.name for f in dataclasses.fields(cls) if f.init]
        if field_names is None:
            field_names = [name for name in own if name not in drop]
        elif set(field_names) | drop != set(own):
            missing, extra = set(own) - set(field_names) - drop, set(field_names)
            message = "field_names does not include all dataclass fields.\n"
            if missing:
                message += f"Missing fields in `field_names`: {missing}. If you want "
                message += "to include these fields in the pytree, please add them to "
                message += "`field_names`, otherwise please add them to "
                message += "`drop_field_names`.\n"
            if extra - set(own):
                message += "Fields in `field_names` that are not dataclass fields or "
                message += f"are dropped: {extra - set(own)}.\n"
            raise ValueError(message)
    elif field_names is None:
        raise ValueError(
            "field_names must be specified with a list of all fields used to "
            f"initialize {cls}, as it is not a dataclass."
        )

    def split(obj):
        present = [name for name in field_names if getattr(obj, name) is not None]
        absent = [name for name in field_names if getattr(obj, name) is None]
        return present, [present, absent]

    def flatten(obj):
        present, context = split(obj)
        return [getattr(obj, name) for name in present], context

    def with_keys(obj):
        present, context = split(obj)
        return [(GetAttrKey(name), getattr(obj, name)) for name in present], context

    def unflatten(children, context):
        present, absent = context
        return cls(**dict(zip(present, children)), **dict.fromkeys(absent))

    if serialized_type_name is None:
        serialized_type_name = f"{cls.__module__}.{cls.__qualname__}"
    register_pytree_node(
        cls,
        flatten,
        unflatten,
        serialized_type_name=serialized_type_name,
        flatten_with_keys_fn=with_keys,
    )


@dataclasses.dataclass(frozen=True)
class ConstantNode:
    """The context of an instance of a constant class: itself."""

    value: Any


def register_constant(cls):
    """Let instances of a class be nodes without children, part of the spec.

    Raises:
        TypeError: The class compares by identity, or cannot be hashed.
    """
    if cls.__eq__ is object.__eq__:
        raise TypeError(
            "register_constant(cls) expects `cls` to have a non-default `__eq__` "
            "implementation."
        )
    if cls.__hash__ is None:
        raise TypeError(
            "register_constant(cls) expects `cls` to have a non-default `__hash__` "
            "implementation."
        )
    register_pytree_node(
        cls,
        lambda x: ([], ConstantNode(x)),
        lambda children, context: context.value,
        flatten_with_keys_fn=lambda x: ([], ConstantNode(x)),
    )
    CONSTANT_NODES.add(cls)


def is_constant_class(cls):
    """Whether it went through ``register_constant``."""
    return isinstance(cls, type) and cls in CONSTANT_NODES


def _register_namedtuple(cls, *, serialized_type_name):
    """The name of a named tuple's class in dumps of specs."""
    _serialized[cls] = _Serialization(serialized_type_name, None, None)
    _class_of_name[serialized_type_name] = cls


def _by_index(flatten):
    def with_keys(x):
        children, context = flatten(x)
        return [(SequenceKey(i), c) for i, c in enumerate(children)], context

    return with_keys


def _register_sequence(cls, flatten, unflatten, name, dump=None, load=None):
    _register(cls, flatten, unflatten, _by_index(flatten), name, dump, load)


def _register_mapping(cls, flatten, unflatten, keys_of, name, dump=None, load=None):
    def with_keys(x):
        children, context = flatten(x)
        keys = map(MappingKey, keys_of(context))
        return list(zip(keys, children)), context

    _register(cls, flatten, unflatten, with_keys, name, dump, load)


def _named_name(cls):
    found = _serialized.get(cls)
    if found is None:
        raise NotImplementedError(
            f"Can't serialize TreeSpec of namedtuple class {cls} because we didn't "
            "register a serializated_type_name. Please register using "
            "`_register_namedtuple`."
        )
    return found.name


def _register_builtins():
    _register_sequence(
        tuple, lambda x: (list(x), None), lambda c, _: tuple(c), "builtins.tuple"
    )
    _register_sequence(list, lambda x: (x, None), lambda c, _: list(c), "builtins.list")
    _register_sequence(
        collections.deque,
        lambda x: (list(x), x.maxlen),
        lambda c, maxlen: collections.deque(c, maxlen),
        "collections.deque",
    )
    _register_mapping(
        dict,
        lambda x: (list(x.values()), list(x)),
        lambda c, keys: dict(zip(keys, c)),
        lambda keys: keys,
        "builtins.dict",
    )
    _register_mapping(
        collections.OrderedDict,
        lambda x: (list(x.values()), list(x)),
        lambda c, keys: collections.OrderedDict(zip(keys, c)),
        lambda keys: keys,
        "collections.OrderedDict",
    )
    _register_mapping(
        collections.defaultdict,
        lambda x: (list(x.values()), [x.default_factory, list(x)]),
        lambda c, context: collections.defaultdict(context[0], zip(context[1], c)),
        lambda context: context[1],
        "collections.defaultdict",
        lambda context: {
            "default_factory_module": context[0].__module__,
            "default_factory_name": context[0].__qualname__,
            "dict_context": context[1],
        },
        lambda dumped: [
            getattr(
                importlib.import_module(dumped["default_factory_module"]),
                dumped["default_factory_name"],
            ),
            dumped["dict_context"],
        ],
    )
    _register(
        collections.namedtuple,
        lambda x: (list(x), type(x)),
        lambda c, cls: cls(*c),
        lambda x: ([(GetAttrKey(f), getattr(x, f)) for f in x._fields], type(x)),
        "collections.namedtuple",
        _named_name,
        lambda name: _class_of_name[name],
    )


_register_builtins()
BUILTIN_TYPES = frozenset(SUPPORTED_NODES)
_MAPPINGS = (dict, collections.OrderedDict, collections.defaultdict)


def _keys_of(kind, context):
    return context[1] if kind is collections.defaultdict else context


def _node_type(x):
    cls = type(x)
    if cls in SUPPORTED_NODES:
        return cls
    if is_namedtuple_class(cls):
        return collections.namedtuple
    # A result such as torch.return_types.max; torch.Size is a leaf's kin, a tuple.
    if is_structseq_class(cls):
        return cls
    return None


def _structseq_node(cls):
    def flatten(x):
        return list(x), None

    return NodeDef(cls, flatten, lambda c, _: cls(c), _by_index(flatten))


def _node(x):
    """The NodeDef of a value, or None: it is a leaf."""
    cls = _node_type(x)
    if cls is None:
        return _size_node(x)
    return SUPPORTED_NODES.get(cls) or _structseq_node(cls)


def _size_node(x):
    from flashlight._size import Size

    return SUPPORTED_NODES[tuple] if type(x) is Size else None


def tree_is_leaf(tree, is_leaf=None):
    """Whether it is no node."""
    return (is_leaf is not None and is_leaf(tree)) or _node(tree) is None


# --- specs ---


class TreeSpec:
    """The shape of a nest.

    Attributes:
        type: The class of the node; None for a leaf.
        context: What it needs beside its children.
        num_leaves, num_nodes, num_children: Counts.
    """

    def __init__(self, type, context, children_specs):
        self.type, self.context = type, context
        self._children = list(children_specs)
        leaf = type is None
        self.num_children = len(self._children)
        self.num_nodes = 1 + sum(c.num_nodes for c in self._children)
        self.num_leaves = 1 if leaf else sum(c.num_leaves for c in self._children)

    @property
    def children_specs(self):
        """The specs of the children."""
        return list(self._children)

    def children(self):
        """The specs of the children."""
        return list(self._children)

    def child(self, index):
        """The spec of one child."""
        return self._children[index]

    def is_leaf(self):
        """Whether it stands for one leaf."""
        return self.num_nodes == 1 and self.num_leaves == 1

    def _key(self):
        return self.type, self.context, self._children

    def __eq__(self, other):
        if not isinstance(other, TreeSpec):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self):
        context = self.context
        if isinstance(context, list):
            context = tuple(context)
        try:
            context = hash(context)
        except TypeError:  # keys and a factory, or of a registered class
            context = 0
        return hash((self.type, context, tuple(self._children)))

    def __repr__(self, indent=0):
        if self.type is None:
            return "*"
        space = " " * (indent + 2)
        head = f"TreeSpec({self.type.__name__}, {self.context}, ["
        children = [c.__repr__(indent + 2) for c in self._children]
        return head + f",\n{space}".join(children) + "])"

    def unflatten(self, leaves):
        """The nest of this shape with these leaves."""
        leaves = list(leaves)
        if len(leaves) != self.num_leaves:
            raise ValueError(
                "treespec.unflatten(leaves): `leaves` has length "
                f"{len(leaves)} but the spec refers to a pytree that holds "
                f"{self.num_leaves} items ({self})."
            )
        return self._take(iter(leaves))

    def _take(self, leaves):
        if self.type is None:
            return next(leaves)
        children = [c._take(leaves) for c in self._children]
        node = SUPPORTED_NODES.get(self.type) or _structseq_node(self.type)
        return node.unflatten_fn(children, self.context)

    def flatten_up_to(self, tree):
        """What a nest, which may go on below the leaves of this spec, has there.

        Raises:
            ValueError: The nest is not of this shape above the leaves.
        """
        found = []
        self._flatten_up_to(tree, found)
        return found

    def _flatten_up_to(self, tree, found):
        if self.type is None:
            found.append(tree)
            return
        node = _node(tree)
        kind = node.type if node else type(tree)
        both = self.type in _MAPPINGS and kind in _MAPPINGS
        if kind is not self.type and not both:
            raise ValueError(
                f"Node type mismatch; expected {self.type!r}, but got {kind!r}."
            )
        children, context = node.flatten_fn(tree)
        if len(children) != self.num_children:
            raise ValueError(
                f"Node arity mismatch; expected {self.num_children}, but got "
                f"{len(children)}."
            )
        if both:
            expected = _keys_of(self.type, self.context)
            missing = set(expected) - set(tree)
            extra = set(tree) - set(expected)
            if missing or extra:
                message = "Node keys mismatch"
                message += f"; missing key(s): {missing}" if missing else ""
                message += f"; extra key(s): {extra}" if extra else ""
                raise ValueError(message + ".")
            children = [tree[key] for key in expected]
        elif context != self.context and self.type is not collections.deque:
            what = "named tuple " if self.type is collections.namedtuple else ""
            raise ValueError(
                f"Node context mismatch for {what or 'custom '}node type"
                f"{'' if what else f' {self.type!r}'}; expected {self.context!r}, but "
                f"got {context!r}."
            )
        for spec, child in zip(self._children, children):
            spec._flatten_up_to(child, found)


class _LeafType(type):
    def __call__(cls):
        return _LEAF

    def __instancecheck__(cls, instance):
        return isinstance(instance, TreeSpec) and instance.is_leaf()


class LeafSpec(metaclass=_LeafType):
    """The spec of a leaf."""


_LEAF = TreeSpec(None, None, [])
PyTreeSpec = TreeSpec


def treespec_leaf():
    """The spec of a leaf."""
    return _LEAF


def treespec_tuple(iterable=(), /):
    """The spec of a tuple with children of these specs."""
    return TreeSpec(tuple, None, iterable)


def treespec_list(iterable=(), /):
    """The spec of a list with children of these specs."""
    return TreeSpec(list, None, iterable)


def treespec_dict(mapping=(), /, **kwargs):
    """The spec of a dict with children of these specs."""
    specs = dict(mapping, **kwargs)
    return TreeSpec(dict, list(specs), specs.values())


def _check_spec(treespec):
    if not isinstance(treespec, TreeSpec):
        raise TypeError(
            "Expected `treespec` to be an instance of PyTreeSpec but got item of type "
            f"{type(treespec)}."
        )


# --- flattening ---


def _flatten(tree, leaves, is_leaf):
    node = None if is_leaf is not None and is_leaf(tree) else _node(tree)
    if node is None:
        leaves.append(tree)
        return _LEAF
    children, context = node.flatten_fn(tree)
    specs = [_flatten(child, leaves, is_leaf) for child in children]
    return TreeSpec(node.type, context, specs)


def tree_flatten(tree, is_leaf=None):
    """(leaves, spec) of a nest; ``is_leaf`` says of what is to be a leaf all the same.

    Example:
        >>> from flashlight.utils import _pytree
        >>> _pytree.tree_flatten([1, (2, 3)])[0]
        [1, 2, 3]
    """
    leaves = []
    spec = _flatten(tree, leaves, is_leaf)
    return leaves, spec


def tree_unflatten(leaves, treespec):
    """The nest that a spec and leaves describe."""
    _check_spec(treespec)
    return treespec.unflatten(leaves)


def tree_iter(tree, is_leaf=None):
    """The leaves, one by one."""
    node = None if is_leaf is not None and is_leaf(tree) else _node(tree)
    if node is None:
        yield tree
        return
    for child in node.flatten_fn(tree)[0]:
        yield from tree_iter(child, is_leaf)


def tree_leaves(tree, is_leaf=None):
    """The leaves, as a list."""
    return list(tree_iter(tree, is_leaf))


def tree_structure(tree, is_leaf=None):
    """The spec."""
    return tree_flatten(tree, is_leaf)[1]


def arg_tree_leaves(*args, **kwargs):
    """The leaves of arguments and keyword arguments."""
    return tree_leaves((*args, *kwargs.values()))


def tree_map(func, tree, *rests, is_leaf=None):
    """A nest of this shape with ``func`` of each leaf, and of its like in ``rests``."""
    leaves, spec = tree_flatten(tree, is_leaf)
    others = [spec.flatten_up_to(rest) for rest in rests]
    return spec.unflatten(map(func, leaves, *others))


def tree_map_(func, tree, *rests, is_leaf=None):
    """Call ``func`` for each leaf and return the nest itself."""
    leaves, spec = tree_flatten(tree, is_leaf)
    others = [spec.flatten_up_to(rest) for rest in rests]
    for _ in map(func, leaves, *others):
        pass
    return tree


def map_only(type_or_types_or_pred, /):
    """A decorator: the function is of leaves of these types, others stay."""
    fits = _predicate(type_or_types_or_pred)

    def decorate(func):
        @functools.wraps(func)
        def mapped(x):
            return func(x) if fits(x) else x

        return mapped

    return decorate


def _predicate(types):
    union = type(int | str)
    if isinstance(types, (type, tuple, union)):
        return lambda x: isinstance(x, types)
    if callable(types):
        return types
    raise TypeError("Argument must be a type, a tuple of types, or a callable.")


def tree_map_only(type_or_types_or_pred, /, func, tree, is_leaf=None):
    """The same, of leaves of these types (or that a function picks); others stay."""
    return tree_map(map_only(type_or_types_or_pred)(func), tree, is_leaf=is_leaf)


def tree_map_only_(type_or_types_or_pred, /, func, tree, is_leaf=None):
    """Call ``func`` for leaves of these types and return the nest itself."""
    return tree_map_(map_only(type_or_types_or_pred)(func), tree, is_leaf=is_leaf)


def tree_all(pred, tree, is_leaf=None):
    """Whether ``pred`` holds for all leaves."""
    return all(map(pred, tree_iter(tree, is_leaf)))


def tree_any(pred, tree, is_leaf=None):
    """Whether ``pred`` holds for some leaf."""
    return any(map(pred, tree_iter(tree, is_leaf)))


def tree_all_only(type_or_types, /, pred, tree, is_leaf=None):
    """Whether ``pred`` holds for all leaves of these types."""
    leaves = tree_iter(tree, is_leaf)
    return all(pred(x) for x in leaves if isinstance(x, type_or_types))


def tree_any_only(type_or_types, /, pred, tree, is_leaf=None):
    """Whether ``pred`` holds for some leaf of these types."""
    leaves = tree_iter(tree, is_leaf)
    return any(pred(x) for x in leaves if isinstance(x, type_or_types))


def _broadcast_to_and_flatten(tree, treespec, is_leaf=None):
    """The leaves of ``tree``, each as often as the spec has leaves there; or None."""
    _check_spec(treespec)
    node = None if is_leaf is not None and is_leaf(tree) else _node(tree)
    if node is None:
        return [tree] * treespec.num_leaves
    if node.type is not treespec.type:
        return None
    children, context = node.flatten_fn(tree)
    if len(children) != treespec.num_children or context != treespec.context:
        return None
    found = []
    for child, spec in zip(children, treespec.children()):
        flat = _broadcast_to_and_flatten(child, spec, is_leaf)
        if flat is None:
            return None
        found += flat
    return found


# --- with paths ---


def _with_path(path, tree, is_leaf):
    node = None if is_leaf is not None and is_leaf(tree) else _node(tree)
    if node is None:
        yield path, tree
        return
    if node.flatten_with_keys_fn is None:
        raise ValueError(
            f"Did not find a flatten_with_keys_fn for type: {node.type}. Please pass a "
            "flatten_with_keys_fn argument to register_pytree_node."
        )
    for key, child in node.flatten_with_keys_fn(tree)[0]:
        yield from _with_path((*path, key), child, is_leaf)


def tree_leaves_with_path(tree, is_leaf=None):
    """A list of (path, leaf); a path is a tuple of keys."""
    return list(_with_path((), tree, is_leaf))


def tree_flatten_with_path(tree, is_leaf=None):
    """(list of (path, leaf), spec)."""
    spec = tree_structure(tree, is_leaf)
    return tree_leaves_with_path(tree, is_leaf), spec


def tree_map_with_path(func, tree, *rests, is_leaf=None):
    """As ``tree_map``; ``func`` is given the path first."""
    found, spec = tree_flatten_with_path(tree, is_leaf)
    others = [spec.flatten_up_to(rest) for rest in rests]
    paths, leaves = zip(*found) if found else ((), ())
    return spec.unflatten(map(func, paths, leaves, *others))


# --- specs as text ---

DEFAULT_TREESPEC_SERIALIZATION_PROTOCOL = 1


def _dump(spec):
    if spec.type is None:
        return {"type": None, "context": None, "children_spec": []}
    how = _serialized.get(spec.type)
    if how is None:
        raise NotImplementedError(
            f"Serializing {spec.type} in pytree is not registered."
        )
    if how.name is None:
        raise NotImplementedError(
            f"No registered serialization name for {spec.type} found. Please update "
            "your _register_pytree_node call with a `serialized_type_name` kwarg."
        )
    if how.dump is None:
        try:
            context = json.dumps(spec.context)
        except TypeError as error:
            raise TypeError(
                "Unable to serialize context. Please make the context json dump-able, "
                "or register a custom serializer using _register_pytree_node."
            ) from error
    else:
        context = how.dump(spec.context)
    children = [_dump(child) for child in spec.children()]
    return {"type": how.name, "context": context, "children_spec": children}


def treespec_dumps(treespec, protocol=None):
    """The spec as JSON."""
    _check_spec(treespec)
    if protocol is None:
        protocol = DEFAULT_TREESPEC_SERIALIZATION_PROTOCOL
    if protocol != DEFAULT_TREESPEC_SERIALIZATION_PROTOCOL:
        raise ValueError(
            f"Unknown protocol {protocol}. Available protocols: "
            f"{[DEFAULT_TREESPEC_SERIALIZATION_PROTOCOL]}"
        )
    return json.dumps((protocol, _dump(treespec)))


def _load(dumped):
    name = dumped["type"]
    if name is None:
        return _LEAF
    if name not in _class_of_name:
        raise NotImplementedError(f"Deserializing {name} in pytree is not registered.")
    cls = _class_of_name[name]
    load = _serialized[cls].load or json.loads
    children = [_load(child) for child in dumped["children_spec"]]
    return TreeSpec(cls, load(dumped["context"]), children)


def treespec_loads(serialized):
    """The spec that ``treespec_dumps`` wrote."""
    protocol, dumped = json.loads(serialized)
    if protocol != DEFAULT_TREESPEC_SERIALIZATION_PROTOCOL:
        raise ValueError(
            f"Unknown protocol {protocol}. Available protocols: "
            f"{[DEFAULT_TREESPEC_SERIALIZATION_PROTOCOL]}"
        )
    return _load(dumped)


class _Star:
    def __repr__(self):
        return "*"


def treespec_pprint(treespec):
    """The nest with stars for leaves, as text."""
    return repr(tree_unflatten([_Star()] * treespec.num_leaves, treespec))
