using System.Numerics;

namespace Diffusion.Gpu.Kernels;

/// <summary>
/// The inverse normal distribution function on 32-bit words, in integer arithmetic: piecewise cubics over a hierarchy of segments.
/// </summary>
/// <remarks>After Cheung, Luk, Villasenor and Lee, 2007 (hardware generation of arbitrary distributions from the inversion method):
/// the tail probability p = (2v + 1) / 2^33 of the word's low 31 bits v is split by its leading zeros into octaves, each octave into 32
/// segments. The absolute error is below 1e-8, the largest number 6.3; floats could not do better,
/// and every backend gets the same bits.</remarks>
internal static class NormalTable
{
    /// <summary>Segments per octave, as a power of two.</summary>
    public const int SegmentBits = 5;

    /// <summary>Bits of the position within a segment.</summary>
    public const int FractionBits = 31 - SegmentBits;

    /// <summary>Fractional bits of the coefficients and of the result.</summary>
    public const int ValueBits = 28;

    /// <summary>Coefficients per segment.</summary>
    public const int Terms = 4;

    private const int Octaves = 32;

    /// <summary>Four coefficients per segment, lowest power first, as fixed-point numbers with <see cref="ValueBits"/> fractional
    /// bits.</summary>
    public static int[] Coefficients { get; } = Build();

    /// <summary>A standard normal number from a random word.</summary>
    public static float ToNormal(uint word)
    {
        uint odd = Odd(word);
        int zeros = BitOperations.LeadingZeroCount(odd);
        int at = Terms * Segment(odd << zeros, zeros);
        var c = Coefficients;
        return Evaluate(word, odd << zeros, c[at], c[at + 1], c[at + 2], c[at + 3]);
    }

    /// <summary>2v + 1 of the word's low 31 bits v: the tail probability times 2^33, never zero.</summary>
    public static uint Odd(uint word) => (word << 1) | 1;

    /// <summary>The segment of a normalised (top bit set) number.</summary>
    public static int Segment(uint normalised, int zeros) => (zeros << SegmentBits) | (int)((normalised << 1) >> (32 - SegmentBits));

    /// <summary>The cubic of a segment, with the sign of the word's top bit.</summary>
    public static float Evaluate(uint word, uint normalised, int c0, int c1, int c2, int c3)
    {
        long t = normalised & ((1u << FractionBits) - 1);
        int r = (int)((c3 * t) >> FractionBits) + c2;
        r = (int)((r * t) >> FractionBits) + c1;
        r = (int)((r * t) >> FractionBits) + c0;
        return (word >> 31 == 0 ? r : -r) * (1f / (1 << ValueBits));
    }

    private static int[] Build()
    {
        var table = new int[(Octaves << SegmentBits) * Terms];
        for (int zeros = 0; zeros < Octaves; zeros++)
        {
            for (int segment = 0; segment < 1 << SegmentBits; segment++)
            {
                // Tail probabilities at the segment's ends: odd / 2^33 with odd = (1 + segment/32) · 2^(31 − zeros).
                double width = Math.Pow(2, -2 - zeros) / (1 << SegmentBits);
                double from = Math.Pow(2, -2 - zeros) + (segment * width);
                Fit(t => UpperQuantile(from + (t * width)), table.AsSpan(((zeros << SegmentBits) + segment) * Terms, Terms));
            }
        }
        return table;
    }

    /// <summary>Interpolates at the Chebyshev nodes of [0, 1] and writes the cubic in powers of t.</summary>
    private static void Fit(Func<double, double> f, Span<int> coefficients)
    {
        Span<double> nodes = stackalloc double[Terms], differences = stackalloc double[Terms], powers = stackalloc double[Terms];
        for (int i = 0; i < Terms; i++)
        {
            nodes[i] = 0.5 - (0.5 * Math.Cos(Math.PI * ((2 * i) + 1) / (2 * Terms)));
            differences[i] = f(nodes[i]);
        }
        for (int order = 1; order < Terms; order++)
            for (int i = Terms - 1; i >= order; i--)
                differences[i] = (differences[i] - differences[i - 1]) / (nodes[i] - nodes[i - order]);
        powers.Clear();
        for (int i = Terms - 1; i >= 0; i--)
        {
            // powers ← powers · (t − nodes[i]) + differences[i]
            for (int k = Terms - 1; k > 0; k--)
                powers[k] = powers[k - 1] - (nodes[i] * powers[k]);
            powers[0] = differences[i] - (nodes[i] * powers[0]);
        }
        for (int k = 0; k < Terms; k++)
            coefficients[k] = (int)Math.Round(powers[k] * (1 << ValueBits));
    }

    /// <summary>The x ≥ 0 that a standard normal number exceeds with probability p ≤ ½, by Newton's method.</summary>
    private static double UpperQuantile(double p)
    {
        double x = p > 0.1 ? 0.5 : Math.Sqrt(-2 * Math.Log(p)) - 0.5;
        for (int i = 0; i < 60; i++)
        {
            // Steps on ln Q, which is nearly a parabola: Newton converges from far out in the tail too.
            double tail = UpperTail(x);
            double density = Math.Exp(-0.5 * x * x) / Math.Sqrt(2 * Math.PI);
            double step = Math.Log(tail / p) * tail / density;
            x = Math.Max(x + step, 0);
            if (Math.Abs(step) < 1e-15 * Math.Max(x, 1))
                break;
        }
        return x;
    }

    /// <summary>P(X &gt; x): a power series near the middle, a continued fraction in the tail.</summary>
    private static double UpperTail(double x)
    {
        double density = Math.Exp(-0.5 * x * x) / Math.Sqrt(2 * Math.PI);
        if (x < 3)
        {
            double term = x, sum = x;
            for (int k = 3; term > 1e-18 * sum; k += 2)
                sum += term *= x * x / k;
            return 0.5 - (density * sum);
        }
        double fraction = x;
        for (int k = 200; k >= 1; k--)
            fraction = x + (k / fraction);
        return density / fraction;
    }
}
