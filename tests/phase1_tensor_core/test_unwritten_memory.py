"""What is in memory that nobody has written to, in deterministic mode."""

import pytest
import torch
from comparing import Scripts, compare_scripts

import flashlight

script = Scripts()


@pytest.fixture(autouse=True)
def defaults():
    yield
    for t in (torch, flashlight):
        t.use_deterministic_algorithms(False)
        t.utils.deterministic.fill_uninitialized_memory = True


@script
def filled(t, log, fails):
    t.use_deterministic_algorithms(True)
    kinds = "float32 float64 float16 bfloat16 complex64 complex128"
    kinds += " bool uint8 int8 int16 int32 int64 uint16 uint32"
    for name in kinds.split():
        d = getattr(t, name)
        x = t.zeros(2, dtype=d)
        log(t.empty(2, 3, dtype=d), t.empty_like(x), x.new_empty(2))
        log(t.empty_strided((2, 2), (1, 2), dtype=d), x.new_empty_strided((1,), (1,)))
        log(t.empty_permuted((2, 3), (1, 0), dtype=d))
        x.resize_(4)
        log(x)
        log(x.resize_(3), x.resize_(4))


@script
def chosen(t, log, fails):
    d = t.utils.deterministic
    log(d.fill_uninitialized_memory)
    d.fill_uninitialized_memory = False
    log(d.fill_uninitialized_memory)
    log(t._C._get_deterministic_fill_uninitialized_memory())
    t.use_deterministic_algorithms(True)
    x = t.ones(1)
    log(x.resize_(1), t.zeros(2))
    d.fill_uninitialized_memory = True
    t.set_deterministic_debug_mode("warn")
    log(t.empty(1))


@script
def storages_are_read_as_the_dtype(t, log, fails):
    bytes_of = t.tensor([1, 2, 300], dtype=t.int16).untyped_storage()
    log(t.tensor(bytes_of, dtype=t.int16), t.tensor(bytes_of, dtype=t.uint8))


@script.each
def test_unwritten_memory(program):
    compare_scripts(program)


def test_only_in_deterministic_mode():
    flashlight.utils.deterministic.fill_uninitialized_memory = False
    flashlight.use_deterministic_algorithms(True)
    assert not flashlight.empty(3).isnan().any()
    flashlight.use_deterministic_algorithms(False)
    flashlight.utils.deterministic.fill_uninitialized_memory = True
    assert not flashlight.empty(3).isnan().any()


@pytest.mark.parametrize("value", [1, None])
def test_no_other_choice(value):
    for t in (torch, flashlight):
        with pytest.raises(RuntimeError, match="expected a bool, but got"):
            t.utils.deterministic.fill_uninitialized_memory = value
