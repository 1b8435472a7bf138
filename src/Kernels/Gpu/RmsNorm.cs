using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    /// <summary>Positions that each row of lanes takes, one after the other, for one set of partial sums.</summary>
    private const int RmsNormPasses = 4;

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
        int chunk = RmsNormPasses * lanes.RowsOfGroup, chunks = Launcher.GroupsFor(s.P, chunk);
        int blocks = Launcher.GroupsFor(s.C, 4 * lanes.Lanes);
        var partial = Rent(2L * s.N * chunks * s.C);
        _launcher.Launch(RmsNormBackward, new RmsNormBackwardArgs(lanes, s.P, s.C, blocks, chunk, chunks, View(x), after, View(dy),
            dx.Tensor is null ? 0 : 1, dx.Tensor is null ? default : To(dx), partial.View), new Index3D(blocks * chunks * s.N, 1, 1));
        using var sums = AddChunks(s, partial, chunks);
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

        public float Apply(int n, int channel, float normalised) => Activate(Linear(n, channel, normalised));

        /// <summary>The derivative of the activation.</summary>
        public float Slope(int n, int channel, float normalised)
            => silu != 0 ? KernelMath.SiluSlope(Linear(n, channel, normalised)) : 1;

        /// <summary>Four neighbouring channels at once; c is a multiple of four, and the memory is aligned to it.</summary>
        public F4 ApplyFour(int n, int channel, F4 normalised)
        {
            var scale = gain.Cast<F4>()[channel >> 2];
            if (modulated != 0)
                scale = F4.Multiply(scale, F4.Add(scaleShift.Cast<F4>()[((n * 2 * c) + channel) >> 2], F4.Of(1)));
            var v = F4.Multiply(normalised, scale);
            if (modulated != 0)
                v = F4.Add(v, scaleShift.Cast<F4>()[((((2 * n) + 1) * c) + channel) >> 2]);
            return new F4 { X = Activate(v.X), Y = Activate(v.Y), Z = Activate(v.Z), W = Activate(v.W) };
        }

        /// <summary>What a row is multiplied by, from the sum of its squares.</summary>
        public float Factor(float squares) => RmsNormFactor(MathF.Sqrt(squares), c);

        private float Linear(int n, int channel, float normalised)
        {
            float v = normalised * Scale(n, channel);
            return modulated != 0 ? v + scaleShift[(((2 * n) + 1) * c) + channel] : v;
        }

        private float Activate(float v) => silu != 0 ? KernelMath.Silu(v) : v;
    }

    internal readonly record struct RmsNormForwardArgs(RowReduction Lanes, int P, int C, ArrayView<float> X, RmsNormAfter After,
        ArrayView<float> Y);

    internal readonly record struct RmsNormBackwardArgs(RowReduction Lanes, int P, int C, int Blocks, int Chunk, int Chunks,
        ArrayView<float> X, RmsNormAfter After, ArrayView<float> Dy, int Wanted, Target Dx, ArrayView<float> Partial);

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
    /// Group = one chunk of the positions of one sample; row of lanes = every so many of them. With u = x · factor, dv the gradient before
    /// the activation and du the gradient of u: dx = factor · (du − x · Σ du·x / ‖x‖²), and Partial [N,chunks,2,C] gets the sums over the
    /// chunk of dv · u and of dv. A group has the sums of four channels a lane; where a row has more, others have theirs.
    /// </summary>
    /// <remarks>One pass over x and dy: a row is read two or three times, but for the first time from the cache. Shared: 9 KB.</remarks>
    internal static void RmsNormBackward(RmsNormBackwardArgs a)
    {
        var shared = RowReduction.Shared();
        int part = Grid.IdxX / a.Blocks, n = part / a.Chunks, lanes = a.Lanes.Lanes;
        int channel = ((Grid.IdxX - (part * a.Blocks)) * 4 * lanes) + a.Lanes.Lane;
        int first = (part - (n * a.Chunks)) * a.Chunk;
        int end = a.P - first < a.Chunk ? a.P : first + a.Chunk;
        F4 weighted = default, plain = default;
        for (int p = first; p < end; p += a.Lanes.RowsOfGroup)
        {
            int row = p + a.Lanes.RowOfGroup, at = ((n * a.P) + row) * a.C, length = row < end ? a.C : 0;
            float norm = RmsNormNorm(a.Lanes, shared, a.X, at, length), factor = RmsNormFactor(norm, a.C), dot = 0;
            for (int c = a.Lanes.Lane; c < length; c += lanes)
            {
                float x = a.X[at + c];
                dot += a.Dy[at + c] * a.After.Slope(n, c, x * factor) * a.After.Scale(n, c) * x;
            }
            dot = a.Lanes.Sum(shared, dot);
            // A norm that the clamp replaced is a constant.
            float pull = norm < RmsNormFloor ? 0 : dot / (norm * norm);
            RmsNormGradient(a, n, at, channel, length, factor, pull, ref weighted.X, ref plain.X);
            RmsNormGradient(a, n, at, channel + lanes, length, factor, pull, ref weighted.Y, ref plain.Y);
            RmsNormGradient(a, n, at, channel + (2 * lanes), length, factor, pull, ref weighted.Z, ref plain.Z);
            RmsNormGradient(a, n, at, channel + (3 * lanes), length, factor, pull, ref weighted.W, ref plain.W);
        }
        var sums = SharedMemory.Allocate<F4>(2 * Launcher.GroupSize);
        sums[Group.IdxX] = weighted;
        sums[Launcher.GroupSize + Group.IdxX] = plain;
        Group.Barrier();
        RmsNormSums(a, sums.Cast<float>(), part, channel - a.Lanes.Lane);
    }

    /// <summary>dx of one value, and its terms of the sums.</summary>
    private static void RmsNormGradient(in RmsNormBackwardArgs a, int n, int at, int c, int length, float factor, float pull,
        ref float weighted, ref float plain)
    {
        if (c >= length)
            return;
        float x = a.X[at + c], u = x * factor;
        float dv = a.Dy[at + c] * a.After.Slope(n, c, u);
        weighted += dv * u;
        plain += dv;
        if (a.Wanted != 0)
            a.Dx.Store(at + c, factor * ((dv * a.After.Scale(n, c)) - (x * pull)));
    }

    /// <summary>
    /// Adds the group's rows of lanes in order. The sums are [2][rows][lanes][4]; the fourfold is of channels that lie lanes apart.
    /// </summary>
    private static void RmsNormSums(in RmsNormBackwardArgs a, ArrayView<float> sums, int part, int firstChannel)
    {
        int lanes = a.Lanes.Lanes;
        for (int i = Group.IdxX; i < 8 * lanes; i += Launcher.GroupSize)
        {
            int which = i >= 4 * lanes ? 1 : 0, value = i - (which * 4 * lanes);
            float sum = 0;
            for (int row = 0; row < a.Lanes.RowsOfGroup; row++)
                sum += sums[(4 * ((which * Launcher.GroupSize) + (row * lanes))) + value];
            int c = firstChannel + (value >> 2) + ((value & 3) * lanes);
            if (c < a.C)
                a.Partial[(((2 * part) + which) * a.C) + c] = sum;
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

    /// <summary>With A = Σ dv · u and B = Σ dv over the positions: dScale = gain · A, dShift = B.</summary>
    internal readonly struct RmsNormScaleShiftKernel(ArrayView<float> sums, ArrayView<float> gain, int c, Target dScaleShift)
        : IElementKernel
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
