using System.CommandLine;

namespace Diffusion.Gpu.Cli;

/// <summary>Options that several commands share.</summary>
internal static class CommonOptions
{
    public static Option<bool> Json() => new("--json")
    {
        Description = "Write one JSON object per result for machines, and no progress display.",
    };

    public static Option<string> Device(string defaultDevice = "auto") => new("--device")
    {
        Description = "auto (CUDA if there is one, else cpu), cuda:N, opencl:N, cpu; see 'diffusion devices'.",
        HelpName = "DEVICE",
        DefaultValueFactory = _ => defaultDevice,
    };

    public static Option<string> Precision(string defaultPrecision = "auto") => new("--precision")
    {
        Description = "How matrix products are computed: float32, or tf32 or bf16 on NVIDIA GPUs from compute capability 8.0 on; "
            + "auto is tf32 there and float32 elsewhere.",
        HelpName = "PRECISION",
        DefaultValueFactory = _ => defaultPrecision,
    };

    /// <summary>Reads a precision's name; null for the device's own choice.</summary>
    /// <exception cref="UsageException">There is no such precision.</exception>
    public static Kernels.Precision? ParsePrecision(string name)
    {
        if (name.Equals("auto", StringComparison.OrdinalIgnoreCase))
            return null;
        return Enum.TryParse<Kernels.Precision>(name, ignoreCase: true, out var precision) && Enum.IsDefined(precision)
            ? precision
            : throw new UsageException($"--precision {name}: expected one of auto, "
                + $"{string.Join(", ", Enum.GetNames<Kernels.Precision>()).ToLowerInvariant()}.");
    }
}
