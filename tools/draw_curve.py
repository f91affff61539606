"""Draw README's figure: examples/digits.py's loss under flashlight and under torch.

    python tools/draw_curve.py docs/images/digits_curve.png

Both train from the same seed in processes of their own; prints how far apart the
losses are.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

ROOT = pathlib.Path(__file__).parent.parent
RUN = """
import argparse, json, sys
sys.path.insert(0, sys.argv[1])
import digits, torch
torch.manual_seed(0)
args = argparse.Namespace(batch_size=64, lr=3e-3, steps=int(sys.argv[2]), epochs=0)
model = digits.Net()
print(json.dumps(digits.train(model, digits.load_data()[0], args, "cpu")))
"""


def losses(command, steps):
    out = subprocess.run(
        [*command, str(ROOT / "examples"), str(steps)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return json.loads(out.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=345)
    args = parser.parse_args()
    script = args.file.with_suffix(".py")
    args.file.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(RUN)
    try:
        ours = losses(
            [sys.executable, "-m", "flashlight", "run", str(script)], args.steps
        )
        theirs = losses([sys.executable, str(script)], args.steps)
    finally:
        script.unlink()
    apart = [abs(a - b) / b for a, b in zip(ours, theirs)]
    for n in (10, 50, len(apart)):
        print(f"first {n} losses: at most {max(apart[:n]):.1e} apart (relative)")
    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    axes.plot(theirs, label="PyTorch", linewidth=4, color="tab:orange", alpha=0.5)
    axes.plot(ours, label="flashlight", linewidth=1, color="tab:blue")
    axes.set(xlabel="step", ylabel="cross-entropy", yscale="log")
    axes.legend()
    figure.savefig(args.file, dpi=120)


if __name__ == "__main__":
    main()
