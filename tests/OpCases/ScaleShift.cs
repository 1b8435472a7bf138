namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Feature-wise modulation.</summary>
    public static IEnumerable<OpCase> ScaleShift =>
    [
        Modulated([1, 1], tiny: true),
        Modulated([2, 3, 5, 3], tiny: true),
        Modulated([3, 7, 17]),
        Modulated([1, 101, 5]),
        Modulated([5, 3, 65]),
        Modulated([2, 129]),
        Modulated([2, 301, 65]),
    ];

    private static OpCase Modulated(Shape shape, bool tiny = false)
    {
        int samples = shape[0], channels = shape[^1], perSample = (int)shape.Count / samples;
        return new OpCase($"ScaleShift {shape}", [Input("x", shape), Input("scaleShift", [samples, 2 * channels])],
            (tape, t) => tape.ScaleShift(t[0], t[1]), v => Each(shape.Count, i =>
            {
                int scale = (i / perSample * 2 * channels) + (i % channels);
                return (v[0][i] * (v[1][scale] + 1)) + v[1][scale + channels];
            })) { Tiny = tiny };
    }
}
