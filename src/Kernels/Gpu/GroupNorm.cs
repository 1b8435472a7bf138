using ILGPU;

namespace Diffusion.Gpu.Kernels;

internal sealed partial class GpuBackend
{
    public override void GroupNormForward(in RowShape s, int groups, Tensor x, Tensor gain, Tensor bias, float epsilon, Tensor y,
        Tensor statistics)
        => _launcher.Launch(GroupNormForward, new GroupNormForwardArgs(s.P, s.C, groups, View(x), View(gain), View(bias), epsilon, View(y),
            View(statistics)), new Index3D(s.N * groups, 1, 1));

    public override void GroupNormBackward(in RowShape s, int groups, Tensor x, Tensor gain, Tensor statistics, Tensor dy,
        GradientTarget dx, GradientTarget dGain, GradientTarget dBias)
    {
        using var sums = ColumnSums(s, new GroupNormTerms(View(x), View(statistics), View(dy), s.C, groups));
        AddSamples(s, sums, 0, dGain);
        AddSamples(s, sums, 1, dBias);
        if (dx.Tensor is null)
            return;
        using var means = Rent(2L * s.N * groups);
        _launcher.ForEach((long)s.N * groups, new GroupNormMeansKernel(sums.View, View(gain), s.P, s.C, groups, means.View));
        _launcher.ForEach(x.Count, new GroupNormInputKernel(View(x), View(gain), View(statistics), means.View, View(dy), s.P * s.C, s.C,
            groups, To(dx)));
    }

    internal readonly record struct GroupNormForwardArgs(int P, int C, int Groups, ArrayView<float> X, ArrayView<float> Gain,
        ArrayView<float> Bias, float Epsilon, ArrayView<float> Y, ArrayView<float> Statistics);

    /// <summary>
    /// Group of threads = one group of channels of one sample, whose values they share out in memory order. Three passes over x
    /// (mean, variance, output): the variance is a sum of squared differences, which cancels nothing.
    /// </summary>
    internal static void GroupNormForward(GroupNormForwardArgs a)
    {
        var shared = RowReduction.Shared();
        int n = Grid.IdxX / a.Groups, width = a.C / a.Groups, firstChannel = (Grid.IdxX - (n * a.Groups)) * width;
        int first = (n * a.P * a.C) + firstChannel, count = a.P * width;
        float sum = 0;
        for (int i = Group.IdxX; i < count; i += Launcher.GroupSize)
            sum += a.X[first + (i / width * a.C) + (i % width)];
        float mean = RowReduction.Whole.Sum(shared, sum) / count;
        sum = 0;
        for (int i = Group.IdxX; i < count; i += Launcher.GroupSize)
        {
            float difference = a.X[first + (i / width * a.C) + (i % width)] - mean;
            sum += difference * difference;
        }
        float inverse = 1 / MathF.Sqrt((RowReduction.Whole.Sum(shared, sum) / count) + a.Epsilon);
        if (Group.IdxX == 0)
        {
            a.Statistics[2 * Grid.IdxX] = mean;
            a.Statistics[(2 * Grid.IdxX) + 1] = inverse;
        }
        for (int i = Group.IdxX; i < count; i += Launcher.GroupSize)
        {
            int c = i % width, at = first + (i / width * a.C) + c;
            a.Y[at] = ((a.X[at] - mean) * inverse * a.Gain[firstChannel + c]) + a.Bias[firstChannel + c];
        }
    }

    /// <summary>With u the normalised value: A = dy · u, B = dy.</summary>
    internal readonly struct GroupNormTerms(ArrayView<float> x, ArrayView<float> statistics, ArrayView<float> dy, int channels, int groups)
        : IColumnTerms
    {
        public Pair At(int n, int row, int c)
        {
            int at = (row * channels) + c, group = 2 * ((n * groups) + (c / (channels / groups)));
            return new Pair { A = dy[at] * (x[at] - statistics[group]) * statistics[group + 1], B = dy[at] };
        }
    }

    /// <summary>Per group of a sample: the means of dy · gain · u and of dy · gain.</summary>
    internal readonly struct GroupNormMeansKernel(ArrayView<float> sums, ArrayView<float> gain, int p, int c, int groups,
        ArrayView<float> means) : IElementKernel
    {
        public void Run(int i)
        {
            int n = i / groups, width = c / groups, first = (i - (n * groups)) * width;
            float meanA = 0, meanB = 0;
            for (int channel = first; channel < first + width; channel++)
            {
                meanA += sums[(n * 2 * c) + channel] * gain[channel];
                meanB += sums[(((2 * n) + 1) * c) + channel] * gain[channel];
            }
            means[2 * i] = meanA / ((float)p * width);
            means[(2 * i) + 1] = meanB / ((float)p * width);
        }
    }

    /// <summary>dx = (dy · gain − mean(dy · gain) − u · mean(dy · gain · u)) / √variance.</summary>
    internal readonly struct GroupNormInputKernel(ArrayView<float> x, ArrayView<float> gain, ArrayView<float> statistics,
        ArrayView<float> means, ArrayView<float> dy, int perSample, int channels, int groups, Target dx) : IElementKernel
    {
        public void Run(int i)
        {
            int c = i % channels, group = 2 * ((i / perSample * groups) + (c / (channels / groups)));
            float inverse = statistics[group + 1], u = (x[i] - statistics[group]) * inverse;
            dx.Store(i, inverse * ((dy[i] * gain[c]) - means[group + 1] - (u * means[group])));
        }
    }
}
