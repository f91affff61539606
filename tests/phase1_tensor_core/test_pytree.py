"""`torch.utils._pytree`: nests, their leaves, their specs and specs as text."""

import re

import pytest
import torch
from torch.utils import _pytree as torch_pytree

import flashlight
from flashlight.utils import _pytree as flashlight_pytree

SETUP = """
import collections, dataclasses
t, v = T.arange(6.0).reshape(2, 3), T.tensor([1.0, 2.0, 3.0])
class My:
    def __init__(self, a, b): self.a = a; self.b = b
    def __repr__(self): return f"My({self.a},{self.b})"
    def __eq__(self, other): return (self.a, self.b) == (other.a, other.b)
    def __hash__(self): return 1
def register(**more):
    def flatten(m): return [m.a, m.b], None
    P.register_pytree_node(My, flatten, lambda c, context: My(*c), **more)
def keys(m): return [(P.GetAttrKey("a"), m.a), (P.GetAttrKey("b"), m.b)], None
@dataclasses.dataclass
class DC:
    a: int
    b: int = 2
NT = collections.namedtuple("NT", "x y")
tree = {
    "a": [1, (2, None)],
    "b": NT(3, {"z": 4}),
    "c": collections.OrderedDict(q=5),
    "d": collections.deque([6], maxlen=3),
    "e": collections.defaultdict(list, {"k": 7}),
}
flat = dict(tree, b=0)
S = P.tree_structure
"""
CASES = """
P.tree_flatten(tree)
S([1, (2, 3)]), str(S({"a": 1})), S(1), S(None), S(())
P.tree_unflatten([1, 2], S([0, 0])), P.tree_unflatten(range(8), S(tree))
P.tree_unflatten([1], S([0, 0]))
P.tree_unflatten([1], 3)
P.tree_map(lambda x: x + 1, [1, (2, {"a": 3})])
P.tree_map(lambda x, y: x + y, [1, (2,)], [3, (4,)])
P.tree_map(lambda x, y: (x, y), [1, {"a": 2}], [(3, 4), {"a": [5]}])
P.tree_map(lambda x, y: x + y, [1, (2,)], [3, 4])
P.tree_map(lambda x, y: x + y, [1, 2], [3])
P.tree_map(lambda x, y: x + y, {"a": 1}, {"b": 1})
P.tree_map_(str, [1]), P.tree_map_only_(int, str, [1])
P.tree_map_only(int, lambda x: x * 2, [1, "a", 2.5])
P.tree_map_only((int, float), lambda x: x * 2, [1, "a", 2.5])
P.tree_map_only(lambda x: x == 1, lambda x: x * 2, [1, "a", 2.5])
P.tree_map_only("a", lambda x: x, [1])
P.tree_map_only(T.Tensor, lambda x: x + 1, {"a": v, "b": 3})
P.tree_all(lambda x: x > 0, [1, 2]), P.tree_any(lambda x: x > 1, [1, 2])
P.tree_all_only(int, lambda x: x > 1, [1, "a"]), P.tree_any_only(int, bool, [1, "a"])
P.tree_leaves(tree), list(P.tree_iter([1, (2,)])), P.arg_tree_leaves(1, [2], a=3)
P.tree_leaves([1, [2]], is_leaf=lambda x: isinstance(x, list) and len(x) == 1)
P.tree_leaves(None), P.tree_leaves(v), P.tree_leaves(())
P.tree_leaves({"b": 1, "a": 2}), P.tree_leaves(collections.OrderedDict(b=1, a=2))
P.tree_flatten_with_path({"a": [1, 2], "b": NT(3, 4)})
P.tree_leaves_with_path([1, (2,)]), P.tree_leaves_with_path(tree)
P.tree_map_with_path(lambda p, x: (P.keystr(p), x), {"a": [1], "b": NT(3, 4)})
P.tree_map_with_path(lambda p, x: x, [])
P.key_get({"a": [1]}, P.tree_flatten_with_path({"a": [1]})[0][0][0])
P.SequenceKey(1), P.MappingKey("a"), P.GetAttrKey("x")
str(P.SequenceKey(1)), str(P.MappingKey("a")), str(P.GetAttrKey("x"))
P.SequenceKey(1).get([5, 6]), P.MappingKey("a").get({"a": 3})
P.GetAttrKey("real").get(3)
P.treespec_dumps(S([1, (2, {"a": 3})])), P.treespec_dumps(S(flat))
P.treespec_loads(P.treespec_dumps(S(flat))), P.treespec_loads(P.treespec_dumps(S(1)))
P.treespec_loads(P.treespec_dumps(S(flat))) == S(flat)
P.treespec_dumps(S(tree))
P.treespec_dumps(3)
P.treespec_pprint(S([1, {"a": (2,)}]))
S([1, 2]) == S((1, 2)), S([1, 2]) == S([3, 4]), hash(S([1])) == hash(S([2]))
S(tree).num_leaves, S(tree).num_nodes, S(tree).num_children, S(tree).is_leaf()
S(tree).type, S(tree).context, S([1, (2,)]).children(), S([1, 2]).child(0)
P.LeafSpec(), P.LeafSpec().is_leaf(), P.LeafSpec() == P.LeafSpec()
P.TreeSpec(list, None, [P.LeafSpec()])
P.treespec_tuple([S(1)]), P.treespec_dict(a=S(1))
S([1, (2,)]).flatten_up_to([3, (4,)]), S([1, 2]).flatten_up_to([3, (4,)])
S([1, (2,)]).flatten_up_to([3])
S([1, (2,)]).flatten_up_to((3, (4,)))
S({"a": 1}).flatten_up_to({"b": 1})
S([1, 2]).unflatten([5, 6]), S([1, 2]).unflatten(x for x in [5, 6])
S([1, 2]).unflatten([5])
!register(); r = P.tree_flatten(My(1, [2])), P.tree_map(lambda x: x + 1, My(1, [2]))
!register(serialized_type_name="my"); r = P.treespec_dumps(S(My(1, 2)))
!register(serialized_type_name="m"); r = P.treespec_loads(P.treespec_dumps(S(My(1, 2))))
!register(); register()
!register(); P.treespec_dumps(S(My(1, 2)))
!register(flatten_with_keys_fn=keys); r = P.tree_flatten_with_path(My(1, [2]))
!register(); P.tree_flatten_with_path(My(1, 2))
!P.register_dataclass(DC); r = P.tree_flatten(DC(1, 3)), P.tree_map(str, DC(1, 3))
!P.register_dataclass(DC); r = P.tree_flatten_with_path(DC(1, 3))[0]
!P.register_dataclass(DC, field_names=["a"], drop_field_names=["b"]); r = S(DC(1, 3))
P.register_dataclass(int)
!C = type("C", (My,), {}); P.register_constant(C); r = P.tree_flatten([C(1, 2), 3])
!class C: pass
P.tree_is_leaf(1), P.tree_is_leaf([]), P.tree_is_leaf(v), P.tree_is_leaf(None)
P.is_namedtuple(NT(1, 2)), P.is_namedtuple((1, 2)), P.is_namedtuple_class(NT)
P.is_structseq(T.max(t, 0)), P.is_structseq_class(type(T.max(t, 0)))
P.tree_flatten(T.max(t, 0))[0], P.tree_map(lambda x: x + 1, T.max(t, 0))
type(P.tree_map(lambda x: x, T.max(t, 0)))
P.tree_map(lambda x: x, T.Size([1, 2]))
P._broadcast_to_and_flatten(1, S([1, [2, 3]]))
P._broadcast_to_and_flatten([1, 2], S([1, [2, 3]]))
P._broadcast_to_and_flatten([1, [2]], S([1, [2, 3]]))
sorted(P.__all__)
"""


def outcome(library, pytree, text):
    names = {"T": library, "P": pytree, "__name__": "__main__"}
    exec(SETUP, names)
    try:
        if text.startswith("!"):
            names["r"] = None
            exec(text[1:], names)
            value = names["r"]
        else:
            value = eval(text, names)
        said = repr(value)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    finally:
        for cls in (names["My"], names["DC"]):
            if cls in pytree.SUPPORTED_NODES:
                pytree._deregister_pytree_node(cls)
    return re.sub(r"0x[0-9a-f]+", "0x", said.replace("flashlight", "torch"))


@pytest.mark.parity
@pytest.mark.parametrize("line", CASES.strip().splitlines())
def test_line(line):
    theirs = outcome(torch, torch_pytree, line)
    assert outcome(flashlight, flashlight_pytree, line) == theirs
