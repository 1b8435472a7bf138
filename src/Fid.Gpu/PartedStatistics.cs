using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Fid;

/// <summary>Statistics of a set of images and, where it is large enough, of its quarters, from one pass.</summary>
/// <remarks>Groups of 8 images go to the quarters in turn, whatever the batch: files are often sorted by class. Memory is that of five sets
/// and does not depend on the number of images.</remarks>
internal sealed class PartedStatistics : IDisposable
{
    public const int Quarters = 4;
    private const int Group = 8;

    private readonly FeatureStatistics _whole;
    private readonly FeatureStatistics[] _quarters;
    private long _seen;

    /// <param name="device">Where features come from.</param>
    /// <param name="dims">Features per image.</param>
    /// <param name="hasParts">Whether the quarters are wanted too.</param>
    public PartedStatistics(Device device, int dims, bool hasParts)
    {
        _whole = new FeatureStatistics(device, dims);
        _quarters = [.. Enumerable.Range(0, hasParts ? Quarters : 0).Select(_ => new FeatureStatistics(device, dims))];
    }

    /// <summary>Adds features, [images, dims].</summary>
    public void Add(Tensor features)
    {
        _whole.Add(features);
        for (int row = 0, count = _quarters.Length == 0 ? 0 : features.Shape[0]; row < count;)
        {
            int taken = (int)Math.Min(count - row, Group - (_seen % Group));
            _quarters[_seen / Group % Quarters].Add(features, row, taken);
            row += taken;
            _seen += taken;
        }
    }

    /// <summary>The statistics of all images.</summary>
    public GaussianStatistics Finish() => _whole.Finish();

    /// <summary>The statistics of the quarters and of two halves; nothing can be added afterwards.</summary>
    public SetParts FinishParts()
    {
        GaussianStatistics[] quarters = [.. _quarters.Select(quarter => quarter.Finish())];
        _quarters[0].Merge(_quarters[2]);
        _quarters[1].Merge(_quarters[3]);
        return new SetParts([_quarters[0].Finish(), _quarters[1].Finish()], quarters);
    }

    public void Dispose()
    {
        _whole.Dispose();
        foreach (var quarter in _quarters)
            quarter.Dispose();
    }
}

/// <summary>Statistics of the parts of a set of images.</summary>
/// <param name="Halves">Two.</param>
/// <param name="Quarters">Four.</param>
internal sealed record SetParts(GaussianStatistics[] Halves, GaussianStatistics[] Quarters)
{
    /// <summary>Stands for a set that is known as a whole alone: it is taken to be exact.</summary>
    public static SetParts Of(GaussianStatistics whole) => new([whole, whole], [whole, whole, whole, whole]);
}
