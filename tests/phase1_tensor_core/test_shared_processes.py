"""Memory that several processes see: torch.multiprocessing, share_memory_()."""

import gc
import os
import signal
import sys

import pytest
from comparing import Scripts, compare_scripts

import flashlight
import flashlight.multiprocessing as mp

pytestmark = pytest.mark.timeout(120)
script = Scripts()


@script
def shared_tensors(lib, log, fails):
    x = lib.arange(6.0).reshape(2, 3)
    y = x[1:]
    log(x.is_shared(), x.share_memory_() is x, x.is_shared(), y.is_shared(), x._version)
    log(x.storage().is_shared(), x.untyped_storage().is_shared(), (x + 1).is_shared())
    log(x.is_set_to(x.t().t()), x.clone().is_shared())
    log(y.untyped_storage().data_ptr() == x.untyped_storage().data_ptr())
    y.mul_(2)
    x.t()[0] += 1
    log(x, y, x.sum(), x.numpy(), x.data_ptr() == x.numpy().ctypes.data)
    log(lib.empty(0).share_memory_().is_shared())
    same = lib.UntypedStorage(4)
    log(x.untyped_storage() is y.untyped_storage(), x.untyped_storage() is same)
    log(lib.empty(0).set_(same).untyped_storage() is same)
    for dtype in (lib.bool, lib.int16, lib.bfloat16, lib.complex64, lib.complex128):
        z = lib.tensor([[0, 1], [1, 1]]).to(dtype).t()
        w = z.share_memory_()[0]
        w.fill_(1)
        log(str(z.dtype), z, z.stride(), z.is_shared())
    leaf = lib.ones(2, requires_grad=True)
    (leaf.share_memory_() * 2).sum().backward()
    log(leaf.grad, leaf.grad.is_shared(), (leaf * 2).share_memory_().requires_grad)
    storage = x.storage()._new_shared(5)
    log(storage.is_shared(), len(storage), str(storage.dtype), storage.tolist())
    log(len(lib.UntypedStorage._new_shared(3)))
    layer = lib.nn.Linear(2, 2)
    log(layer.share_memory() is layer, [p.is_shared() for p in layer.parameters()])


@script
def weak_storages(lib, log, fails):
    weak = lib.multiprocessing.reductions.StorageWeakRef
    x = lib.ones(2)
    y = x[1:]
    a, b = weak(x.untyped_storage()), weak(y.untyped_storage())
    other = weak(lib.ones(2).untyped_storage())
    log(a == b, hash(a) == hash(b), len({a, b}), a == other)
    log(weak(x.untyped_storage()).cdata == x.untyped_storage()._cdata)
    del x
    log(a.expired(), b.expired())
    del y
    log(a.expired(), b.expired())


@script
def strategies(lib, log, fails):
    mp = lib.multiprocessing
    log(sorted(mp.get_all_sharing_strategies()), mp.get_sharing_strategy())
    mp.set_sharing_strategy("file_descriptor")
    try:
        mp.set_sharing_strategy("names")
    except AssertionError as e:
        log(str(e).split(",")[0])
    history = lib.ones(2, requires_grad=True) * 2
    fails(lambda: mp.reductions.reduce_tensor(history))


@script.each
def test_as_torch(program):
    compare_scripts(program)


def test_another_strategy_is_not_passed_over():
    with pytest.warns(UserWarning, match="'file_system' is not supported"):
        mp.set_sharing_strategy("file_system")
    mp.set_sharing_strategy("file_descriptor")


def test_a_shared_storage_keeps_its_size():
    x = flashlight.ones(2).share_memory_()
    with pytest.raises(RuntimeError, match="storage that is not resizable"):
        x.resize_(10)


def start(*args, method="fork"):
    return mp.get_context(method).Process(target=args[0], args=args[1:])


def run(*args, method="fork"):
    process = start(*args, method=method)
    process.start()
    process.join(120)
    assert process.exitcode == 0


def add(x, window, n):
    for _ in range(n):
        window += 1
    assert x.is_shared()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_write_is_seen_on_the_other_side(method):
    x = flashlight.zeros(3, 4).share_memory_()
    before = x.t()[1:3]
    run(add, x, x[:, 1:], 3, method=method)
    assert x.tolist() == [[0, 3, 3, 3]] * 3
    assert before.tolist() == [[3, 3, 3]] * 2


