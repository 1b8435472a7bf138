namespace Diffusion.Gpu.Kernels;

/// <summary>An exponential moving average of a model's parameters, with a warm-up.</summary>
/// <remarks>ema-pytorch as denoising-diffusion-pytorch's trainer calls it: the first updates copy, later ones move the average by
/// 1 − decay with decay = 1 − (1 + e)^(−2/3), e = updates − warm-up − 1, clamped to the given decay.</remarks>
public sealed class Ema
{
    private readonly ParameterSet _online;
    private readonly ParameterSet _average;

    /// <summary>Averages one parameter set into another of the same layout.</summary>
    /// <param name="online">What is trained.</param>
    /// <param name="average">What is sampled from.</param>
    /// <param name="decay">The most that is kept of the average at an update.</param>
    /// <param name="updateEvery">Calls between updates.</param>
    /// <param name="updateAfterStep">Calls during which the average is a copy.</param>
    public Ema(ParameterSet online, ParameterSet average, double decay = 0.995, int updateEvery = 10, int updateAfterStep = 100)
    {
        ArgumentNullException.ThrowIfNull(online);
        ArgumentNullException.ThrowIfNull(average);
        _online = online;
        _average = average;
        MaxDecay = decay;
        UpdateEvery = updateEvery;
        UpdateAfterStep = updateAfterStep;
    }

    /// <summary>The most that is kept of the average at an update.</summary>
    public double MaxDecay { get; }

    /// <summary>Calls between updates.</summary>
    public int UpdateEvery { get; }

    /// <summary>Calls during which the average is a copy.</summary>
    public int UpdateAfterStep { get; }

    /// <summary>Calls of <see cref="Update"/>; set when a run is resumed.</summary>
    public long Updates { get; set; }

    /// <summary>The share of the average that an update keeps after a number of calls, the present one counted.</summary>
    public double DecayAt(long updates)
    {
        double epoch = Math.Max(updates - UpdateAfterStep - 1, 0);
        return epoch <= 0 ? 0 : Math.Clamp(1 - Math.Pow(1 + epoch, -2.0 / 3), 0, MaxDecay);
    }

    /// <summary>Counts one training step and updates the average where one is due.</summary>
    public void Update()
    {
        long before = Updates++;
        if (before % UpdateEvery != 0)
            return;
        var backend = _average.Device.Backend;
        if (before <= UpdateAfterStep)
            backend.Accumulate(_online.Values, new GradientTarget(_average.Values, false));
        else
            backend.Lerp(_average.Values, _online.Values, (float)(1 - DecayAt(Updates)));
        _average.MarkChanged();
    }
}
