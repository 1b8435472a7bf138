namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>What tensor cores make of 32-bit floats, computed apart from the kernels: by scaling.</summary>
internal sealed class Rounding
{
    private readonly int _mantissa;
    private readonly Func<double, double> _toWhole;

    private Rounding(int mantissa, Func<double, double> toWhole, double gain)
    {
        _mantissa = mantissa;
        _toWhole = toWhole;
        Gain = gain;
    }

    /// <summary>What sums are multiplied by.</summary>
    public double Gain { get; }

    /// <summary>Of a precision.</summary>
    public static Rounding Of(Precision precision) => precision == Precision.Bf16
        ? new Rounding(7, x => Math.Round(x, MidpointRounding.ToEven), 1)
        : new Rounding(10, Math.Truncate, TensorFloat32.Correction);

    public double[] Round(float[] values) => Array.ConvertAll(values, Round);

    public double Round(float x)
    {
        if (x == 0 || !float.IsFinite(x))
            return x;
        double unit = Math.Pow(2, Math.Max(Math.ILogB(x), -126) - _mantissa);
        return _toWhole(x / unit) * unit;
    }
}