def send_back(inbox, outbox):
    x, y, both, p, flags = inbox.get()
    y.fill_(7)
    p.data.add_(1)
    ok = both[0].is_set_to(x) and p.requires_grad and flags.is_conj()
    same = x.untyped_storage() == y.untyped_storage()
    outbox.put((x, type(p).__name__, ok, same, flags.tolist()))
    assert inbox.get() == "received"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_queues_send_the_memory(method):
    context = mp.get_context(method)
    there, back = context.Queue(), context.Queue()
    process = context.Process(target=send_back, args=(there, back))
    process.start()
    x = flashlight.arange(4)
    p = flashlight.nn.Parameter(flashlight.zeros(2))
    p.note = "kept"
    conjugate = flashlight.tensor([1 + 2j]).conj()
    there.put((x, x[1:3], [x], p, conjugate))
    again, kind, ok, same, numbers = back.get(timeout=120)
    there.put("received")
    process.join(120)
    assert (kind, ok, same, numbers) == ("Parameter", True, True, [1 - 2j])
    assert x.tolist() == [0, 7, 7, 3]
    assert p.tolist() == [1, 1]
    # What came back is what was sent: one piece of memory, at one place.
    assert again.data_ptr() == x.data_ptr()
    again[0] = 9
    assert x[0].item() == 9


def train(model, x):
    optimizer = flashlight.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(20):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()


def test_two_processes_train_one_model():
    flashlight.manual_seed(0)
    model = flashlight.nn.Linear(4, 2)
    model.share_memory()
    x = flashlight.randn(8, 4)
    before = model(x).square().mean().item()
    workers = [start(train, model, x) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    assert model(x).square().mean().item() < before / 2


def twice(x):
    return x * 2


def test_pools_take_and_give_tensors():
    with mp.get_context("fork").Pool(2) as pool:
        outs = pool.map(twice, [flashlight.full((2,), float(i)) for i in range(3)])
    assert [out.tolist() for out in outs] == [[0, 0], [2, 2], [4, 4]]


def descriptors():
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are listed in /proc")
def test_memory_goes_with_the_last_tensor():
    gc.collect()
    before = descriptors()
    kept = [flashlight.zeros(10).share_memory_() for _ in range(20)]
    views = [x[1:] for x in kept]
    assert descriptors() == before + 20
    del kept
    assert descriptors() == before + 20
    del views
    gc.collect()
    assert descriptors() == before


def work(i, x, how):
    x[i] += i + 1
    if how == "raises" and i == 1:
        raise ValueError("worker one")
    if how == "exits" and i == 1:
        sys.exit(3)
    if how == "dies" and i == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if how != "ends" and i == 0:
        signal.pause()  # until it is terminated


def test_spawned_processes_share_what_they_are_given():
    x = flashlight.zeros(2)
    assert mp.spawn(work, (x, "ends"), nprocs=2) is None
    assert x.tolist() == [1, 2]


@pytest.mark.parametrize("how", ["raises", "exits", "dies"])
def test_the_failure_of_one_process_ends_all(how):
    x = flashlight.zeros(2).share_memory_()
    running = mp.start_processes(
        work, (x, how), nprocs=2, join=False, start_method="fork"
    )
    assert len(running.pids()) == 2
    with pytest.raises((mp.ProcessRaisedException, mp.ProcessExitedException)) as e:
        while not running.join(timeout=60):
            pass
    error = e.value
    assert (error.error_index, error.error_pid) == (1, running.pids()[1])
    if how == "raises":
        assert error.msg.startswith(
            "\n\n-- Process 1 terminated with the following error:\nTraceback"
        )
        assert error.msg.endswith("ValueError: worker one\n")
    else:
        code, name = {"exits": (3, None), "dies": (-9, "SIGKILL")}[how]
        assert (error.exit_code, error.signal_name) == (code, name)
        text = "exit code 3" if how == "exits" else "signal SIGKILL"
        assert error.msg == f"process 1 terminated with {text}"
    assert not any(p.is_alive() for p in running.processes)
