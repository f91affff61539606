"""Writes to leaves and views, modes, custom functions, hooks and backward passes."""

from .writer import MODES, broadcasts, is_float, is_leaf, names_twice, overlap

UNARY = [
    "{x}.sin()",
    "{x}.tanh()",
    "{x}.sigmoid()",
    "{x}.square()",
    "-{x}",
    "{x}.abs()",
    "{x}.relu()",
    "{x}.clone()",
    "{x} * 2",
    "{x} + 1",
    "{x}.sum()",
    "{x}.mean()",
    "{x}.contiguous()",
    "{x}.to(torch.float32)",
    "{x}.double()",
    "{x}.float()",
    "{x} > 0",
    "torch.zeros_like({x})",
    "torch.ones_like({x}, requires_grad=True)",
    "{x}.new_zeros({x}.shape)",
    "{x}.exp()",
    "{x}.clamp(-1, 1)",
    "{x}.cos().requires_grad_()",
    "torch.nn.functional.relu({x})",
    "{x}[...].sum(dim=-1, keepdim=True)",
]
BINARY = [
    "{x} + {y}",
    "{x} - {y}",
    "{x} * {y}",
    "{x} * {x}",
    "{x} / ({y}.square() + 1)",
    "torch.maximum({x}, {y})",
    "torch.where({x} > 0, {x}, {y})",
    "torch.add({x}, {y}, alpha=2)",
    "torch.addcmul({x}, {y}, {y}, value=0.5)",
    "{x}.expand_as({y})",
]
SAME_SHAPE = ["torch.stack([{x}, {y}])", "torch.cat([{x}, {y}])"]
VIEWS = [
    "{x}.view(-1)",
    "{x}.reshape(-1)",
    "{x}.flatten()",
    "{x}[...]",
    "{x}.detach()",
    "{x}.view_as({x})",
    "{x}.unsqueeze(0)",
    "{x}.unsqueeze(-1)",
    "{x}.squeeze()",
    "{x}.expand(2, *{x}.shape)",
    "{x}.data",
    "{x}.view({x}.shape)",
    "{x}.real",
    "{x}.positive()",
    "{x}.unsqueeze(0).transpose(0, -1)",
    "{x}.as_strided((), (), 0)",
    "torch.broadcast_to({x}, (2, *{x}.shape))",
    "{x}.as_strided({x}.shape, {x}.stride(), {x}.storage_offset())",
]
VIEWS_1D = [
    "{x}[0]",
    "{x}[-1]",
    "{x}[1:]",
    "{x}[:-1]",
    "{x}[::2]",
    "{x}[..., 0]",
    "{x}[..., 1:]",
    "{x}.narrow(0, 0, 1)",
    "{x}.select(-1, 0)",
    "{x}.unfold(0, 1, 1)",
    "{x}.unfold(-1, 2, 1)",
    "{x}.swapaxes(0, -1)",
    "{x}.movedim(0, -1)",
    "{x}.transpose(0, -1)",
    "{x}.as_strided((2,), (1,), {x}.storage_offset())",
    "{x}.as_strided((2, 1), (1, 1), {x}.storage_offset())",
    "{x}[None, :]",
    "{x}[[0, 0]]",
    "{x}[:, ...]",
    "{x}[-2:]",
    "{x}.expand(2, *{x}.shape)[0]",
]
VIEWS_2D = ["{x}.diagonal()", "{x}.permute(*range({x}.dim())[::-1])", "{x}[:, 0]"]
SEVERAL = [
    "{x}.split(1)",
    "{x}.chunk(2)",
    "{x}.unbind(0)",
    "{x}.unbind(-1)",
    "torch.tensor_split({x}, 2)",
    "{x}.split(1, dim=-1)",
    "torch.unbind({x}.view(-1))",
    "{x}.split([1, {x}.shape[0] - 1])",
    "{x}.hsplit(1)",
]
WRITES = [
    "{x}.add_(1)",
    "{x}.mul_(2)",
    "{x}.neg_()",
    "{x}.sin_()",
    "{x}.tanh_()",
    "{x}.sigmoid_()",
    "{x}.relu_()",
    "{x}.zero_()",
    "{x}.fill_(0.5)",
    "{x}.clamp_(-1, 1)",
    "{x}.exp_()",
    "{x}.square_()",
    "{x}.masked_fill_({x} > 0, 0.25)",
    "{x}[...] = 0.5",
    "{x}[{x} > 0] = 0.75",
    "{x} += 1",
    "{x} *= 0.5",
    "{x}.sub_({x})",
    "{x}.mul_({x})",
    "{x}.copy_({x} * 2)",
    "torch.nn.functional.relu({x}, inplace=True)",
    "{x}.unsqueeze_(0)",
    "{x}.squeeze_()",
    "{x}.requires_grad_()",
    "{x}.requires_grad_(False)",
    "{x}.detach_()",
    "{x}.data.add_(1)",
    "{x}.data = {x}.data * 2",
    "{x}.detach().mul_(2)",
    "{x}.grad.zero_()",
    "{x}.grad = None",
    "{x}.grad = torch.ones_like({x})",
    "{x}.retain_grad()",
    "{x}.register_hook(lambda g: g * 2)",
    "{x}.register_hook(lambda g: None)",
    "{x}.resize_({x}.shape)",
]
WRITES_OF_ANY = ["{x}.zero_()", "{x}.fill_(1)", "{x}[...] = 0", "{x}.mul_({x})"]
# What PyTorch defines of a tensor that names an element twice.
WRITES_OF_OVERLAPPING = [
    "{x}.zero_()",
    "{x}.fill_(0.5)",
    "{x}[...] = 0",
    "{x}[:] = 2",
    "{x}.masked_fill_({x} > 0, 0.25)",
    "{x}[{x} > 0] = 0.75",
    "{x}.requires_grad_()",
    "{x}.detach_()",
    "{x}.retain_grad()",
]
WRITES_1D = [
    "{x}[0] = 1.5",
    "{x}[1:] *= 2",
    "{x}[..., 0].mul_(3)",
    "{x}.transpose_(0, -1)",
    "{x}.cumsum_(0)",
    "{x}.view(-1)[1:].add_(1)",
    "{x}[[0, 0]] = 0.125",
    "{x}[::2].zero_()",
    "{x}.unbind(0)[0].zero_()",
    "{x}.index_put_((torch.tensor([0]),), torch.ones((), dtype={x}.dtype))",
    "{x}[0].copy_({x}[-1].clone())",
    "{x}.detach()[0] = 0.25",
    "{x}.swapaxes_(0, -1)",
]
WRITES_Y = [
    "{x}.add_({y})",
    "{x}.mul_({y})",
    "{x}.sub_({y}, alpha=2)",
    "{x}.div_({y}.square() + 1)",
    "{x}.copy_({y})",
    "{x}[...] = {y}",
    "{x}.addcmul_({y}, {y})",
    "{x}.masked_fill_({y} > 0, 0.5)",
    "{x}.data.copy_({y})",
    "{x}.data = {y}",
    "{x}.grad = {y}",
    "torch.add({x}, {y}, out={x})",
    "torch.mul({x}, {y}, out={y})",
    "torch.sin({x}, out={y})",
    "{x}[0] = {y}",
    "{x}.set_({y})",
    "{x}.copy_({y} > 0)",
    "{x}.copy_({y}.float())",
    "{x}.lerp_({y}.to({x}.dtype), 0.5)",
]
BACKWARD = [
    "{x}.sum().backward()",
    "{x}.sum().backward(retain_graph=True)",
    "{x}.backward(torch.ones_like({x}))",
    "({x} * {x}).sum().backward()",
    "{x}.backward()",
    "{x}.sum().backward(inputs=[{y}])",
    "torch.autograd.backward([{x}.sum(), {y}.sum()])",
    "{x}.sum().backward(create_graph=True)",
    "{x}.grad.sum().backward()",
    "torch.autograd.backward({x}.sum(), inputs=[{x}])",
]
# `* 1`: whether the engine added gradients up in place shows in their version.
GRADS = [
    "torch.autograd.grad({x}.sum(), {y})[0]*1",
    "torch.autograd.grad({x}.sum(), {y}, allow_unused=True)[0]*1",
    "torch.autograd.grad({x}.sum(), {y}, retain_graph=True)[0]*1",
    "torch.autograd.grad({x}.sum(), {y}, create_graph=True)[0]*1",
    "torch.autograd.grad({x}.sum(), {y}, materialize_grads=True)[0]*1",
    "torch.autograd.grad({x}, {y}, torch.ones_like({x}), create_graph=True)[0]*1",
    "{x}.grad",
    "{x}._base",
]
CUSTOM = [
    *["Square", "Identity", "Doubled", "Flat", "Once", "Nothing", "Stacked", "Viewed"],
    *["Wrong", "Loud", "Inner"],
]
CUSTOM_OF_TWO = ["Product", "TooFew"]
SEVERAL_CUSTOM = ["Pair", "Unmade", "Made", "Parts"]
TENSOR_HOOKS = [
    "{x}.register_hook(lambda g: note('a', g) * 2)",
    "{x}.register_hook(lambda g: note('b', g) and None)",
    "{x}.register_hook(lambda g: note('c', g.sum()) * g)",
    "{x}.register_hook(lambda g: g.new_ones(5))",
    "{x}.register_hook(lambda g: 1 / 0)",
    "{x}.register_hook(lambda g: g.mul_(2))",
    "{x}.register_hook(lambda g: 'text')",
    "{x}.register_hook(lambda g: note({y}.grad is None, g))",
    "{x}.register_post_accumulate_grad_hook(lambda p: note('p', p.grad) and None)",
    "{x}.register_post_accumulate_grad_hook(lambda p: setattr(p, 'grad', None))",
    "{x}.register_post_accumulate_grad_hook(lambda p: p.grad.mul_(2) and None)",
]
NODE_HOOKS = [
    "{x}.grad_fn.register_hook(lambda i, o: note('n', o) and None)",
    "{x}.grad_fn.register_hook(lambda i, o: doubled(i))",
    "{x}.grad_fn.register_prehook(lambda o: note('m', o) and None)",
    "{x}.grad_fn.register_prehook(lambda o: doubled(o))",
    "{x}.grad_fn.register_prehook(lambda o: o + o)",
    "{x}.grad_fn.register_hook(lambda i, o: (None,) * len(i))",
]
SEVERAL_HOOKS = [
    "torch.autograd.graph.register_multi_grad_hook([{x}, {y}], "
    "lambda g: note('all', g))",
    "torch.autograd.graph.register_multi_grad_hook([{x}, {y}], "
    "lambda g: note('any', g), mode='any')",
]
SAVED_HOOKS = [
    "torch.autograd.graph.saved_tensors_hooks(lambda x: (x.detach(),), lambda x: x[0])",
    "torch.autograd.graph.saved_tensors_hooks(lambda x: x.tolist(), lambda x: 1 / 0)",
    "torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x * 1)",
    "torch.autograd.graph.save_on_cpu()",
    "torch.autograd.graph.disable_saved_tensors_hooks('not here')",
]
CHECKPOINTS = [
    "torch.utils.checkpoint.checkpoint(lambda a: a.sin() * a, {x}, "
    "use_reentrant=False)",
    "torch.utils.checkpoint.checkpoint(lambda a: a.sin() * a, {x}, use_reentrant=True)",
    "torch.utils.checkpoint.checkpoint(lambda a, b: (a * b).tanh(), {x}, {y}, "
    "use_reentrant=False)",
    "torch.utils.checkpoint.checkpoint(lambda a: Square.apply(a) + {y}, {x}, "
    "use_reentrant=False)",
    "torch.utils.checkpoint.checkpoint(lambda a: a.exp().mul_(2), {x}, "
    "use_reentrant=True)",
]
PASSES = [
    "torch.autograd.backward([{x}, {y}], [torch.ones_like({x}), torch.ones_like({y})])",
    "torch.autograd.backward([{x}.sum(), {y}.sum()], inputs=[{z}])",
    "({x} * {y}.detach()).sum().backward(inputs=[{z}, {y}])",
    "{x}.sum().backward(torch.tensor(2.0, dtype={x}.dtype), retain_graph=True)",
    "{x}.sum().backward(inputs=[])",
    "{x}.backward(torch.ones(5))",
    "({x}.sin() * {x}).sum().backward(create_graph=True)",
    "{x}.sum().backward(None, True)",
    "{x}.sum().backward(inputs={z})",
]
SEVERAL_GRADS = [
    "torch.autograd.grad({x}.sum(), [{y}, {z}], allow_unused=True)",
    "torch.autograd.grad([{x}.sum(), {y}.sum()], [{z}], retain_graph=True)",
    "torch.autograd.grad({x}.sum(), [{x}, {z}], create_graph=True, allow_unused=True)",
    "torch.autograd.grad([{x}, {y}], [{z}], [torch.ones_like({x}), None])",
    "torch.autograd.grad({x}, [{z}], torch.ones_like({x}).double(), allow_unused=True)",
    "torch.autograd.grad({x}.sum(), [{y}, {z}], materialize_grads=True)",
    "torch.autograd.grad({x}.square().sum(), [{z}], create_graph=True)",
]


