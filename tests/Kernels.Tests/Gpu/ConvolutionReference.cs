namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>A convolution and its gradients in double precision from values rounded as tensor cores want them: textbook loops over every
/// product.</summary>
/// <remarks>Beside each sum stands the sum of the products' magnitudes, which bounds what rounding may do to it.</remarks>
internal sealed class ConvolutionReference
{
    private readonly Conv2DShape _shape;

    public ConvolutionReference(Conv2DShape s, Rounding rounding, float[] x, float[] filter, float[] dy)
    {
        _shape = s;
        (Output, InputGradient, FilterGradient) = (new Sums(dy.Length), new Sums(x.Length), new Sums(filter.Length));
        double[] xs = rounding.Round(x), filters = rounding.Round(filter), dys = rounding.Round(dy);
        Visit((i, f, o) =>
        {
            Output.Add(o, rounding.Gain * xs[i] * filters[f]);
            InputGradient.Add(i, rounding.Gain * dys[o] * filters[f]);
            FilterGradient.Add(f, rounding.Gain * dys[o] * xs[i]);
        });
    }

    public Sums Output { get; }

    public Sums InputGradient { get; }

    public Sums FilterGradient { get; }

    private void Visit(Action<int, int, int> product)
    {
        var s = _shape;
        for (int pixel = 0; pixel < s.Pixels; pixel++)
            for (int r = 0; r < s.R; r++)
                for (int q = 0; q < s.S; q++)
                {
                    int y = (pixel / s.OutW % s.OutH * s.Stride) - s.PadH + r, x = (pixel % s.OutW * s.Stride) - s.PadW + q;
                    if (y < 0 || y >= s.H || x < 0 || x >= s.W)
                        continue;
                    int from = ((((pixel / (s.OutW * s.OutH)) * s.H) + y) * s.W) + x;
                    for (int k = 0; k < s.K; k++)
                        for (int c = 0; c < s.C; c++)
                            product((from * s.C) + c, (((((k * s.R) + r) * s.S) + q) * s.C) + c, (pixel * s.K) + k);
                }
    }

    /// <summary>Sums, and the sums of their terms' magnitudes.</summary>
    internal sealed class Sums(int length)
    {
        public double[] Magnitudes { get; } = new double[length];

        public double[] Values { get; } = new double[length];

        public void Add(int i, double term)
        {
            Values[i] += term;
            Magnitudes[i] += Math.Abs(term);
        }

        /// <summary>The largest deviation relative to the magnitudes; infinite where a value is NaN.</summary>
        public double Deviation(float[] values, Func<int, double, double>? epilogue = null)
        {
            double worst = 0;
            for (int i = 0; i < length; i++)
            {
                double expected = epilogue is null ? Values[i] : epilogue(i, Values[i]);
                double deviation = Math.Abs(values[i] - expected) / (Magnitudes[i] + (epilogue is null ? 1e-30 : 4));
                worst = double.IsNaN(deviation) ? double.PositiveInfinity : Math.Max(worst, deviation);
            }
            return worst;
        }
    }
}
