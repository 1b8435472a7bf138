"""PyTorch, and with it cuDNN and cuBLAS, at the work that "benchmarks gpu" times: the same layers, steps and sizes, the same medians, and
rows of the same form, so that "benchmarks gpu-report" lays them side by side. The networks are first compared with the golden files;
where they deviate, nothing is timed.

usage: python3 torch_peer.py [--device cuda] [--json FILE] [--goldens DIR] [--parts NAME,..] [--seconds N] [--quick] [--no-compile]
  --goldens     the folder with unet/ and inception/; by default tests/Golden of the checkout
  --parts       those whose names begin so; all where none are named
  --quick       tiny sizes, to try the script out, on a CPU too: the figures mean nothing

Convolutions are cuDNN's alone: what PyTorch spends on joining or upsampling their inputs is not in them. They lie channels-last, in float32
as PyTorch has them by default. Whole networks run channels-last in BF16, under autocast (Inception as a BF16 network); else the faster of
both layouts counts.
"""
import argparse
import contextlib
import os
import platform
import sys
import time
import warnings

import torch
from torch.nn import functional as F

import torch_goldens
from torch_networks import Unet
from torch_run import Run

LAYOUTS = {"nchw": torch.contiguous_format, "nhwc": torch.channels_last}


def use(precision):
    """Sets whether float32 products may be rounded to TF32."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "float32"


def type_of(precision):
    return torch.bfloat16 if precision == "bf16" else torch.float32


def layouts_of(precision):
    """Layouts of whole networks."""
    return ["nhwc"] if precision == "bf16" else list(LAYOUTS)


def fastest(candidates):
    """The measurement with the least median, and what it is of."""
    return min(candidates, key=lambda entry: entry[1]["seconds"])


def layers(network, *inputs):
    """The convolutions of a network as it meets them: name, geometry, whether the input is images."""
    found = []

    def note(name, module):
        def hook(_, arguments):
            n, c, h, w = arguments[0].shape
            k, (r, s), stride, pad = module.out_channels, module.kernel_size, module.stride[0], module.padding
            if c != module.in_channels:  # folded pixels
                r, s, stride, pad = 2, 2, 2, (0, 0)
            parts = name.split(".")
            joined = parts[0] in ("ups", "final_res_block") and name.endswith(("block1.proj", "res_conv"))
            upsampled = parts[0] == "ups" and name.endswith(".3.1")
            title = f"{r}x{s}{f's{stride}' if stride > 1 else ''} {c} -> {k}, {h}x{w}"
            found.append((title + (", joined" if joined else "") + (", upsampled" if upsampled else ""),
                          (n, c, h, w, k, r, s, stride, tuple(pad)), name == "init_conv"))
        return hook

    handles = [module.register_forward_pre_hook(note(name, module)) for name, module in network.named_modules()
               if isinstance(module, torch.nn.Conv2d)]
    with torch.no_grad():
        network.to("meta")(*inputs)
    for handle in handles:
        handle.remove()
    return {layer: found.count(layer) for layer in found}


def convolutions(run, network, counted, gradients):
    """Every distinct convolution of a network, each pass by itself, without bias."""
    for precision in run.precisions:
        use(precision)
        done = 0
        for (name, shape, is_first), times in counted.items():
            if run.is_over():
                run.ran_out(f"convolutions {network}, {precision}", f"after {done} of {len(counted)} layers")
                break
            passes = ["forward"] + (["filter gradient"] + ([] if is_first else ["input gradient"]) if gradients else [])
            for where in passes:
                layout = "nchw" if precision == "float32" else "nhwc"
                measured = convolution(run, shape, where, precision, layout)
                n, c, h, w, k, r, s, stride, pad = shape
                pixels = n * ((h + 2 * pad[0] - r) // stride + 1) * ((w + 2 * pad[1] - s) // stride + 1)
                run.add("convolution", network, name, where, precision, measured, times=times, flop=2.0 * pixels * r * s * c * k,
                        layout=layout)
            done += 1
        run.write()


def convolution(run, shape, where, precision, layout):
    """One pass of a convolution in one layout."""
    n, c, h, w, k, r, s, stride, pad = shape

    def new(*extents):
        return torch.randn(extents, device=run.device).to(type_of(precision)).to(memory_format=LAYOUTS[layout])

    out_h, out_w = (h + 2 * pad[0] - r) // stride + 1, (w + 2 * pad[1] - s) // stride + 1
    size = type_of(precision).itemsize * (n * c * h * w + k * c * r * s + n * k * out_h * out_w)
    sets = [(new(n, c, h, w), new(k, c, r, s), new(n, k, out_h, out_w)) for _ in range(run.copies(size))]
    mask = [where == "input gradient", where == "filter gradient", False]

    def launch(i):
        x, weight, dy = sets[i % len(sets)]
        if where == "forward":
            F.conv2d(x, weight, None, stride, pad)
        else:
            torch.ops.aten.convolution_backward(dy, x, weight, None, [stride, stride], list(pad), [1, 1], False, [0, 0], 1, mask)

    with torch.no_grad():
        return run.measure(launch, graph=True)


def matmul(run):
    """Products of two square matrices."""
    for precision in run.precisions:
        use(precision)
        for n in [64] if run.quick else [4096, 2048, 1024]:
            if run.is_over():
                run.ran_out(f"matmul, {precision}", f"before size {n}")
                break
            sets = [[torch.randn(n, n, device=run.device).to(type_of(precision)) for _ in range(3)]
                    for _ in range(run.copies(3 * type_of(precision).itemsize * n * n))]

            def multiply(i):
                a, b, c = sets[i % len(sets)]
                torch.mm(a, b, out=c)

            run.add("matmul", "", str(n), "", precision, run.measure(multiply, graph=True), flop=2.0 * n ** 3)


def root(run):
    """The sum of singular values in float64, from the eigenvalues of the Gram matrix: PyTorch has no ladder."""
    n = 64 if run.quick else 2048
    b = torch.rand(n, n, dtype=torch.float64, device=run.device) - 0.5
    run.add("root", "", str(n), "", "float64", run.measure(lambda _: torch.linalg.eigvalsh(b @ b.T).clamp_min(0).sqrt().sum().item()))


def schedule(run):
    """What the noise leaves of an image at each of 1000 times: the cosine of Nichol and Dhariwal, which costs what any schedule costs."""
    steps = torch.arange(1000, device=run.device) / 1000
    return torch.cos((steps + 0.008) / 1.008 * torch.pi / 2) ** 2


def training(run, network, options, image, batch, compiled=False):
    """A training step: upload, loss, gradients, clipping, Adam, average; the loss is read."""
    for precision in run.precisions[:2] if compiled else run.precisions:
        if run.is_over():
            run.ran_out(f"training {network}, {precision}")
            continue
        use(precision)
        layouts = ["nhwc"] if compiled else layouts_of(precision)
        found = [(layout, training_step(run, options, image, batch, precision, layout, compiled)) for layout in layouts]
        layout, measured = fastest(found)
        run.add("training", network, f"batch {batch}", "", precision + (" compiled" if compiled else ""), measured, images=batch,
                layout=layout)
        run.write()


def autocast(run, precision):
    return torch.autocast(run.device.type, torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()


def training_step(run, options, image, batch, precision, layout, compiled):
    """One precision in one layout."""
    run.reset_peak()
    unet = Unet(**options).to(run.device, memory_format=LAYOUTS[layout])
    average = [parameter.detach().clone() for parameter in unet.parameters()]
    adam = torch.optim.Adam(unet.parameters(), lr=1e-4, betas=(0.9, 0.99))
    forward = torch.compile(unet) if compiled else unet
    kept = schedule(run)
    images = torch.rand(batch, 3, image, image)
    steps = 0

    def step(_):
        nonlocal steps
        clean = images.to(run.device).to(memory_format=LAYOUTS[layout]) * 2 - 1
        times = torch.randint(0, 1000, (batch,), device=run.device)
        noise, share = torch.randn_like(clean), kept[times][:, None, None, None]
        noisy = share.sqrt() * clean + (1 - share).sqrt() * noise
        with autocast(run, precision):
            predicted = forward(noisy, times.float())
        target = share.sqrt() * noise - (1 - share).sqrt() * clean
        loss = F.mse_loss(predicted.float(), target, reduction="none").mean(dim=(1, 2, 3)).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        adam.step()
        adam.zero_grad()
        steps += 1
        if steps % 10 == 0:
            with torch.no_grad():
                torch._foreach_lerp_(average, list(unet.parameters()), 0.005)
        if not loss.item() < 1e6:
            raise ArithmeticError(f"the loss of step {steps} is not finite")

    return {**run.measure(step), "peak_bytes": run.peak()}


def sampling(run, network, options, image, batch, compiled=False):
    """A step of DDIM: the network once, and the next state from its result."""
    count = 8
    for precision in run.precisions[:2] if compiled else run.precisions:
        if run.is_over():
            run.ran_out(f"sampling {network}, {precision}")
            continue
        use(precision)
        found = []
        for layout in ["nhwc"] if compiled else layouts_of(precision):
            run.reset_peak()
            unet = Unet(**options).to(run.device, memory_format=LAYOUTS[layout]).eval()
            forward = torch.compile(unet) if compiled else unet
            kept = schedule(run)

            def sample(_):
                x = torch.randn(batch, 3, image, image, device=run.device).to(memory_format=LAYOUTS[layout])
                for i in range(count, 0, -1):
                    now, after = kept[i * 1000 // count - 1], kept[max(0, (i - 1) * 1000 // count - 1)]
                    times = torch.full((batch,), float(i * 1000 // count - 1), device=run.device)
                    with autocast(run, precision):
                        v = forward(x, times)
                    clean = (now.sqrt() * x - (1 - now).sqrt() * v).clamp(-1, 1)
                    noise = (x - now.sqrt() * clean) / (1 - now).sqrt()
                    x = after.sqrt() * clean + (1 - after).sqrt() * noise

            with torch.no_grad():
                measured = run.measure(sample)
            measured = {key: value / count for key, value in measured.items()}
            found.append((layout, {**measured, "peak_bytes": run.peak()}))
        layout, measured = fastest(found)
        run.add("sampling", network, f"batch {batch}", "", precision + (" compiled" if compiled else ""), measured, images=batch,
                layout=layout)
        run.write()


def inception(run, compiled=False):
    """Features of prepared images that lie on the device."""
    batch = run.inception_batch
    network = torch_goldens.hashed_inception()
    for precision in run.precisions[:2] if compiled else run.precisions:
        if run.is_over():
            run.ran_out(f"inception, {precision}")
            continue
        use(precision)
        found = []
        for layout in ["nhwc"] if compiled else layouts_of(precision):
            run.reset_peak()
            placed = network.to(run.device, type_of(precision), memory_format=LAYOUTS[layout])
            images = torch.rand(batch, 3, 299, 299, device=run.device).to(type_of(precision)).to(memory_format=LAYOUTS[layout])
            forward = torch.compile(placed) if compiled else placed
            with torch.no_grad():
                found.append((layout, {**run.measure(lambda _: forward(images)), "peak_bytes": run.peak()}))
        layout, measured = fastest(found)
        run.add("inception", "inception", f"batch {batch}", "", precision + (" compiled" if compiled else ""), measured, images=batch,
                layout=layout)
        run.write()


def parts_of(run, compile_too):
    """Name, share of the time, work; those that are judged first."""
    def unet_layers(options, image, batch):
        return layers(Unet(**options), torch.zeros(batch, 3, image, image, device="meta"), torch.zeros(batch, device="meta"))

    def inception_layers():
        found = layers(torch_goldens.Inception(), torch.zeros(run.inception_layers, 3, 299, 299, device="meta"))
        return dict(list(found.items())[:4]) if run.quick else found

    first, *others = run.unets
    yield (f"convolutions {first[0]}", 12, lambda run: convolutions(run, first[0], unet_layers(*first[1:]), True))
    yield ("matmul", 1, matmul)
    yield ("root", 1, root)
    yield (f"training {first[0]}", 2, lambda run: training(run, *first))
    yield (f"sampling {first[0]}", 1, lambda run: sampling(run, *first))
    yield ("inception", 2, inception)
    yield ("convolutions inception", 2, lambda run: convolutions(run, "inception", inception_layers(), False))
    for other in others:
        yield (f"convolutions {other[0]}", 3,
               lambda run, other=other: convolutions(run, other[0], unet_layers(*other[1:]), True))
        yield (f"training {other[0]}", 2, lambda run, other=other: training(run, *other))
        yield (f"sampling {other[0]}", 1, lambda run, other=other: sampling(run, *other))
    if compile_too:
        yield (f"compiled training {first[0]}", 5, lambda run: training(run, *first, compiled=True))
        yield (f"compiled sampling {first[0]}", 3, lambda run: sampling(run, *first, compiled=True))
        yield ("compiled inception", 3, lambda run: inception(run, compiled=True))


def main():
    """Checks, then times."""
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--json", default="torch.json")
    parser.add_argument("--goldens", default=os.path.join(here, "..", "..", "tests", "Golden"))
    parser.add_argument("--parts", default="")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--no-compile", action="store_true")
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print("PyTorch sees no CUDA device; --device cpu --quick tries the script out", file=sys.stderr)
        return 3
    start = time.perf_counter()
    warnings.filterwarnings("ignore")
    torch.manual_seed(0)
    run = Run(options)
    run.facts.append(f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}, "
                     f"Python {platform.python_version()}")
    use("float32")
    run.facts.append(torch_goldens.check(options.goldens, run.device))
    print("\n".join(run.facts), flush=True)
    torch.backends.cudnn.benchmark = True
    wanted = [name for name in options.parts.split(",") if name]
    parts = [part for part in parts_of(run, run.is_cuda and not options.no_compile)
             if not wanted or any(part[0].startswith(name) for name in wanted)]
    run.pending = [name for name, _, _ in parts]
    for i, (name, weight, work) in enumerate(parts):
        left = max(0.0, options.seconds - (time.perf_counter() - start))
        run.do(name, left * weight / sum(share for _, share, _ in parts[i:]), work)
    return 1 if any(gap["failed"] for gap in run.gaps) else 0


if __name__ == "__main__":
    sys.exit(main())
