namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Setting every value.</summary>
    public static IEnumerable<OpCase> Fill => [Filled(1, 0, tiny: true), Filled(17, -1.5f, tiny: true), Filled(1025, 1e-30f)];

    private static OpCase Filled(int count, float value, bool tiny = false) => new($"Fill {count} values with {value}", [], (tape, _) =>
    {
        var y = tape.New([count]);
        tape.Device.Backend.Fill(y, value);
        return y;
    }, _ => Each(count, _ => value)) { Tolerance = 0, Tiny = tiny };
}