def new(w):
    return w.tensor(["float64"] * 4 + ["float32"])


def _operands(w):
    x = w.any()
    return x, w.tensors[x]


def unary(w):
    x, _ = _operands(w)
    return f"{w.new} = " + w.rng.choice(UNARY).format(x=x)


def binary(w):
    x, t = _operands(w)
    y = w.any(lambda o: broadcasts(t.shape, o.shape))
    forms = BINARY
    unseen = t.is_inference() and w.tensors[y].is_inference()
    if t.shape == w.tensors[y].shape and t.dim() and not unseen:
        forms = BINARY + SAME_SHAPE
    form = w.rng.choice(forms)
    if "expand_as" in form and not t.is_floating_point():
        form = "{x}.clone()"  # PyTorch's error names no such type
    return f"{w.new} = " + form.format(x=x, y=y)


def view(w):
    x, t = _operands(w)
    forms = VIEWS + (VIEWS_1D * 2 if t.dim() else [])
    forms = forms + (VIEWS_2D * 3 if t.dim() > 1 else [])
    return f"{w.new} = " + w.rng.choice(forms).format(x=x)


def several(w):
    x = w.any(lambda t: t.dim())
    return x and w.several(w.rng.choice(SEVERAL).format(x=x))


def _defined(w, x):
    """Whether what a write gives is defined; else a line of a write that is."""
    if names_twice(w.tensors[x]):
        return w.rng.choice(WRITES_OF_OVERLAPPING).format(x=x)
    return None


