namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Moving an average towards values.</summary>
    public static IEnumerable<OpCase> Ema => [Averaged(1, 0.5f, tiny: true), Averaged(129, 0.005f), Averaged(1025, 1)];

    private static OpCase Averaged(int count, float weight, bool tiny = false)
        => new($"Ema {count} values by {weight}", [Constant("average", [count]), Constant("value", [count])], (tape, t) =>
        {
            var average = Copy(tape, t[0]);
            tape.Device.Backend.Lerp(average, t[1], weight);
            return average;
        }, v => Each(count, i => v[0][i] + (weight * (v[1][i] - v[0][i])))) { Tolerance = 5e-7, Tiny = tiny };
}
