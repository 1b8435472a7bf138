namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Sums of squares.</summary>
    public static IEnumerable<OpCase> GradientNorm => [Squared(1, tiny: true), Squared(129), Squared(4097), Squared(70001)];

    private static OpCase Squared(int count, bool tiny = false)
        => new($"GradientNorm {count} values", [Constant("x", [count])], (tape, t) =>
        {
            var sum = tape.New([1]);
            tape.Device.Backend.SumOfSquares(t[0], sum);
            return sum;
        }, v => [v[0].Sum(x => x * x)]) { Tolerance = 2e-6, Tiny = tiny };
}
