namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Means over all positions.</summary>
    public static IEnumerable<OpCase> GlobalAveragePool =>
    [
        MeanOverPositions([1, 1, 1, 1], tiny: true),
        MeanOverPositions([2, 3, 5, 3], tiny: true),
        MeanOverPositions([3, 7, 17]),
        MeanOverPositions([1, 9, 11, 65]),
        MeanOverPositions([5, 129]),
        MeanOverPositions([2, 257, 5]),
    ];

    private static OpCase MeanOverPositions(Shape shape, bool tiny = false)
    {
        int samples = shape[0], channels = shape[^1], positions = (int)shape.Count / samples / channels;
        return new OpCase($"GlobalAveragePool {shape}", [Input("x", shape)], (tape, t) => tape.GlobalAveragePool(t[0]),
            v => Each(samples * channels, i => Enumerable.Range(0, positions)
                .Average(p => v[0][(((i / channels * positions) + p) * channels) + (i % channels)]))) { Tiny = tiny };
    }
}
