using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void RmsNormForward(in RowShape s, Tensor x, Tensor gain, Tensor? scaleShift, bool silu, Tensor y)
    {
        var lanes = RowReduction.For(s.Rows, s.C);
        _launcher.Launch(RmsNormForward, new RmsNormForwardArgs(lanes, s.P, s.C, View(x), After(s, gain, scaleShift, silu), View(y)),
            new Index3D(lanes.Groups, 1, 1));
    }

    public override void RmsNormBackward(in RowShape s, Tensor x, Tensor gain, Tensor? scaleShift, bool silu, Tensor dy, GradientTarget dx,
        GradientTarget dGain, GradientTarget dScaleShift)
    {
        var lanes = RowReduction.For(s.Rows, s.C);
        var after = After(s, gain, scaleShift, silu);
        using var factors = Rent(s.Rows);
        _launcher.Launch(RmsNormBackward, new RmsNormBackwardArgs(lanes, s.P, s.C, View(x), after, View(dy), dx.Tensor is null ? 0 : 1,
            dx.Tensor is null ? default : To(dx), factors.View), new Index3D(lanes.Groups, 1, 1));
        if (dGain.Tensor is null && dScaleShift.Tensor is null)
            return;
        using var sums = ColumnSums(s, new RmsNormTerms(View(x), factors.View, View(dy), s.C, after));
        if (dScaleShift.Tensor is not null)
            _launcher.ForEach(2L * s.N * s.C, new RmsNormScaleShiftKernel(sums.View, View(gain), s.C, To(dScaleShift)));
        if (dGain.Tensor is not null)
            _launcher.ForEach(s.C, new RmsNormGainKernel(sums.View, after, s.N, s.C, To(dGain)));
    }

    private static RmsNormAfter After(in RowShape s, Tensor gain, Tensor? scaleShift, bool silu)
        => new(View(gain), ViewOrEmpty(scaleShift), scaleShift is null ? 0 : 1, silu ? 1 : 0, s.C);

    /// <summary>What follows the normalisation: gain, modulation, SiLU.</summary>
    internal readonly struct RmsNormAfter(ArrayView<float> gain, ArrayView<float> scaleShift, int modulated, int silu, int c)
    {
        /// <summary>What the modulation multiplies by.</summary>
        public float Modulation(int n, int channel) => modulated != 0 ? scaleShift[(n * 2 * c) + channel] + 1 : 1;

        /// <summary>Gain and modulation together.</summary>
        public float Scale(int n, int channel) => gain[channel] * Modulation(n, channel);

        public float Apply(int n, int channel, float normalised)
        {
            float v = Linear(n, channel, normalised);
            return silu != 0 ? KernelMath.Silu(v) : v;
        }

        /// <summary>The derivative of the activation.</summary>
        public float Slope(int n, int channel, float normalised)
            => silu != 0 ? KernelMath.SiluSlope(Linear(n, channel, normalised)) : 1;

        private float Linear(int n, int channel, float normalised)
        {
            float v = normalised * Scale(n, channel);
            return modulated != 0 ? v + scaleShift[(((2 * n) + 1) * c) + channel] : v;
        }
    }

    internal readonly record struct RmsNormForwardArgs(RowReduction Lanes, int P, int C, ArrayView<float> X, RmsNormAfter After,
        ArrayView<float> Y);

    internal readonly record struct RmsNormBackwardArgs(RowReduction Lanes, int P, int C, ArrayView<float> X, RmsNormAfter After,
        ArrayView<float> Dy, int Wanted, Target Dx, ArrayView<float> Factors);

    /// <summary>Row of lanes = one position. Reads x twice, the second time from the cache.</summary>
    internal static void RmsNormForward(RmsNormForwardArgs a)
    {
        var shared = RowReduction.Shared();
        int row = a.Lanes.Row, at = row * a.C, n = row / a.P, end = a.Lanes.End(a.C);
        float factor = RmsNormFactor(RmsNormNorm(a.Lanes, shared, a.X, at, end), a.C);
        for (int c = a.Lanes.Lane; c < end; c += a.Lanes.Lanes)
            a.Y[at + c] = a.After.Apply(n, c, a.X[at + c] * factor);
    }

    /// <summary>
    /// Row of lanes = one position. With u = x · factor and du the gradient of u: dx = factor · (du − x · Σ du·x / ‖x‖²).
    /// Three passes over x and two over dy, all but the first from the cache; leaves the factors for the sums over positions.
    /// </summary>
    internal static void RmsNormBackward(RmsNormBackwardArgs a)
    {
        var shared = RowReduction.Shared();
        int row = a.Lanes.Row, at = row * a.C, n = row / a.P, end = a.Lanes.End(a.C);
        float norm = RmsNormNorm(a.Lanes, shared, a.X, at, end), factor = RmsNormFactor(norm, a.C);
        if (a.Lanes.Lane < end)
            a.Factors[row] = factor;
        if (a.Wanted == 0)
            return;
        float dot = 0;
        for (int c = a.Lanes.Lane; c < end; c += a.Lanes.Lanes)
        {
            float x = a.X[at + c];
            dot += a.Dy[at + c] * a.After.Slope(n, c, x * factor) * a.After.Scale(n, c) * x;
        }
        dot = a.Lanes.Sum(shared, dot);
        // A norm that the clamp replaced is a constant.
        float pull = norm < RmsNormFloor ? 0 : dot / (norm * norm);
        for (int c = a.Lanes.Lane; c < end; c += a.Lanes.Lanes)
        {
            float x = a.X[at + c];
            float du = a.Dy[at + c] * a.After.Slope(n, c, x * factor) * a.After.Scale(n, c);
            a.Dx.Store(at + c, factor * (du - (x * pull)));
        }
    }

    private const float RmsNormFloor = 1e-12f;

    private static float RmsNormNorm(RowReduction lanes, ArrayView<float> shared, ArrayView<float> x, int at, int end)
    {
        float sum = 0;
        for (int c = lanes.Lane; c < end; c += lanes.Lanes)
            sum += x[at + c] * x[at + c];
        return MathF.Sqrt(lanes.Sum(shared, sum));
    }

    private static float RmsNormFactor(float norm, int c) => MathF.Sqrt(c) / (norm < RmsNormFloor ? RmsNormFloor : norm);

    /// <summary>With dv the gradient before the activation and u the normalised value: A = dv · u, B = dv.</summary>
    internal readonly struct RmsNormTerms(ArrayView<float> x, ArrayView<float> factors, ArrayView<float> dy, int channels,
        RmsNormAfter after) : IColumnTerms
    {
        public Pair At(int n, int row, int c)
        {
            int at = (row * channels) + c;
            float u = x[at] * factors[row], dv = dy[at] * after.Slope(n, c, u);
            return new Pair { A = dv * u, B = dv };
        }
    }

    /// <summary>dScale = gain · A, dShift = B.</summary>
    internal readonly struct RmsNormScaleShiftKernel(ArrayView<float> sums, ArrayView<float> gain, int c, Target dScaleShift) : IElementKernel
    {
        public void Run(int i)
        {
            int channel = i % (2 * c);
            dScaleShift.Store(i, channel < c ? sums[i] * gain[channel] : sums[i]);
        }
    }

    /// <summary>dGain = Σ over n of (scale + 1) · A.</summary>
    internal readonly struct RmsNormGainKernel(ArrayView<float> sums, RmsNormAfter after, int samples, int c, Target dGain) : IElementKernel
    {
        public void Run(int i)
        {
            float sum = 0;
            for (int n = 0; n < samples; n++)
                sum += sums[(n * 2 * c) + i] * after.Modulation(n, i);
            dGain.Store(i, sum);
        }
    }
}