def write(w):
    x, t = _operands(w)
    if not is_float(t):
        forms = WRITES_OF_ANY
    else:
        forms = WRITES + (WRITES_1D * 2 if t.dim() else [])
    return _defined(w, x) or w.rng.choice(forms).format(x=x)


def write_y(w):
    x = w.any(is_float)
    if not x:
        return None
    t = w.tensors[x]
    y = w.any(lambda o: broadcasts(t.shape, o.shape))
    y = y if w.chance(0.9) else w.any()
    if overlap(t, w.tensors[y]):
        y = x
    form = w.rng.choice(WRITES_Y)
    # PyTorch compares the strides of a gradient with those of as many dimensions, and
    # cannot give a version to what an inference tensor was put into.
    other = w.tensors[y]
    if ".data = " in form and (other.dim() != t.dim() or other.is_inference()):
        return None
    return _defined(w, x) or form.format(x=x, y=y)


def custom(w):
    x, t = _operands(w)
    if names_twice(t):
        return None
    form = w.rng.choice([CUSTOM, CUSTOM, CUSTOM_OF_TWO, SEVERAL_CUSTOM, ["S"]])
    name = w.rng.choice(form)
    if name == "S":
        # Of the same tensor twice, PyTorch's own check of it fails.
        y = w.any(lambda o: not names_twice(o) and o is not t)
        if not y:
            return None
        scaled = f"{w.new}, *_ = Scaled.apply({x}, 2.5)"
        return w.rng.choice([scaled, f"{w.new}, {w.new}b = Swapped.apply({x}, {y})"])
    if form is CUSTOM_OF_TWO:
        return f"{w.new} = {name}.apply({x}, {w.fitting(t) or x})"
    if form is SEVERAL_CUSTOM:
        return f"{w.new}, {w.new}b = {name}.apply({x})"
    return f"{w.new} = {name}.apply({x})"


