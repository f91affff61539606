"""torch.utils.weak: keys by identity, held weakly, as PyTorch's."""

import copy
import importlib

import pytest
from comparing import Scripts, compare_scripts

script = Scripts()


def weak(t):
    return importlib.import_module(f"{t.__name__}.utils.weak")


@script
def entries(t, log, fails):
    seen = weak(t).WeakIdKeyDictionary()
    x, y = t.ones(2), t.ones(2)
    seen[x], seen[y] = "x", "y"
    log(seen[x], seen[y], len(seen), x in seen, t.ones(2) in seen, 3 in seen)
    with pytest.raises(KeyError):  # its text is an address
        seen[t.ones(2)]
    log(seen.get(t.ones(2), 7), seen.setdefault(x, 1), seen.pop(t.ones(2), 8))
    log(list(seen.values()), [k is x for k in seen], len(seen.keyrefs()))
    view = x[0]
    seen[view] = "view"
    log(len(seen))
    del view, y
    log(len(seen), list(seen.values()))
    key, value = seen.popitem()
    log(key is x, value, len(seen), bool(seen))
    fails(lambda: seen.popitem())
    fails(lambda: seen.__setitem__(3, 1))


@script
def copies(t, log, fails):
    Dictionary = weak(t).WeakTensorKeyDictionary
    x, y = t.ones(2), t.zeros(1)
    a = Dictionary()
    a.update([(x, [1])])
    b, c, d = a.copy(), copy.copy(a), copy.deepcopy(a)
    log(b == a, c == a, d == a, b[x] is a[x], d[x] is a[x], a == 3)
    b[y] = [2]
    log(len(a), len(b), b == a)
    log(list((a | {y: 5}).values()), list(({y: 5} | a).values()))
    fails(lambda: a | 3)
    a |= {y: 6}
    log(list(a.values()), a.pop(y), len(a), type(a) is Dictionary)
    a.clear()
    log(len(a))


@script
def references(t, log, fails):
    w = weak(t)
    x = t.ones(2)
    ref, same, other = w.WeakIdRef(x), w.WeakIdRef(x), w.WeakIdRef(t.ones(2))
    log(ref == same, hash(ref) == hash(same), ref() is x, other() is None)
    log(ref == other, other == other)
    held = w.TensorWeakRef(x)
    log(held() is x)
    del x
    log(held() is None, ref() is None, ref == same, ref == ref)
    fails(lambda: w.TensorWeakRef(3))


@script.each
def test_script(program):
    compare_scripts(program)
