using System.Diagnostics;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>Median and shortest of some repetitions, in seconds of one execution.</summary>
internal readonly record struct GpuTime(double Median, double Least);

/// <summary>Times what is launched: k launches, one wait, often enough for a median.</summary>
/// <param name="device">What is waited for.</param>
/// <param name="quick">Few and short repetitions, to try a program out.</param>
internal sealed class GpuTimer(Device device, bool quick)
{
    private const int MostLaunches = 200;

    private readonly int _repeats = quick ? 3 : 9;
    private readonly double _seconds = quick ? 1e-3 : 3e-3;

    /// <summary>Bytes that the buffers of a kernel must exceed together, so that none finds its operands in a second-level cache.</summary>
    public long RotatedBytes { get; } = quick ? 1 : 160_000_000;

    /// <summary>Copies of buffers of a kernel that launches take turns with.</summary>
    public int Copies(long bytes) => (int)Math.Clamp((RotatedBytes + bytes - 1) / bytes, 1, 64);

    /// <summary>Times something.</summary>
    /// <param name="launch">Does it once; told which time it is.</param>
    public GpuTime Measure(Action<int> launch)
    {
        int launched = 0;
        Run(1); // compiles
        double once = Run(1);
        int count = (int)Math.Clamp(Math.Ceiling(_seconds / once), 1, MostLaunches);
        if (count > 1)
            Run(count); // clocks rise
        var times = new double[_repeats];
        for (int i = 0; i < times.Length; i++)
            times[i] = Run(count) / count;
        Array.Sort(times);
        return new GpuTime(Race.Median(times), times[0]);

        double Run(int count)
        {
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < count; i++)
                launch(launched++);
            device.Synchronize();
            return Stopwatch.GetElapsedTime(start).TotalSeconds;
        }
    }
}
