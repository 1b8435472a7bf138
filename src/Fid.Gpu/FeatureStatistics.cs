using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Fid;

/// <summary>
/// Mean and covariance of features that come batch by batch, in double precision, in memory that does not grow with their number.
/// </summary>
/// <remarks>
/// Rows are gathered into blocks of 512, so that the result is the same bits however they were batched. A block is shifted by its own mean,
/// multiplied by itself and merged: n = nₐ + n_b, δ = μ_b − μₐ, M = Mₐ + M_b + δδᵀ nₐ n_b / n (Chan, Golub and LeVeque, 1979); a common
/// offset of the features costs no digits. While the rows are no more than the dims, they are kept: they are then the covariance's exact
/// factor.
/// Everything runs on the given device; one without 64-bit floats leaves it to the processor.
/// </remarks>
public sealed class FeatureStatistics : IDisposable
{
    /// <summary>Rows of a block.</summary>
    private const int BlockRows = 512;

    private readonly Device _device;
    private readonly Device? _ownDevice;
    private readonly Matrix _ones;
    private readonly Matrix _mean;
    private readonly Matrix _scatter;
    private readonly List<(Matrix Rows, int Count, double[] Mean)> _kept = [];
    private bool _keeps = true;
    private Matrix _block;
    private int _filled;
    private long _merged;

