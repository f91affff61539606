"""GradScaler: what it scales by, when steps are left out, what it remembers."""

from comparing import Scripts, compare_scripts

script = Scripts()


def scaler_of(t, **options):
    defaults = {"init_scale": 8.0, "growth_interval": 2}
    return t.amp.GradScaler("cpu", **{**defaults, **options})


def steps(t, log, scaler, factors, optimizer_class="SGD", unscale=False):
    """A step for each factor of the loss; what the scaler has come to."""
    w = t.tensor([1.0, -2.0], requires_grad=True)
    optimizer = getattr(t.optim, optimizer_class)([w], lr=0.1)
    for factor in factors:
        optimizer.zero_grad()
        scaler.scale((w * w).sum() * factor).backward()
        if unscale:
            scaler.unscale_(optimizer)
            log(w.grad)
        scaler.step(optimizer)
        scaler.update()
        log(w.grad, w, scaler.get_scale(), scaler._get_growth_tracker())
    return w


@script
def it_grows_after_good_steps_in_a_row(t, log, fails):
    steps(t, log, scaler_of(t), [1.0] * 5)
    steps(t, log, scaler_of(t, growth_interval=1, growth_factor=3.0), [1.0] * 3)


@script
def a_step_that_overflows_is_left_out_and_counting_begins_again(t, log, fails):
    inf, nan = float("inf"), float("nan")
    steps(t, log, scaler_of(t), [1.0, inf, 1.0, 1.0, nan, nan, 1.0, 1.0])
    steps(t, log, scaler_of(t, backoff_factor=0.25), [inf, 1.0, inf], "Adam")


@script
def gradients_can_be_unscaled_first(t, log, fails):
    steps(t, log, scaler_of(t), [1.0, float("inf"), 2.0], unscale=True)
    w = t.tensor([1.0], requires_grad=True)
    optimizer, scaler = t.optim.SGD([w], lr=0.1), scaler_of(t)
    fails(lambda: scaler.unscale_(optimizer))
    scaler.scale(w.sum()).backward()
    scaler.unscale_(optimizer)
    fails(lambda: scaler.unscale_(optimizer))
    scaler.step(optimizer)
    fails(lambda: scaler.step(optimizer))
    fails(lambda: scaler.unscale_(optimizer))
    scaler.update()
    log(w)


@script
def it_does_nothing_where_it_is_not_enabled(t, log, fails):
    scaler = scaler_of(t, enabled=False)
    w = t.tensor([1.0], requires_grad=True)
    optimizer = t.optim.SGD([w], lr=0.1)
    loss = w.sum() * 2
    log(scaler.scale(loss) is loss, scaler.is_enabled(), scaler.get_scale())
    loss.backward()
    scaler.step(optimizer)
    scaler.update()
    log(w, scaler.state_dict())


@script
def its_state_goes_on_elsewhere(t, log, fails):
    scaler = scaler_of(t)
    steps(t, log, scaler, [1.0])
    log(scaler.state_dict())
    other = scaler_of(t, init_scale=2.0)
    other.load_state_dict(scaler.state_dict())
    steps(t, log, other, [1.0, 1.0, float("inf")])
    log(other.state_dict())
    fails(lambda: other.load_state_dict({}))


@script
def it_may_be_told_the_scale(t, log, fails):
    scaler = scaler_of(t)
    steps(t, log, scaler, [1.0])
    scaler.update(64.0)
    log(scaler.get_scale(), scaler._get_growth_tracker())
    scaler.update(t.tensor(16.0))
    log(scaler.get_scale())
    log(scaler.scale([t.ones(2), (t.ones(()),)]))
    fails(lambda: scaler.update(t.tensor([1.0, 2.0])))
    fails(lambda: scaler_of(t, growth_factor=1.0))
    fails(lambda: scaler_of(t, backoff_factor=1.0))


@script.each
def test_script(program):
    compare_scripts(program)
