"""``torch.backends.cuda``: flags that programs set; they choose nothing here.

Products of float32 on MLX's CUDA backend follow ``MLX_ENABLE_TF32``, which it reads
when it starts; attention has one form a device.
"""

import contextlib

import flashlight

__all__ = [
    "allow_fp16_bf16_reduction_math_sdp",
    "cudnn_sdp_enabled",
    "enable_cudnn_sdp",
    "enable_flash_sdp",
    "enable_math_sdp",
    "enable_mem_efficient_sdp",
    "flash_sdp_enabled",
    "fp16_bf16_reduction_math_sdp_allowed",
    "is_built",
    "is_flash_attention_available",
    "math_sdp_enabled",
    "matmul",
    "mem_efficient_sdp_enabled",
    "sdp_kernel",
]


def is_built():
    """Whether there is a CUDA device to compute on."""
    return flashlight.cuda.is_available()


class _Matmul:
    """Whether products may be computed in fewer digits."""

    def __init__(self):
        self.__dict__["_reduced"] = {
            "allow_fp16_reduced_precision_reduction": True,
            "allow_bf16_reduced_precision_reduction": True,
        }

    def __getattr__(self, name):
        if name == "allow_tf32":
            return flashlight.get_float32_matmul_precision() != "highest"
        if name in self.__dict__["_reduced"]:
            return self.__dict__["_reduced"][name]
        raise AttributeError("Unknown attribute " + name)

    def __setattr__(self, name, value):
        if name == "allow_tf32":
            if not isinstance(value, bool):
                raise RuntimeError(
                    "set_allow_tf32_cublas expects a bool, but got "
                    f"{type(value).__name__}"
                )
            flashlight.set_float32_matmul_precision("high" if value else "highest")
        elif name in self.__dict__["_reduced"]:
            self.__dict__["_reduced"][name] = bool(value)
        else:
            raise AttributeError("Unknown attribute " + name)


matmul = _Matmul()

_sdp = dict.fromkeys(("flash", "mem_efficient", "math", "cudnn"), True)
_sdp["reduction"] = False


def _flag(name, what):
    def enabled():
        return _sdp[name]

    def enable(enabled):
        _sdp[name] = bool(enabled)

    enabled.__doc__ = f"Whether {what} may be used."
    enable.__doc__ = f"Say whether {what} may be used."
    return enabled, enable


flash_sdp_enabled, enable_flash_sdp = _flag("flash", "flash attention")
mem_efficient_sdp_enabled, enable_mem_efficient_sdp = _flag(
    "mem_efficient", "attention that keeps no matrix of weights"
)
math_sdp_enabled, enable_math_sdp = _flag("math", "attention by plain operators")
cudnn_sdp_enabled, enable_cudnn_sdp = _flag("cudnn", "cuDNN's attention")
fp16_bf16_reduction_math_sdp_allowed, allow_fp16_bf16_reduction_math_sdp = _flag(
    "reduction", "sums in half precision by attention of plain operators"
)


def is_flash_attention_available():
    """Whether there is a flash attention to choose: MLX chooses."""
    return False


@contextlib.contextmanager
def sdp_kernel(
    enable_flash=True, enable_math=True, enable_mem_efficient=True, enable_cudnn=True
):
    """Set the flags of attention for a while."""
    before = dict(_sdp)
    _sdp.update(
        flash=enable_flash,
        math=enable_math,
        mem_efficient=enable_mem_efficient,
        cudnn=enable_cudnn,
    )
    try:
        yield {}
    finally:
        _sdp.update(before)
