"""One run of torch_peer.py: its device, sizes and time, how launches are timed, and the file of results."""
import json
import os
import platform
import time

import torch


class Run:
    """The device, the sizes, the time that is left, and the results."""

    def __init__(self, options):
        self.device, self.quick, self.file = torch.device(options.device), options.quick, options.json
        self.is_cuda = self.device.type == "cuda"
        self.precisions = ["tf32", "bf16", "float32"] if self.is_cuda else ["float32", "bf16"]
        self.rows, self.gaps, self.facts, self.pending = [], [], [], []
        self.unets = ([("unet-quick", {"dim": 8, "dim_mults": (1, 2)}, 16, 2)] if options.quick
                      else [("unet-32", {}, 32, 16), ("unet-128", {}, 128, 4)])
        self.inception_batch, self.inception_layers = (1, 1) if options.quick else (64, 16)
        self.end = 0
        self.is_graphed = self.is_cuda

    def is_over(self):
        """Whether the part's time is up."""
        return time.perf_counter() > self.end

    def ran_out(self, part, when="before it began"):
        """Notes that time ran out."""
        self.gaps.append({"part": part, "why": f"out of time {when}", "failed": False})

    def do(self, name, seconds, part):
        """Runs a part; what it raises becomes a gap."""
        start, before = time.perf_counter(), len(self.rows)
        self.end = start + seconds
        self.write()
        try:
            part(self)
        except Exception as error:  # whatever breaks one part, the others are worth having
            why = f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]
            # A compiler that is not there is no fault of a network.
            self.gaps.append({"part": name, "why": why, "failed": not name.startswith("compiled")})
            print(f"PyTorch {name}: FAILED: {why}", flush=True)
        self.pending.remove(name)
        self.write()
        print(f"PyTorch {name}: {len(self.rows) - before} rows in {time.perf_counter() - start:.1f} of {seconds:.0f} s", flush=True)

    def write(self):
        """Writes the file in one step; a run that is ended from outside leaves what it had, and the names of what is missing."""
        pending = [{"part": name, "why": "was ended before its end", "failed": False} for name in self.pending]
        name = torch.cuda.get_device_name() if self.is_cuda else platform.processor() or platform.machine()
        with open(self.file + ".partial", "w", encoding="utf-8") as file:
            json.dump({"engine": "PyTorch", "device": name, "facts": self.facts, "quick": self.quick, "rows": self.rows,
                       "gaps": self.gaps + pending}, file, indent=1)
        os.replace(self.file + ".partial", self.file)

    def synchronize(self):
        """Waits for the device."""
        if self.is_cuda:
            torch.cuda.synchronize()

    def add(self, part, network, name, where, precision, measured, **more):
        """Adds a row."""
        self.rows.append({"part": part, "network": network, "name": name, "pass": where, "precision": precision, **measured, **more})

    def measure(self, launch, graph=False):
        """Median and shortest time of one launch, as the library's own program takes them; of a graph of launches too where asked."""
        repeats, seconds = (3, 1e-3) if self.quick else (9, 3e-3)
        launched = 0

        def run(count):
            nonlocal launched
            start = time.perf_counter()
            for _ in range(count):
                launch(launched)
                launched += 1
            self.synchronize()
            return time.perf_counter() - start

        run(1)  # chooses algorithms
        count = min(max(1, round(seconds / run(1) + 0.5)), 200)
        if count > 1:
            run(count)
        times = sorted(run(count) / count for _ in range(repeats))
        measured = {"seconds": times[repeats // 2], "least": times[0]}
        if graph and self.is_graphed:
            try:
                measured["graph_seconds"] = self.measure_graph(launch, min(count, 64), repeats)
            except RuntimeError as error:  # the times with launches remain
                self.is_graphed = False
                self.gaps.append({"part": "CUDA graphs", "why": " ".join(str(error).split())[:200], "failed": False})
        return measured

    def measure_graph(self, launch, count, repeats):
        """The median of one launch among some that the device begins by itself."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for i in range(count):
                launch(i)
        times = []
        for _ in range(repeats + 1):
            torch.cuda.synchronize()
            start = time.perf_counter()
            graph.replay()
            torch.cuda.synchronize()
            times.append((time.perf_counter() - start) / count)
        return sorted(times[1:])[repeats // 2]

    def reset_peak(self):
        """Counts memory anew."""
        if self.is_cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak(self):
        """The most bytes that were in use since."""
        return torch.cuda.max_memory_allocated() if self.is_cuda else 0

    def copies(self, size):
        """Copies of buffers that launches take turns with, so that none finds its operands in a second-level cache."""
        return 1 if self.quick else int(min(max(1, -(-160_000_000 // size)), 64))