    /// <summary>Begins with nothing.</summary>
    /// <param name="device">Where features come from.</param>
    /// <param name="dims">Features per image, at least 1.</param>
    public FeatureStatistics(Device device, int dims)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentOutOfRangeException.ThrowIfLessThan(dims, 1);
        Dims = dims;
        _device = device.Float64Rate > 0 ? device : _ownDevice = Device.Open("cpu");
        double[] ones = new double[BlockRows];
        Array.Fill(ones, 1);
        _ones = new Matrix(_device, BlockRows, 1, ones);
        _mean = new Matrix(_device, 1, dims);
        _scatter = new Matrix(_device, dims, dims);
        _block = new Matrix(_device, BlockRows, dims);
    }

    /// <summary>Features per image.</summary>
    public int Dims { get; }

    /// <summary>Images so far.</summary>
    public long Count => _merged + _filled;

    /// <summary>Adds features.</summary>
    /// <param name="features">[images, dims], on any device.</param>
    /// <exception cref="ShapeException">The tensor has other columns.</exception>
    public void Add(Tensor features)
    {
        ArgumentNullException.ThrowIfNull(features);
        if (features.Shape.Rank != 2 || features.Shape[1] != Dims)
            throw new ShapeException(nameof(FeatureStatistics), nameof(features), features.Shape.ToString(), $"[images, {Dims}]");
        Add(features, 0, features.Shape[0]);
    }

    /// <summary>Adds some of the images of a tensor.</summary>
    /// <param name="features">[images, dims], on any device.</param>
    /// <param name="first">The first of them.</param>
    /// <param name="count">How many.</param>
    internal void Add(Tensor features, int first, int count)
    {
        if (features.Device != _device)
        {
            Add(features.ToArray().AsSpan(first * Dims, count * Dims));
            return;
        }

        for (int row = 0; row < count;)
        {
            int taken = Math.Min(count - row, BlockRows - _filled);
            _block.SetRows(features, first + row, _filled, taken);
            _filled += taken;
            row += taken;
            if (_filled == BlockRows)
                MergeBlock();
        }
    }

    /// <summary>Adds features from the host.</summary>
    /// <param name="rows">[images, dims], row-major.</param>
    /// <exception cref="ShapeException">The number of values is no multiple of the dims.</exception>
    public void Add(ReadOnlySpan<float> rows)
    {
        if (rows.Length % Dims != 0)
            throw new ShapeException(nameof(FeatureStatistics), nameof(rows), $"{rows.Length} values", $"a multiple of {Dims}");
        for (; rows.Length > 0; rows = rows[Math.Min(rows.Length, BlockRows * Dims)..])
        {
            var part = rows[..Math.Min(rows.Length, BlockRows * Dims)];
            using var features = _device.NewTensor([part.Length / Dims, Dims], part);
            Add(features);
        }
    }

    /// <summary>Adds all that another one has seen; it stays as it is.</summary>
    /// <param name="other">Of as many dims, on any device.</param>
    /// <exception cref="ArgumentException">The dims differ, or it is this one.</exception>
    public void Merge(FeatureStatistics other)
    {
        ArgumentNullException.ThrowIfNull(other);
        if (other == this || other.Dims != Dims)
        {
            string target = other == this ? "themselves" : $"{Dims}";
            throw new ArgumentException($"statistics of {other.Dims} dims cannot be merged into {target}", nameof(other));
        }

        other.MergeBlock();
        MergeBlock();
        if (other._merged == 0)
            return;
        double[] mean = other._mean.ToArray(), scatter = other._scatter.ToArray();
        if (_merged > 0)
        {
            double[] own = _mean.ToArray(), ownScatter = _scatter.ToArray();
            long count = _merged + other._merged;
            double weight = (double)_merged * other._merged / count;
            double[] delta = [.. mean.Zip(own, (b, a) => b - a)];
            for (int i = 0; i < Dims; i++)
            {
                mean[i] = own[i] + (delta[i] * other._merged / count);
                for (int j = 0; j < Dims; j++)
                    scatter[(i * Dims) + j] += ownScatter[(i * Dims) + j] + (weight * (delta[i] * delta[j]));
            }
        }

        _mean.CopyFrom(mean);
        _scatter.CopyFrom(scatter);
        _merged += other._merged;
        _keeps = _keeps && other._keeps && _merged <= Dims;
        if (_keeps)
            _kept.AddRange(other._kept.Select(block => block with { Rows = new Matrix(_device, BlockRows, Dims, block.Rows.ToArray()) }));
        else
            DropKept();
    }

    /// <summary>Mean and covariance of everything so far, divided by count − 1; more may be added afterwards.</summary>
    /// <exception cref="InvalidOperationException">Fewer than two images, or a feature was not finite.</exception>
    public GaussianStatistics Finish()
    {
        if (Count < 2)
            throw new InvalidOperationException($"a covariance needs at least two images, but there is {(Count == 0 ? "none" : "one")}");
        MergeBlock();
        double[] mean = _mean.ToArray(), covariance = _scatter.ToArray();
        for (int i = 0; i < Dims; i++)
        {
            if (!double.IsFinite(mean[i]) || !double.IsFinite(covariance[((long)i * Dims) + i]))
                throw new InvalidOperationException($"feature {i} of an image is not finite, or too large to be squared");
        }

        for (long i = 0; i < covariance.LongLength; i++)
            covariance[i] /= _merged - 1;
        var statistics = new GaussianStatistics(mean, covariance, _merged, _keeps ? CentredFeatures(mean) : null);
        // A GPU takes roots from the factors of both sides and files hold it; the processor needs one side's, and may never.
        if (_device.Info.Kind != DeviceKind.Cpu)
            statistics.FactorOn(_device);
        return statistics;
    }

    /// <summary>Returns the memory.</summary>
    public void Dispose()
    {
        DropKept();
        _block.Dispose();
        _scatter.Dispose();
        _mean.Dispose();
        _ones.Dispose();
        _ownDevice?.Dispose();
    }

    private void MergeBlock()
    {
        if (_filled == 0)
            return;
        int count = _filled;
        Matrix rows = _block.First(count), ones = _ones.First(count);
        using var mean = new Matrix(_device, 1, Dims);
        mean.SetProduct(ones, rows, transposeA: true, alpha: 1.0 / count);
        rows.SetProduct(ones, mean, alpha: -1, addend: rows, beta: 1);
        if (_merged == 0)
        {
            _scatter.SetProduct(rows, rows, transposeA: true, symmetric: true);
            _mean.SetProduct(_ones.First(1), mean);
        }
        else
        {
            double all = _merged + count;
            using var delta = new Matrix(_device, 1, Dims);
            delta.SetProduct(_ones.First(1), mean, addend: _mean, beta: -1);
            _scatter.SetProduct(rows, rows, transposeA: true, addend: _scatter, beta: 1, symmetric: true);
            _scatter.SetProduct(delta, delta, transposeA: true, alpha: _merged * (count / all), addend: _scatter, beta: 1, symmetric: true);
            _mean.SetProduct(_ones.First(1), delta, alpha: count / all, addend: _mean, beta: 1);
        }

        _merged += count;
        _filled = 0;
        _keeps = _keeps && _merged <= Dims;
        if (_keeps)
        {
            _kept.Add((_block, count, mean.ToArray()));
            _block = new Matrix(_device, BlockRows, Dims);
        }
        else
        {
            DropKept();
        }
    }

    /// <summary>(x − mean) / √(count − 1) for every row: blocks were centred on their own means.</summary>
    private CovarianceFactor CentredFeatures(double[] mean)
    {
        var values = new double[_merged * Dims];
        double scale = 1 / Math.Sqrt(_merged - 1);
        long at = 0;
        foreach (var (rows, count, blockMean) in _kept)
        {
            double[] centred = rows.First(count).ToArray();
            for (int i = 0; i < centred.Length; i++, at++)
                values[at] = scale * (centred[i] + (blockMean[i % Dims] - mean[i % Dims]));
        }

        return new CovarianceFactor(values, (int)_merged, false, 0);
    }

    private void DropKept()
    {
        foreach (var (rows, _, _) in _kept)
            rows.Dispose();
        _kept.Clear();
    }
}
