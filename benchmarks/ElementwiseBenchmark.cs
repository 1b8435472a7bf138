using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>Times the ops that move memory, beside a copy: what the memory allows.</summary>
[Config(typeof(Columns))]
public class ElementwiseBenchmark
{
    private static readonly RandomKey Key = new(1, 0, 0);

    private Device _device = null!;
    private Tensor _x = null!;
    private Tensor _other = null!;
    private Tensor _gain = null!;
    private Tensor _scaleShift = null!;

    /// <summary>Where to run.</summary>
    [Params("cpu")]
    public string DeviceId { get; set; } = "cpu";

    /// <summary>Image height and width in pixels; channels are 2048 divided by it, as in a U-Net of width 64. The batch is 16.</summary>
    [Params(32, 8)]
    public int Size { get; set; }

    /// <summary>Makes the tensors.</summary>
    [GlobalSetup]
    public void Setup()
    {
        int channels = 2048 / Size;
        _device = Device.Open(DeviceId);
        using var tape = _device.NewTape(recording: false);
        _x = tape.Keep(tape.Normal([16, Size, Size, channels], Key));
        _other = tape.Keep(tape.Normal(_x.Shape, Key with { Draw = 1 }));
        _gain = tape.Keep(tape.Normal([channels], Key));
        _scaleShift = tape.Keep(tape.Normal([16, 2 * channels], Key));
    }

    /// <summary>Copies the tensor: the roof.</summary>
    [Benchmark(Baseline = true), Moves(2)]
    public void Copy()
    {
        _device.Backend.Accumulate(_x, new GradientTarget(_other, false));
        _device.Backend.Synchronize();
    }

    /// <summary>Adds two tensors.</summary>
    [Benchmark, Moves(3)]
    public void Add() => Run(tape => tape.Add(_x, _other));

    /// <summary>SiLU alone.</summary>
    [Benchmark, Moves(2)]
    public void Silu() => Run(tape => tape.Silu(_x));

    /// <summary>All of a U-Net block but its convolution.</summary>
    [Benchmark, Moves(2)]
    public void RmsNormSilu() => Run(tape => tape.RmsNormSilu(_x, _gain, _scaleShift));

    /// <summary>The same with its gradients, which read x and dy and write dx.</summary>
    [Benchmark, Moves(5)]
    public void RmsNormSiluAndGradients()
    {
        using var tape = _device.NewTape();
        tape.Watch(_x);
        tape.Watch(_gain);
        tape.Watch(_scaleShift);
        tape.Backward(tape.RmsNormSilu(_x, _gain, _scaleShift), _other);
        _device.Backend.Synchronize();
    }

    /// <summary>Joins two tensors along the channels.</summary>
    [Benchmark, Moves(4)]
    public void Concat() => Run(tape => tape.Concat(_x, _other));

    /// <summary>Draws a mask and applies it.</summary>
    [Benchmark, Moves(2)]
    public void Dropout() => Run(tape => tape.Dropout(_x, 0.1f, Key));

    /// <summary>Frees the tensors.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        _x.Dispose();
        _other.Dispose();
        _gain.Dispose();
        _scaleShift.Dispose();
        _device.Dispose();
    }

    private void Run(Func<Tape, Tensor> op)
    {
        using var tape = _device.NewTape(recording: false);
        op(tape);
        _device.Backend.Synchronize();
    }

    private sealed class Columns : ManualConfig
    {
        public Columns() => AddColumn(new ThroughputColumn(benchmark => 4.0 * 16 * 2048 * (int)benchmark.Parameters[nameof(Size)]));
    }
}
