"""Samples of normalizations: see registry.collected()."""

from sampling import backward_of, case, floats, t

WEIGHT, BIAS = t(4, low=0.5, seed=1), t(4, seed=2)


def batch_norm(t, x, w, b):
    return t.nn.functional.batch_norm(x, None, None, w, b, True)


def batch_norm_fixed(t, x, w, b, mean, var):
    return t.nn.functional.batch_norm(x, mean.detach(), var.detach(), w, b)


def layer_norm(t, x, w, b):
    return t.nn.functional.layer_norm(x, (3, 4), w, b)


def rms_norm(t, x, w):
    return t.nn.functional.rms_norm(x, (4,), w)


def group_norm(t, x, w, b):
    return t.nn.functional.group_norm(x, 2, w, b)


STATISTICS = (t(4, seed=3), t(4, low=0.5, seed=4))

EXTRA = {
    "_batch_norm": [
        case(
            *(t(*sizes), WEIGHT, BIAS, *STATISTICS, training, 0.1, 1e-5),
            via=lambda t: lambda x, w, b, m, v, *rest: t.native_batch_norm(
                x, w, b, m.detach().clone(), v.detach().clone(), *rest
            )[0],
            only=floats,
        )
        for sizes in ((5, 4), (2, 4, 3, 6), (3, 4, 2))
        for training in (True, False)
    ],
    "native_batch_norm_backward": [
        *(
            backward_of(batch_norm, t(*sizes), WEIGHT, BIAS, only=floats)
            for sizes in ((5, 4), (2, 4, 3, 6))
        ),
        backward_of(
            batch_norm_fixed, t(2, 4, 3), WEIGHT, BIAS, *STATISTICS, only=floats
        ),
    ],
    "_layer_norm": [
        case(
            *(t(2, 3, 4), (3, 4), t(3, 4, seed=1), t(3, 4, seed=2), 1e-5),
            via=lambda t: t.layer_norm,
            only=floats,
        )
    ],
    "native_layer_norm_backward": [
        backward_of(
            layer_norm, t(2, 3, 4), t(3, 4, seed=1), t(3, 4, seed=2), only=floats
        )
    ],
    "_fused_rms_norm": [
        case(t(2, 3, 4), (4,), WEIGHT, e, via=lambda t: t.rms_norm, only=floats)
        for e in (None, 1e-2)
    ],
    "_fused_rms_norm_backward": [
        backward_of(rms_norm, t(2, 3, 4), WEIGHT, only=floats)
    ],
    "native_group_norm_backward": [
        backward_of(group_norm, t(*s), t(s[1], seed=1), t(s[1], seed=2), only=floats)
        for s in ((3, 8), (2, 4, 3, 3))
    ],
}
