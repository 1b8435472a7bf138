using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>Functions of one number for use in kernels: accurate on every device, where the devices' own are approximations.</summary>
internal static class KernelMath
{
    /// <summary>1 / (1 + e^-x).</summary>
    public static float Sigmoid(float x) => 1 / (1 + MathF.Exp(-x));

    /// <summary>x · sigmoid(x).</summary>
    public static float Silu(float x) => x / (1 + MathF.Exp(-x));

    /// <summary>The derivative of x · sigmoid(x).</summary>
    public static float SiluSlope(float x)
    {
        float sigmoid = Sigmoid(x);
        return sigmoid * (1 + (x * (1 - sigmoid)));
    }

    /// <summary>The density of the standard normal distribution.</summary>
    public static float NormalDensity(float x) => 0.39894228f * MathF.Exp(-0.5f * x * x);

    /// <summary>
    /// P(X ≤ x) of the standard normal distribution: e^(-x²/2) times a polynomial in 1 / (1 + 0.27|x|).
    /// </summary>
    /// <remarks>The polynomial interpolates the scaled tail e^(x²/2) P(X &gt; x) at Chebyshev nodes up to x = 14; its relative error is
    /// below 3e-8, so the tails keep their digits, which 1 + erf would cancel.</remarks>
    public static float NormalCdf(float x)
    {
        float t = 1 / (1 + (0.27f * MathF.Abs(x)));
        float p = 0.029107028f;
        p = (p * t) - 0.12724212f;
        p = (p * t) + 0.17144469f;
        p = (p * t) - 0.071213917f;
        p = (p * t) + 0.10927721f;
        p = (p * t) + 0.071406063f;
        p = (p * t) + 0.10198037f;
        p = (p * t) + 0.1075186f;
        p = (p * t) + 0.10772209f;
        float tail = p * t * MathF.Exp(-0.5f * x * x);
        return x < 0 ? tail : 1 - tail;
    }

    /// <summary>x less its nearest integer: in [-½, ½].</summary>
    public static float NearestFraction(float x) => x - MathF.Floor(x + 0.5f);

    /// <summary>The upper 12 bits of x's 24: products of such halves are exact.</summary>
    public static float UpperHalf(float x) => Interop.IntAsFloat(Interop.FloatAsInt(x) & 0xFFFFF000u);

    /// <summary>sin(2π · turns) for |turns| up to a few: no reduction by π is needed, quarter turns come off exactly.</summary>
    public static float SinTurns(float turns) => SinTurns(turns, 0);

    /// <summary>cos(2π · turns) for |turns| up to a few.</summary>
    public static float CosTurns(float turns) => SinTurns(turns, 1);

    /// <summary>The sine of <paramref name="quarters"/> quarter turns more, which are added where they are exact.</summary>
    private static float SinTurns(float turns, int quarters)
    {
        float quarter = MathF.Floor((4 * turns) + 0.5f);
        float angle = (turns - (0.25f * quarter)) * TwoPi;
        int quadrant = ((int)quarter + quarters) & 3;
        float value = (quadrant & 1) == 0 ? SinNearZero(angle) : CosNearZero(angle);
        return (quadrant & 2) == 0 ? value : -value;
    }

    private const float TwoPi = 6.2831853f;

    /// <summary>Taylor's series to degree 9 on [-π/4, π/4]: the next term is below 2e-9.</summary>
    private static float SinNearZero(float x)
    {
        float s = x * x;
        return x + (x * s * ((((((s * 2.7557319e-6f) - 1.9841270e-4f) * s) + 8.3333333e-3f) * s) - 0.16666667f));
    }

    /// <summary>Taylor's series to degree 10 on [-π/4, π/4]: the next term is below 2e-10.</summary>
    private static float CosNearZero(float x)
    {
        float s = x * x;
        return 1 + (s * (((((((((s * -2.7557319e-7f) + 2.4801587e-5f) * s) - 1.3888889e-3f) * s) + 0.041666667f) * s) - 0.5f)));
    }
}

/// <summary>The coordinates of a value of an image batch [N,H,W,C].</summary>
internal readonly struct Pixel
{
    public readonly int N;
    public readonly int H;
    public readonly int W;
    public readonly int C;

    public Pixel(int i, int height, int width, int channels)
    {
        int q = i / channels;
        C = i - (q * channels);
        i = q / width;
        W = q - (i * width);
        N = i / height;
        H = i - (N * height);
    }
}
