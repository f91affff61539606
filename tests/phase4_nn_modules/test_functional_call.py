"""Modules called with other tensors than their own; hooks of all modules."""

from comparing import Scripts, compare_scripts

script = Scripts()


def counting(lib):
    class Counting(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = lib.nn.Linear(1, 1)
            self.step = lib.nn.Buffer(lib.ones(1))
            self.factor = lib.ones(1)

        def forward(self, x):
            self.step = self.step + 1
            self.factor = self.factor * 2
            names = sorted(n for n, _ in self.named_parameters())
            return self.linear(x) + self.step * self.factor, names

    model = Counting()
    with lib.no_grad():
        model.linear.weight.fill_(2)
        model.linear.bias.fill_(3)
    return model


@script
def what_forward_changes_is_the_callers(lib, log, fails):
    model, x = counting(lib), lib.ones(1, 1)
    given = {"step": lib.tensor([5.0]), "factor": lib.tensor([0.5])}
    out, names = lib.func.functional_call(model, given, x)
    log(out, names, given["step"], given["factor"], model.step, model.factor)


@script
def names_that_are_no_parameters(lib, log, fails):
    model, x = counting(lib), lib.ones(1, 1)
    for extra in (lib.ones(1), lib.nn.Parameter(lib.ones(1)), None):
        out, names = lib.func.functional_call(model, {"linear.extra": extra}, x)
        log(out, names, hasattr(model.linear, "extra"))
    out, _ = lib.func.functional_call(model, {"linear.bias": None}, x)
    log(out, model.linear.bias)
    fails(lambda: lib.func.functional_call(model, {"linear.in_features": x}, x))
    fails(lambda: lib.func.functional_call(model, {"linear.bias": 3}, x))
    fails(
        lambda: lib.func.functional_call(model, {"factor": x, "a": x}, x, strict=True)
    )


@script
def hooks_of_all_modules_can_be_replaced(lib, log, fails):
    module = lib.nn.modules.module
    handle = module.register_module_forward_hook(lambda m, x, y: log("hook"))
    log(len(module._global_forward_hooks))
    lib.nn.Identity()(1)
    module._global_forward_hooks = type(module._global_forward_hooks)()
    lib.nn.Identity()(1)
    log(len(module._global_forward_hooks), module._global_is_full_backward_hook)
    handle.remove()


@script.each
def test_as_torch(program):
    compare_scripts(program)
