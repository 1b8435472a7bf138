using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>The normal numbers: how near they are to the exact quantiles, how they are distributed, and that they never change.</summary>
public sealed class NormalTableTests
{
    [Test]
    public void Numbers_are_the_quantiles_of_their_words()
    {
        for (uint i = 0; i < 20_000; i++)
        {
            // Words from all octaves of the tail: random ones, and those shifted towards zero.
            uint word = Philox.Block(i, 0, 0, 0, 1, 2).A >> (int)(i % 31);
            double p = ((2.0 * (word & 0x7FFFFFFF)) + 1) / (1UL << 33);
            float number = NormalTable.ToNormal(word);
            double distance = NewtonStep(Math.Abs((double)number), p);
            Assert.That(Math.Abs(distance), Is.LessThan(1e-7 + (6e-8 * Math.Abs(number))), $"word {word:x8} gives {number}");
            Assert.That(word >> 31 == 0 ? number : -number, Is.GreaterThanOrEqualTo(0));
        }
    }

    [Test]
    public void Numbers_grow_to_both_tails()
    {
        Assert.That(NormalTable.ToNormal(0), Is.EqualTo(6.3f).Within(0.1f));
        Assert.That(NormalTable.ToNormal(0x80000000), Is.EqualTo(-NormalTable.ToNormal(0)));
        Assert.That(NormalTable.ToNormal(0x7FFFFFFF), Is.EqualTo(0).Within(1e-7f));
    }

    [Test]
    public void Numbers_have_the_moments_and_the_distribution_of_the_normal()
    {
        const int Count = 1_000_000;
        var key = new RandomKey(2024, 0, 0);
        var numbers = new double[Count];
        for (int i = 0; i < Count; i++)
            numbers[i] = Philox.Normal(key, (uint)(i / 1000), (uint)(i % 1000));
        // Five standard errors of each moment.
        double error = 5 / Math.Sqrt(Count);
        Assert.That(numbers.Average(), Is.EqualTo(0).Within(error));
        Assert.That(numbers.Average(x => x * x), Is.EqualTo(1).Within(error * Math.Sqrt(2)));
        Assert.That(numbers.Average(x => x * x * x), Is.EqualTo(0).Within(error * Math.Sqrt(15)));
        Assert.That(numbers.Average(x => x * x * x * x), Is.EqualTo(3).Within(error * Math.Sqrt(96)));
        Array.Sort(numbers);
        double farthest = Enumerable.Range(0, Count / 100).Max(i => Math.Abs(Cumulative(numbers[100 * i]) - ((100.0 * i) / Count)));
        // Kolmogorov and Smirnov: exceeded once in a thousand seeds.
        Assert.That(farthest, Is.LessThan(1.95 / Math.Sqrt(Count)));
    }

    [Test]
    public void Table_is_the_same_in_every_build()
    {
        var bytes = MemoryMarshal.AsBytes(NormalTable.Coefficients.AsSpan());
        Assert.That(Convert.ToHexStringLower(SHA256.HashData(bytes)),
            Is.EqualTo("cf864cc942247dab7b23de8a65602383dd3cf1bb3aa99cf18b46a9ca7e73fff0"));
    }

    /// <summary>How far x is from the point that a standard normal number exceeds with probability p.</summary>
    private static double NewtonStep(double x, double p)
        => (UpperTail(x) - p) / (Math.Exp(-0.5 * x * x) / Math.Sqrt(2 * Math.PI));

    private static double Cumulative(double x) => x < 0 ? UpperTail(-x) : 1 - UpperTail(x);

    /// <summary>Simpson's rule over the density from x on: another way than the table's.</summary>
    private static double UpperTail(double x)
    {
        const int Steps = 1000;
        // To where the density has fallen by e^-40.
        double width = (Math.Sqrt((x * x) + 80) - x) / Steps, sum = 0;
        for (int i = 0; i <= Steps; i++)
        {
            double at = x + (i * width);
            sum += Math.Exp(-0.5 * at * at) * (i is 0 or Steps ? 1 : i % 2 == 1 ? 4 : 2);
        }
        return sum * width / 3 / Math.Sqrt(2 * Math.PI);
    }
}
