namespace Diffusion.Gpu.Kernels;

/// <summary>The filter of a convolution in the form that one pass reads; it stays valid until the weights change.</summary>
internal sealed unsafe class PackedFilter : IDisposable
{
    private PackedMatrix[] _phases = [];

    /// <summary>The packed matrices: one for the forward pass, stride² per tensor for the gradient of the input.</summary>
    public ReadOnlySpan<PackedMatrix> Phases => _phases;

    /// <summary>Packs for the forward pass: depth (r, s, c), columns k.</summary>
    /// <param name="kernel">The micro-kernels to cut for.</param>
    /// <param name="shape">The convolution; batch and image size do not matter.</param>
    /// <param name="filter">[K, R, S, C].</param>
    public void PackForward(MicroKernel kernel, in Conv2DShape shape, float* filter)
    {
        Reserve(1);
        _phases[0].PackTransposed(kernel, filter, shape.Depth, shape.Depth, shape.K);
    }

    /// <summary>Packs for the gradient of the input: per phase of the stride its taps in reverse, depth (r, s, k), columns c.</summary>
    /// <param name="kernel">The micro-kernels to cut for.</param>
    /// <param name="shape">The convolution; batch and image size do not matter.</param>
    /// <param name="filter">[K, R, S, C].</param>
    public void PackBackwardInput(MicroKernel kernel, in Conv2DShape shape, float* filter) =>
        PackBackwardInput(kernel, shape, filter, shape.C);

    /// <summary>Packs for the gradient of an input in two tensors: first all phases of the one, then those of the other.</summary>
    /// <param name="kernel">The micro-kernels to cut for.</param>
    /// <param name="shape">The convolution; batch and image size do not matter.</param>
    /// <param name="filter">[K, R, S, C].</param>
    /// <param name="firstChannels">Channels of the first tensor; all where it is the only one.</param>
    public void PackBackwardInput(MicroKernel kernel, in Conv2DShape shape, float* filter, int firstChannels)
    {
        int phases = shape.Stride * shape.Stride;
        Reserve(firstChannels < shape.C ? 2 * phases : phases);
        PackPhases(kernel, shape, filter, firstChannels, _phases.AsSpan(0, phases));
        PackPhases(kernel, shape, filter + firstChannels, shape.C - firstChannels, _phases.AsSpan(phases));
    }

    /// <summary>
    /// Packs for the gradient of an input whose every pixel stands for 2×2: the larger filter of
    /// <see cref="Conv2DGradientWindow.OfUpsampled"/>, its taps in reverse, depth (r, s, k), columns c.
    /// </summary>
    /// <param name="kernel">The micro-kernels to cut for.</param>
    /// <param name="shape">The convolution at stride 1; batch and image size do not matter.</param>
    /// <param name="filter">[K, R, S, C].</param>
    public void PackBackwardUpsampled(MicroKernel kernel, in Conv2DShape shape, float* filter)
    {
        int r = shape.R, s = shape.S, c = shape.C, k = shape.K;
        nint row = (s + 1) * (nint)c, channel = (r + 1) * row;
        using var memory = new AlignedBuffer();
        float* summed = memory.Take<float>(k * (long)channel);
        ForkJoinPool.Run(k, output => SumTaps(filter + (output * (nint)r * s * c), r, s, c, summed + (output * channel)), parallel: true);
        Reserve(1);
        _phases[0].PackRows(kernel, summed, d =>
        {
            (int tap, int output) = Math.DivRem(d, k);
            return (output * channel) + ((r - (tap / (s + 1))) * row) + ((s - (tap % (s + 1))) * (nint)c);
        }, (r + 1) * (s + 1) * k, c);
    }

    public void Dispose() => Array.ForEach(_phases, phase => phase.Dispose());

    /// <summary>Packs some columns c of all phases.</summary>
    private static void PackPhases(MicroKernel kernel, in Conv2DShape shape, float* filter, int columns, Span<PackedMatrix> phases)
    {
        int stride = shape.Stride, k = shape.K;
        nint c = shape.C, row = shape.S * c, channel = shape.R * row;
        for (int phase = 0; phase < phases.Length; phase++)
        {
            var y = StridePhase.Of(phase / stride, stride, shape.PadH, shape.R);
            var x = StridePhase.Of(phase % stride, stride, shape.PadW, shape.S);
            nint RowOffset(int d)
            {
                (int tap, int output) = Math.DivRem(d, k);
                return (output * channel) + (y.Tap(tap / x.Taps) * row) + (x.Tap(tap % x.Taps) * c);
            }

            phases[phase].PackRows(kernel, filter, RowOffset, y.Taps * x.Taps * k, columns);
        }
    }

    /// <summary>Sums neighbouring taps of one filter: [r, s, c] to [r + 1, s + 1, c].</summary>
    private static void SumTaps(float* filter, int r, int s, int c, float* summed)
    {
        new Span<float>(summed, (r + 1) * (s + 1) * c).Clear();
        for (int tap = 0; tap < 4 * r * s; tap++)
        {
            int row = (tap >> 2) / s, column = (tap >> 2) % s;
            float* from = filter + ((tap >> 2) * (nint)c);
            float* to = summed + ((((row + ((tap >> 1) & 1)) * (s + 1)) + column + (tap & 1)) * (nint)c);
            for (int i = 0; i < c; i += Simd.Width)
                Simd.Store(Simd.Load(from + i, c - i), to + i, c - i, accumulate: true);
        }
    }

    private void Reserve(int phases)
    {
        if (_phases.Length != phases)
        {
            Dispose();
            _phases = [.. Enumerable.Range(0, phases).Select(_ => new PackedMatrix())];
        }
    }
}

/// <summary>
/// The input coordinates with one remainder by the stride, along one axis: they all meet the same taps, so their gradient is a
/// convolution of the output gradient at stride 1.
/// </summary>
/// <param name="Taps">Filter taps that meet these coordinates; none if the stride skips them.</param>
/// <param name="FirstTap">The lowest of them.</param>
/// <param name="Stride">Distance from one tap to the next.</param>
/// <param name="Origin">Output coordinate under the first (reversed) tap for the first of these input coordinates.</param>
internal readonly record struct StridePhase(int Taps, int FirstTap, int Stride, int Origin)
{
    /// <summary>The phase of the input coordinates first, first + stride, ….</summary>
    public static StridePhase Of(int first, int stride, int padding, int filter)
    {
        // Input coordinate h meets tap r at output coordinate (h + padding - r) / stride, where that is whole.
        int tap = (first + padding) % stride;
        int taps = tap < filter ? (filter - tap + stride - 1) / stride : 0;
        return new StridePhase(taps, tap, stride, ((first + padding - tap) / stride) - (taps - 1));
    }

    /// <summary>The filter tap at the given place of the reversed order.</summary>
    public int Tap(int place) => FirstTap + (Stride * (Taps - 1 - place));
}