def backward(w):
    x, _ = _operands(w)
    x = w.any(lambda t: t.requires_grad) or x if w.chance(0.8) else x
    y, z = w.any(), w.any(lambda t: t.requires_grad) or x
    return w.rng.choice(BACKWARD + PASSES).format(x=x, y=y, z=z)


def grad(w):
    x, _ = _operands(w)
    x = w.any(lambda t: t.requires_grad) or x if w.chance(0.8) else x
    y, z = w.any(), w.any(lambda t: t.requires_grad) or x
    if w.chance(0.4):
        form = w.rng.choice(SEVERAL_GRADS).format(x=x, y=y, z=z)
        return f"{w.new}, *_ = (g if g is None else g*1 for g in {form})"
    return f"{w.new} = " + w.rng.choice(GRADS).format(x=x, y=y)


def hook(w):
    x = w.any(lambda t: t.requires_grad) if w.chance(0.9) else w.any()
    if not x:
        return None
    t = w.tensors[x]
    y = w.any(lambda o: o.requires_grad) or x
    if w.chance(0.15):
        # Where nothing is recorded, PyTorch's own code asks None for its next node.
        if t.is_inference() or w.tensors[y].is_inference():
            return None
        form = w.rng.choice(SEVERAL_HOOKS)
    elif w.chance(0.3) and not is_leaf(t):
        form = w.rng.choice(NODE_HOOKS)
    else:
        form = w.rng.choice(TENSOR_HOOKS)
    return f"{w.handle} = " + form.format(x=x, y=y)


