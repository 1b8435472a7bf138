namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Dropout: which values are dropped is a function of the key alone.</summary>
    public static IEnumerable<OpCase> Dropout =>
    [
        Dropped([1], 0.5f, new(1, 2, 3), tiny: true),
        Dropped([2, 3, 5, 3], 0.1f, new(4, 5, 6), tiny: true),
        Dropped([3, 65], 0.5f, new(7, 1, 0, 11)),
        Dropped([5, 7, 17], 0.9f, new(0x123456789ABCDEF0, 3, 1000, 64)),
        Dropped([2, 40_001], 0.25f, new(8, 8, 8)),
        Dropped([2, 129], 0, new(9, 1, 1)),
    ];

    private static OpCase Dropped(Shape shape, float rate, RandomKey key, bool tiny = false)
    {
        int perSample = (int)shape.Count / shape[0];
        return new OpCase($"Dropout {shape} at {rate}", [Input("x", shape)], (tape, t) => tape.Dropout(t[0], rate, key),
            v => Each(shape.Count, i =>
            {
                bool stays = Philox.Uniform(key, (uint)(i / perSample), (uint)(i % perSample)) >= rate;
                return stays ? v[0][i] / (1 - (double)rate) : 0;
            }))
        {
            Tolerance = 5e-7,
            Tiny = tiny,
        };
    }
}
