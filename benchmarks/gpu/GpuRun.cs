using System.Diagnostics;
using System.Globalization;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>What the parts of one run share: the device, the sizes, the time that is left, and the results.</summary>
/// <param name="info">The device.</param>
/// <param name="precisions">Those to measure, the most important first.</param>
/// <param name="quick">Sizes to try the program out.</param>
/// <param name="results">Where rows go.</param>
internal sealed class GpuRun(DeviceInfo info, IReadOnlyList<Precision> precisions, bool quick, GpuResults results)
{
    private long _start;
    private double _budget;

    public bool Quick => quick;

    public IReadOnlyList<Precision> Precisions => precisions;

    public GpuResults Results => results;

    /// <summary>The networks whose convolutions and steps are timed: name, options, image size, batch.</summary>
    public IReadOnlyList<(string Name, UnetOptions Options, int Image, int Batch)> Unets { get; } = quick
        ? [("unet-quick", new UnetOptions { Dim = 8, DimMults = [1, 2] }, 16, 2)]
        : [("unet-32", new UnetOptions(), 32, 16), ("unet-128", new UnetOptions(), 128, 4)];

    /// <summary>Images at a time of Inception: as many as its users hand over, fewer where only layers are timed.</summary>
    public (int Network, int Layers) InceptionBatch => quick ? (1, 1) : (64, 16);

    /// <summary>Whether the part's time is up.</summary>
    public bool IsOver => Stopwatch.GetElapsedTime(_start).TotalSeconds > _budget;

    public static string NameOf(Precision precision) => precision.ToString().ToLowerInvariant();

    /// <summary>Opens the device anew: a part that breaks it breaks no other, and memory is counted from zero.</summary>
    public Device Open(Precision precision, string? kernelCache = null) => Device.Open(info.Id, precision, kernelCache);

    public GpuTimer NewTimer(Device device) => new(device, quick);

    /// <summary>Runs a part; what it throws becomes a gap.</summary>
    public void Do(string name, double seconds, Action<GpuRun> part)
    {
        (_start, _budget) = (Stopwatch.GetTimestamp(), seconds);
        int before = results.Rows.Count;
        try
        {
            part(this);
        }
#pragma warning disable CA1031 // Whatever breaks one part, the others are worth having.
        catch (Exception error)
#pragma warning restore CA1031
        {
            results.Gaps.Add(new GpuGap(name, $"{error.GetType().Name}: {error.Message.ReplaceLineEndings(" ")}", Failed: true));
            Console.WriteLine($"{name}: FAILED: {error}");
        }
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}: {results.Rows.Count - before} rows in "
            + $"{Stopwatch.GetElapsedTime(_start).TotalSeconds:0.0} of {seconds:0} s"));
    }

    /// <summary>Notes that time ran out.</summary>
    /// <param name="part">What is not complete.</param>
    /// <param name="when">After what, or before it began.</param>
    public void RanOut(string part, string when = "before it began")
    {
        results.Gaps.Add(new GpuGap(part, $"out of time {when}", Failed: false));
        Console.WriteLine($"{part}: out of time {when}");
    }

    /// <summary>Notes what a part's kernels cost to load.</summary>
    public void NoteKernels(string part, Device device)
    {
        var loads = device.Kernels;
        if (loads.Count > 0)
        {
            results.Facts.Add(string.Create(CultureInfo.InvariantCulture, $"{part}: {loads.Count} kernels, {loads.Kept} from disk; "
                + $"{loads.Compiling.TotalSeconds:0.0} s to compile or find, {loads.Driver.TotalSeconds:0.0} s in the driver"));
        }
    }
}