def unhook(w):
    handles = w.machine.handles
    return f"{w.rng.choice(handles)}.remove()" if handles else None


def saved_hooks(w):
    x = w.any(lambda t: t.requires_grad and is_float(t))
    if not x:
        return None
    form = w.rng.choice(UNARY[:8] + ["Square.apply({x})", "Stacked.apply({x})"])
    return f"with {w.rng.choice(SAVED_HOOKS)}: {w.new} = {form.format(x=x)}"


def checkpoint(w):
    x = w.any(is_float)
    if not x:
        return None
    y = w.fitting(w.tensors[x]) or x
    return f"{w.new} = " + w.rng.choice(CHECKPOINTS).format(x=x, y=y)


def modes(w):
    """Two modes, one in the other."""
    x = w.any(is_float)
    if not x:
        return None
    inner, outer = w.rng.choice(MODES), w.rng.choice(MODES)
    form = w.rng.choice(["{n} = {x} * 2", "{n} = {x}.view(-1)", "{n} = {x}[...]"])
    return f"with {outer}, {inner}: {form.format(x=x, n=w.new)}"


def forget(w):
    return f"del {w.any()}" if len(w.names) > 4 else None


MAKERS = [
    (1.5, new),
    (3, unary),
    (3, binary),
    (5, view),
    (5, write),
    (3, write_y),
    (3, backward),
    (2, grad),
    (1, several),
    (2, custom),
    (2.5, hook),
    (0.5, unhook),
    (0.7, saved_hooks),
    (0.7, checkpoint),
    (0.3, modes),
    (1, forget),
]
