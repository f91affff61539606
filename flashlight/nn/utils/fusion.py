"""Fusing of a batch normalization into the layer before it."""

import copy

import flashlight

from ..parameter import Parameter

__all__ = [
    "fuse_conv_bn_eval",
    "fuse_conv_bn_weights",
    "fuse_linear_bn_eval",
    "fuse_linear_bn_weights",
]


def _check_eval(layer, bn) -> None:
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("Fusion needs running statistics")


def _fused(layer, bn, fuse, *args):
    _check_eval(layer, bn)
    out = copy.deepcopy(layer)
    out.weight, out.bias = fuse(
        layer.weight,
        layer.bias,
        bn.running_mean,
        bn.running_var,
        bn.eps,
        bn.weight,
        bn.bias,
        *args,
    )
    return out


def fuse_conv_bn_eval(conv, bn, transpose: bool = False):
    """Return a convolution that does what ``conv`` and ``bn`` do in evaluation."""
    return _fused(conv, bn, fuse_conv_bn_weights, transpose)


def fuse_conv_bn_weights(
    conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, transpose: bool = False
):
    """Return weight and bias of the fused convolution."""
    shape = [1] * conv_w.dim()
    shape[1 if transpose else 0] = -1
    return _fuse(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, shape)


def fuse_linear_bn_eval(linear, bn):
    """Return a linear layer that does what ``linear`` and ``bn`` do in evaluation."""
    if linear.out_features != bn.num_features and bn.num_features != 1:
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1"
        )
    return _fused(linear, bn, fuse_linear_bn_weights)


def fuse_linear_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b):
    """Return weight and bias of the fused linear layer."""
    return _fuse(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, [-1, 1])


def _fuse(w, b, mean, var, eps, bn_w, bn_b, shape):
    weight_grad = w.requires_grad
    bias_grad = weight_grad if b is None else b.requires_grad
    b = flashlight.zeros_like(mean) if b is None else b
    bn_w = flashlight.ones_like(mean) if bn_w is None else bn_w
    bn_b = flashlight.zeros_like(mean) if bn_b is None else bn_b
    scale = bn_w * flashlight.rsqrt(var + eps)
    fused_w = (w * scale.reshape(shape)).to(dtype=w.dtype)
    fused_b = ((b - mean) * scale + bn_b).to(dtype=b.dtype)
    return (
        Parameter(fused_w.detach(), weight_grad),
        Parameter(fused_b.detach(), bias_grad),
    )
