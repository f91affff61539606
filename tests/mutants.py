"""Wrong lines, each with the tests that must notice: scripts/mutants [NAME...]

A mutant is one line of the sources made wrong: a sign, a term, a write-back, a saved
tensor, a call of a hook... They are planted one by one in a copy of the tree under
build/, which is built, and the tests named beside it must fail there. A mutant that
survives shows a test that is missing; one whose line is gone is an error.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
COPY = ROOT / "build" / "self-check"
# Longer than this is as good as a failure: a loop that does not end.
SECONDS = 900

CORE = "csrc/flashlight/core/"
AUTOGRAD = "csrc/flashlight/autograd/"
OPS = "csrc/flashlight/ops/"
BIND = "csrc/flashlight/bind/"
OPTIM = "csrc/flashlight/optim/"
REGISTRY = "tests/phase2_operators/test_registry.py"
TAPE = "tests/phase3_autograd/test_tape.py"
ENGINE = "tests/phase3_autograd/test_engine.py"
FUNCTIONS = "tests/phase3_autograd/test_functions_and_modes.py"
MEMORY = "tests/phase3_autograd/test_memory_and_threads.py"
VIEWS = "tests/phase1_tensor_core/test_views.py"
WRITES = "tests/phase1_tensor_core/test_writes.py"
FUSED = "tests/phase5_training/test_fused_steps.py"
OPTIMIZERS = "tests/phase5_training/test_optimizers.py"


class Mutant(NamedTuple):
    path: str
    right: str
    wrong: str
    tests: tuple  # arguments of pytest


def mutant(path, right, wrong, *tests):
    return Mutant(path, right, wrong, tests)


def gradient(row):
    return f"{REGISTRY}::test_gradient[{row}]"


def value(row):
    return f"{REGISTRY}::test_value[{row}]"


MUTANTS = {
    # --- core ---
    "a view's offset": mutant(
        CORE + "geometry.cpp",
        "static_cast<size_t>(view.offset));",
        "size_t{0});",
        VIEWS,
    ),
    "a view's stride": mutant(
        CORE + "geometry.cpp",
        "old_strides[i - 1] != run_numel * run_stride",
        "old_strides[i - 1] != run_stride",
        VIEWS,
        value("view"),
    ),
    "a write's axes": mutant(
        CORE + "geometry.cpp",
        "inverse[static_cast<size_t>(w.order[i])] = static_cast<int>(i);",
        "inverse[i] = w.order[i];",
        VIEWS,
    ),
    "a value that is repeated": mutant(
        CORE + "host_access.cpp",
        "if (t_step == bytes && f_step == bytes) {",
        "if (t_step == bytes) {",
        WRITES,
    ),
    "a read through a transpose": mutant(
        CORE + "host_access.cpp",
        "p.offset += w->starts[a] * array.strides()[a];",
        "p.offset += w->starts[a];",
        WRITES,
    ),
    "a buffer that is shared": mutant(
        CORE + "host_access.cpp",
        "if (!to || !array.is_donatable()) {",
        "if (!to) {",
        WRITES,
    ),
    "promotion of uint8": mutant(
        CORE + "dtype.cpp",
        "return other == Dtype::Int8 ? Dtype::Int16 : other;",
        "return other;",
        "tests/phase1_tensor_core/test_promotion.py",
    ),
    "a number that does not fit": mutant(
        CORE + "conversion.cpp",
        "return x <= top && x >= (is_signed ? -top - 1 : -top);",
        "return x <= top + 1 && x >= (is_signed ? -top - 1 : -top);",
        "tests/phase1_tensor_core/test_numbers_that_fit.py",
    ),
    "random numbers": mutant(
        CORE + "random/generator.cpp",
        "return y ^ (y >> 18);",
        "return y ^ (y >> 17);",
        "tests/phase2_operators/test_random.py",
    ),
    "pairs of complex128": mutant(
        CORE + "complex128.cpp",
        "  out.offset *= 2;\n",
        "",
        "tests/phase1_tensor_core/test_complex128.py",
    ),
    "a small difference": mutant(
        CORE + "small_graph.cpp",
        "FL_WRAPPING(Minus, -)",
        "FL_WRAPPING(Minus, +)",
        "tests/phase1_tensor_core/test_small_graphs.py",
    ),
    "storages that shrink": mutant(
        CORE + "storage.cpp",
        "std::min(want, numel())",
        "numel()",
        VIEWS,
    ),
    # --- autograd ---
    "the order of nodes": mutant(
        AUTOGRAD + "engine.cpp",
        "return a.node->sequence() < b.node->sequence();",
        "return a.node->sequence() > b.node->sequence();",
        ENGINE,
        TAPE,
    ),
    "gradients that meet": mutant(
        AUTOGRAD + "engine.cpp",
        "slot = slot.defined() ? sum(slot, grad) : std::move(grad);",
        "slot = std::move(grad);",
        TAPE,
    ),
    "what a prehook returns": mutant(
        AUTOGRAD + "engine.cpp",
        "grads = (*hook)(grads);",
        "(void)(*hook)(grads);",
        TAPE,
        ENGINE,
        FUNCTIONS,
    ),
    "saved values that are freed": mutant(
        AUTOGRAD + "engine.cpp",
        "if (!task_.options.keep_graph) {",
        "if (false) {",
        MEMORY,
    ),
    "a captured gradient": mutant(
        AUTOGRAD + "engine.cpp",
        "task_.captured[slot] = grads.at(input);",
        "task_.captured[slot] = grads.at(0);",
        TAPE,
        ENGINE,
    ),
    "a value that was written to": mutant(
        AUTOGRAD + "saved_tensor.cpp",
        "if (now != version_) {",
        "if (now < version_) {",
        TAPE,
    ),
    "which output was saved": mutant(
        AUTOGRAD + "saved_tensor.cpp",
        "    meta.output_nr = output_nr_;\n",
        "",
        REGISTRY,
        "-k",
        "test_gradient and (svd or linalg_eigh or aminmax or var_mean)",
    ),
    "a gradient that two tensors share": mutant(
        AUTOGRAD + "accumulate_grad.cpp",
        "only_held_by(grad, expected) &&",
        "only_held_by(grad, expected + 9) &&",
        ENGINE,
        "tests/fuzz/test_fuzz.py",
    ),
    "the version of a copied gradient": mutant(
        AUTOGRAD + "accumulate_grad.cpp",
        "    out.bump_version();\n",
        "",
        TAPE,
        ENGINE,
        "tests/fuzz/test_fuzz.py",
    ),
    "a base that begins elsewhere": mutant(
        AUTOGRAD + "view_autograd.cpp",
        "    g.offset -= geometry.offset;\n",
        "",
        ENGINE,
        "tests/fuzz/test_fuzz.py",
    ),
    "a view after a write": mutant(
        AUTOGRAD + "view_autograd.cpp",
        "meta.attr_version = view.version() - 1;",
        "meta.attr_version = view.version();",
        TAPE,
    ),
    "what a view may not do": mutant(
        AUTOGRAD + "autograd_meta.cpp",
        "meta.creation = inherits ? parent->creation : creation;",
        "meta.creation = inherits ? creation : creation;",
        ENGINE,
        FUNCTIONS,
    ),
    "gradients that are retained twice": mutant(
        AUTOGRAD + "autograd_meta.cpp",
        "meta_->grad = meta_->grad.defined() ? autograd_ops().add(meta_->grad, g)\n"
        "                                          : autograd_ops().clone(g);",
        "meta_->grad = autograd_ops().clone(g);",
        TAPE,
        ENGINE,
    ),
    "long chains": mutant(
        AUTOGRAD + "node.cpp", "if (list.running) {", "if (false) {", MEMORY
    ),
    "what a hook of a node is given": mutant(
        AUTOGRAD + "engine.cpp",
        "outputs = hook->post(outputs, inputs);",
        "outputs = hook->post(outputs, outputs);",
        TAPE,
        ENGINE,
        FUNCTIONS,
    ),
    # --- operators ---
    "a term of silu": mutant(
        OPS + "activations.cpp",
        "return grad * conj(s * (x * (Scalar(1) - s) + Scalar(1)));",
        "return grad * conj(s * (x * (Scalar(1) - s)));",
        gradient("silu"),
    ),
    "a factor of rsqrt": mutant(
        OPS + "pointwise.cpp",
        "return grad * conj(result * result * result) * Scalar(-0.5);",
        "return grad * conj(result * result) * Scalar(-0.5);",
        gradient("rsqrt"),
    ),
    "a conjugate": mutant(
        OPS + "pointwise.cpp",
        "return grad / conj(self);",
        "return grad / self;",
        gradient("log"),
    ),
    "ties": mutant(
        OPS + "comparison.cpp",
        "where(tie, grad / Scalar(2), grad)",
        "where(tie, grad, grad)",
        "tests/phase2_operators/test_elementwise.py",
        "-k",
        "ties",
    ),
    "an edge": mutant(
        OPS + "comparison.cpp",
        "return zero_unless(logical_and(ge(self, min), le(self, max)), grad);",
        "return zero_unless(logical_and(gt(self, min), le(self, max)), grad);",
        "tests/phase2_operators/test_elementwise.py",
        "-k",
        "ties",
    ),
    "NaN of fmax": mutant(
        OPS + "comparison.cpp",
        "return mx::where(mx::isnan(a), b, mx::where(mx::isnan(b), a, y));",
        "return y;",
        f"{REGISTRY}::test_special_values[fmax]",
    ),
    "the operand of a product": mutant(
        OPS + "matmul.cpp",
        "return bmm(adjoint_of(self), grad);",
        "return bmm(self, grad);",
        gradient("bmm"),
    ),
    "the mean's count": mutant(
        OPS + "reductions.cpp",
        "return expand(grad, self.sizes()) / Scalar(self.numel());",
        "return expand(grad, self.sizes()) / Scalar(self.numel() + 1);",
        gradient("mean"),
    ),
    "zeros of a running product": mutant(
        OPS + "scans.cpp",
        "before, left, where(logical_and(one, zero), there, zeros_like(there)));",
        "before, left, zeros_like(there));",
        gradient("cumprod"),
    ),
    "padding by reflection": mutant(
        OPS + "padding.cpp",
        "i >= n ? 2 * (n - 1) - i : i;",
        "i >= n ? 2 * n - 1 - i : i;",
        REGISTRY,
        "-k",
        "test_value and pad",
    ),
    "the gates of an LSTM": mutant(
        OPS + "recurrent.cpp",
        "mx::array cy = mx::add(mx::multiply(f, cx), mx::multiply(i, g));",
        "mx::array cy = mx::add(mx::multiply(i, cx), mx::multiply(f, g));",
        "tests/phase4_nn_modules/test_recurrent.py",
        REGISTRY,
        "-k",
        "lstm",
    ),
    "the variance that is kept": mutant(
        OPS + "normalization.cpp",
        "    running_var.set_value(narrow(n.running->var, running_var.dtype()));\n",
        "",
        "tests/phase2_operators/test_normalization.py",
    ),
    "a row that is padding": mutant(
        OPS + "embedding.cpp",
        ": where(ne(indices, padding_idx), out, Scalar(0));",
        ": out;",
        "tests/phase2_operators/test_embedding.py",
    ),
    "windows that begin outside": mutant(
        OPS + "pooling.cpp",
        "return ceil_mode && (out - 1) * stride >= in + padding ? out - 1 : out;",
        "return out;",
        REGISTRY,
        "-k",
        "test_value and pool or test_pooling",
        "tests/phase2_operators/test_pooling.py",
    ),
    "what a scatter overwrites": mutant(
        OPS + "scatter.cpp",
        "return scatter(grad, dim, index, Scalar(0));",
        "return grad;",
        gradient("scatter.src"),
    ),
    "an in-place write to a part": mutant(
        OPS + "in_parts.cpp",
        "g.offset += begin * g.strides[d - ahead];",
        "g.offset += begin;",
        "tests/phase2_operators/test_in_parts.py",
    ),
    "an operand that overlaps": mutant(
        OPS + "write_checks.cpp",
        "return begin(a) < end(b) && begin(b) < end(a);",
        "return false;",
        WRITES,
    ),
    "autocast's memory": mutant(
        OPS + "autocast.cpp",
        "if (fresh || it->second.cast.dtype() != to) {",
        "if (fresh) {",
        "tests/phase2_operators/test_autocast.py",
        "-k",
        "kept",
    ),
    # --- the binding ---
    "an index that is out of range": mutant(
        BIND + "indexing.cpp",
        "index = to_int(o);\n      int64_t n = out.view.size(dim);\n"
        "      FL_CHECK_INDEX(\n          index >= -n && index < n,",
        "index = to_int(o);\n      int64_t n = out.view.size(dim);\n"
        "      FL_CHECK_INDEX(\n          index >= -n && index <= n,",
        VIEWS,
        WRITES,
        "tests/phase2_operators/test_views.py",
    ),
    "the ellipsis": mutant(
        BIND + "indexing.cpp",
        "dim += self.dim() - used;",
        "dim += self.dim() - used - 1;",
        VIEWS,
        WRITES,
        "tests/phase2_operators/test_views.py",
    ),
    "one int for several": mutant(
        BIND + "signature.cpp",
        "return p.list_size > 0 && is_int_like(o);",
        "return is_int_like(o);",
        "tests/phase2_operators/test_signatures.py",
    ),
    "outputs that are not differentiable": mutant(
        BIND + "custom_function.cpp",
        "differentiable = node_ && !fixed_.count(t.get()) &&",
        "differentiable = node_ &&",
        FUNCTIONS,
    ),
    "a dirty input's version": mutant(
        BIND + "custom_function.cpp",
        "      t.bump_version();\n",
        "      (void)t;\n",
        FUNCTIONS,
    ),
    # --- optimizers ---
    "Adam's correction": mutant(
        OPTIM + "adam.cpp",
        "std::sqrt(1 - std::pow(beta2, s.count))",
        "std::sqrt(1 - std::pow(beta1, s.count))",
        FUSED,
    ),
    "AMSGrad": mutant(
        OPTIM + "adam.cpp",
        "T most = largest[i] < v ? v : largest[i];",
        "T most = v;",
        FUSED,
    ),
    "Nesterov": mutant(
        OPTIM + "sgd.cpp",
        "g = ahead ? g + b * keep : b;",
        "g = ahead ? b : b;",
        FUSED,
    ),
    "Adagrad's count": mutant(
        OPTIM + "adagrad.cpp",
        "(s.count - 1) * lr_decay",
        "s.count * lr_decay",
        FUSED,
    ),
    "RMSprop's decay": mutant(
        "flashlight/optim/rmsprop.py",
        "grad_avg.lerp_(grad, 1 - alpha)",
        "grad_avg.lerp_(grad, alpha)",
        OPTIMIZERS,
    ),
    "the scale that shrinks": mutant(
        "flashlight/amp/grad_scaler.py",
        "self._growth_tracker.zero_()",
        "pass",
        "tests/phase5_training/test_grad_scaler.py",
    ),
    "clipping": mutant(
        "flashlight/nn/utils/clip_grad.py",
        "max=1.0)",
        "max=2.0)",
        "tests/phase4_nn_modules/test_nn_utils.py",
    ),
}


def check_lines(mutants):
    """Raises for one whose line is gone, or is there more often than once."""
    for name, m in mutants.items():
        count = (ROOT / m.path).read_text().count(m.right)
        assert count == 1, f"{name}: {count} lines {m.right!r} in {m.path}"
        assert m.wrong != m.right, name


def make_copy():
    """Brings the copy up to date; what has not changed keeps its time."""
    listing = subprocess.check_output(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True
    )
    for name in listing.split():
        if not (ROOT / name).is_file():
            continue
        to = COPY / name
        to.parent.mkdir(parents=True, exist_ok=True)
        if not to.exists() or to.read_bytes() != (ROOT / name).read_bytes():
            shutil.copyfile(ROOT / name, to)


def build():
    run = [sys.executable, "-c", "import cmake; print(cmake.CMAKE_BIN_DIR)"]
    cmake = Path(subprocess.check_output(run, text=True).strip()) / "cmake"
    if not (COPY / "build" / "build.ninja").exists():
        subprocess.run(
            [
                *(cmake, "-S", COPY, "-B", COPY / "build", "-G", "Ninja"),
                f"-DPython_EXECUTABLE={sys.executable}",
                "-DCMAKE_BUILD_TYPE=Release",
                "-DCMAKE_CXX_FLAGS_RELEASE=-O1",
                "-DFLASHLIGHT_WERROR=OFF",  # of what is not used any more
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    run = subprocess.run(
        [cmake, "--build", COPY / "build"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    check_import()


def environment():
    """That of a process which imports the copy."""
    path = os.pathsep.join([str(COPY), str(ROOT / "tools" / "elsewhere")])
    return {**os.environ, "PYTHONPATH": path}


def check_import():
    """Tests of the copy must not be those of the checkout."""
    run = [sys.executable, "-c", "import flashlight._C as c; print(c.__file__)"]
    found = subprocess.check_output(run, cwd=COPY, env=environment(), text=True)
    assert Path(found.strip()).is_relative_to(COPY), found


def passes(*tests):
    """Whether the tests pass on the copy; they must at least have run."""
    try:
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-qx", "-p", "no:cacheprovider", *tests],
            cwd=COPY,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return False
    ran = re.search(r"\d+ (passed|failed)", run.stdout) or run.returncode < 0
    assert ran, run.stdout + run.stderr
    return run.returncode == 0


class Planted:
    """The copy with a wrong line in it, for a while; built by the caller."""

    def __init__(self, path, right, wrong):
        self.path = COPY / path
        self.text = self.path.read_text()
        self.broken = self.text.replace(right, wrong, 1)

    def __enter__(self):
        self.path.write_text(self.broken)

    def __exit__(self, *exception):
        self.path.write_text(self.text)


def verdict(m):
    """What became of a mutant."""
    with Planted(m.path, m.right, m.wrong):
        if m.path.startswith("csrc"):
            build()
        return "survived" if passes(*m.tests) else "noticed"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="some of them; all if there is none")
    parser.add_argument("--list", action="store_true", help="only say what there is")
    args = parser.parse_args()
    unknown = set(args.names) - set(MUTANTS)
    if unknown:
        parser.error(f"no mutant {', '.join(sorted(unknown))}")
    chosen = {k: m for k, m in MUTANTS.items() if not args.names or k in args.names}
    check_lines(chosen)
    if args.list:
        print("\n".join(f"{k}: {m.path}" for k, m in chosen.items()))
        return 0
    make_copy()
    build()
    for tests in {m.tests for m in chosen.values()}:
        assert passes(*tests), f"without a mutant: {' '.join(tests)}"
    verdicts = []
    for name, m in chosen.items():
        begin = time.monotonic()
        verdicts.append(verdict(m))
        spent = f"{time.monotonic() - begin:.0f} s"
        print(f"{verdicts[-1]:9} {name} ({m.path}, {spent})", flush=True)
    build()
    survivors = verdicts.count("survived")
    print(f"{len(verdicts)} mutants, {survivors} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
