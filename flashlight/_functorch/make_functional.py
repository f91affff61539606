"""Modules as functions of lists of tensors: what ``functional_call`` came after."""

import copy

import flashlight
from flashlight import nn
from flashlight.nn.utils.stateless import _swap

__all__ = [
    "FunctionalModule",
    "FunctionalModuleWithBuffers",
    "combine_state_for_ensemble",
    "functional_init",
    "functional_init_with_buffers",
    "make_functional",
    "make_functional_with_buffers",
]


def _tied(members):
    """For each tensor, in order, its names: ``[(tensor, [name, ...]), ...]``."""
    found: dict = {}
    for name, tensor in members(remove_duplicate=False):
        found.setdefault(id(tensor), (tensor, []))[1].append(name)
    return list(found.values())


def _swap_state(module, names, tensors):
    """Put tensors under all their names; what was there before."""
    before = []
    for group, tensor in zip(names, tensors):
        before.append([_swap(module, name, tensor) for name in group][0])
    return before


def _taken_out(module, members, make):
    """The tensors of a module and their names; empty ones stay in their places."""
    found = _tied(members)
    names = [group for _, group in found]
    empty = [make(flashlight.empty_like(t, device="meta")) for t, _ in found]
    _swap_state(module, names, empty)
    return tuple(t for t, _ in found), names


class _Functional(nn.Module):
    """A module without tensors of its own, and the names of those it wants."""

    def __init__(self, model, disable_autograd_tracking):
        super().__init__()
        model = copy.deepcopy(model)
        params, names = _taken_out(model, model.named_parameters, nn.Parameter)
        buffers, buffer_names = _taken_out(model, model.named_buffers, lambda t: t)
        if disable_autograd_tracking:
            for p in params:
                p.requires_grad_(False)
        self.stateless_model = model
        self.param_names = tuple(group[0] for group in names)
        self.buffer_names = tuple(group[0] for group in buffer_names)
        self._names = names + buffer_names
        # Not tensors of this module: they are handed out.
        self.__dict__["_state"] = params, buffers

    def _take_state(self):
        return self.__dict__.pop("_state")

    def _call_with(self, tensors, args, kwargs):
        before = _swap_state(self.stateless_model, self._names, tensors)
        try:
            return self.stateless_model(*args, **kwargs)
        finally:
            _swap_state(self.stateless_model, self._names, before)


class FunctionalModule(_Functional):
    """What :func:`make_functional` gives: called with ``(params, *args)``."""

    def forward(self, params, *args, **kwargs):
        return self._call_with(tuple(params), args, kwargs)


class FunctionalModuleWithBuffers(_Functional):
    """What :func:`make_functional_with_buffers` gives."""

    def forward(self, params, buffers, *args, **kwargs):
        return self._call_with((*params, *buffers), args, kwargs)


def make_functional(model, disable_autograd_tracking=False):
    """Return ``(func, params)``: ``func(params, *args)`` is ``model(*args)``.

    Args:
        model: a module without buffers.
        disable_autograd_tracking: ``params`` do not require gradients.

    Raises:
        RuntimeError: the module has buffers.
    """
    if any(True for _ in model.buffers()):
        raise RuntimeError(
            "make_functional(model): `model` has buffers. Please use "
            "make_functional_with_buffers(model) instead."
        )
    func = FunctionalModule(model, disable_autograd_tracking)
    return func, func._take_state()[0]


def make_functional_with_buffers(model, disable_autograd_tracking=False):
    """Return ``(func, params, buffers)``, called as ``func(params, buffers, *args)``.

    Args:
        model: a module.
        disable_autograd_tracking: ``params`` do not require gradients.
    """
    func = FunctionalModuleWithBuffers(model, disable_autograd_tracking)
    return (func, *func._take_state())


def _stacked(lists):
    return tuple(flashlight.stack(group).detach() for group in zip(*lists))


def combine_state_for_ensemble(models):
    """Return ``(func, params, buffers)``: those of all models, each stacked.

    Args:
        models: modules of the same class, in the same mode.

    Raises:
        RuntimeError: there is no model, or they are not alike.
    """
    if not models:
        raise RuntimeError(
            "combine_state_for_ensemble: Expected at least one model, got 0."
        )
    if any(m.training != models[0].training for m in models):
        raise RuntimeError(
            "combine_state_for_ensemble: Expected all models to have the same "
            "training/eval mode."
        )
    if any(type(m) is not type(models[0]) for m in models):
        raise RuntimeError(
            "combine_state_for_ensemble: Expected all models to be of the same class."
        )
    made = [make_functional_with_buffers(m) for m in models]
    return made[0][0], _stacked(m[1] for m in made), _stacked(m[2] for m in made)


def _initialised(model_class, ensemble_shape, device, with_buffers):
    if len(ensemble_shape) > 1:
        raise ValueError("NYI: ensemble_shape with more than 1 element")
    if ensemble_shape and ensemble_shape[0] <= 0:
        raise ValueError(f"num_models {ensemble_shape[0]} should be > 0")

    def run(*args, **kwargs):
        count = ensemble_shape[0] if ensemble_shape else 1
        models = [model_class(*args, **kwargs).to(device) for _ in range(count)]
        if with_buffers:
            made = [make_functional_with_buffers(m) for m in models]
        else:
            made = [(*make_functional(m), ()) for m in models]
        func, params, buffers = made[0]
        if ensemble_shape:
            params, buffers = (_stacked(m[k] for m in made) for k in (1, 2))
        if with_buffers:
            run_all = lambda params, buffers, data: func(  # noqa: E731
                params, buffers, *data
            )
            return params, buffers, run_all, func.param_names, func.buffer_names
        return params, lambda params, data: func(params, *data), func.param_names

    return run


def functional_init(model_class, ensemble_shape=(), device="cpu"):
    """Return a maker of ``(params, func, names)``, called as ``func(params, args)``.

    Args:
        model_class: of modules without buffers.
        ensemble_shape: empty, or how many modules' parameters are stacked.
        device: of the parameters.
    """
    return _initialised(model_class, ensemble_shape, device, False)


def functional_init_with_buffers(model_class, ensemble_shape=(), device="cpu"):
    """As :func:`functional_init`: ``(params, buffers, func, names, buffer_names)``."""
    return _initialised(model_class, ensemble_shape, device, True)
