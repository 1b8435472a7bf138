namespace Diffusion.Gpu.Cli;

/// <summary>What to draw, from which checkpoint, into which folder.</summary>
/// <param name="Checkpoint">The checkpoint's path.</param>
/// <param name="Count">Number of images.</param>
/// <param name="Folder">Receives one PNG per image and a grid of all.</param>
internal sealed record SampleRequest(string Checkpoint, int Count, string Folder)
{
    /// <summary>Images drawn together; changes the speed and nothing else.</summary>
    public int Batch { get; init; } = 16;

    /// <summary>ddim, ddpm or dpm++2m.</summary>
    public string Sampler { get; init; } = "ddim";

    /// <summary>Network calls per image; ddpm takes all steps of the process.</summary>
    public int Steps { get; init; } = 50;

    /// <summary>Noise of DDIM: 0 none, 1 as much as DDPM.</summary>
    public float Eta { get; init; }

    /// <summary>Image i is a function of the seed and i.</summary>
    public ulong Seed { get; init; }

    /// <summary>Index of the first image.</summary>
    public uint First { get; init; }

    /// <summary>False draws from the weights that training left instead of their average.</summary>
    public bool Averaged { get; init; } = true;

    /// <summary>Whether files that exist are replaced.</summary>
    public bool Overwrite { get; init; }

    /// <summary>Where the network runs.</summary>
    public string Device { get; init; } = "auto";

    /// <summary>How matrix products are computed.</summary>
    public Kernels.Precision? Precision { get; init; }

    /// <summary>Refuses impossible values before anything is opened.</summary>
    /// <exception cref="UsageException">A value is impossible.</exception>
    public void Validate()
    {
        AtLeastOne("--count", Count);
        AtLeastOne("--batch", Batch);
        AtLeastOne("--steps", Steps);
        if (Eta is not (>= 0 and <= 1))
            throw new UsageException($"--eta {Eta}: expected a number from 0 to 1.");
        if (Eta > 0 && Sampler != "ddim")
            throw new UsageException($"--eta {Eta}: only --sampler ddim has it.");
        if ((ulong)First + (ulong)Count > uint.MaxValue)
            throw new UsageException($"--first {First}: the last index {(ulong)First + (ulong)Count} is beyond {uint.MaxValue}.");
    }

    private static void AtLeastOne(string option, int value)
    {
        if (value < 1)
            throw new UsageException($"{option} {value}: expected at least 1.");
    }
}
