namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Random numbers, which must be the same bits everywhere, and offset noise.</summary>
    public static IEnumerable<OpCase> Noise =>
    [
        .. Keys.SelectMany(entry => new[]
        {
            Drawn("Normal", entry.Shape, entry.Key, (tape, shape, key) => tape.Normal(shape, key),
                (key, n, i) => Philox.Normal(key, n, i)),
            Drawn("Uniform", entry.Shape, entry.Key, (tape, shape, key) => tape.Uniform(shape, key),
                (key, n, i) => Philox.Uniform(key, n, i)),
        }),
        Offset([1, 1], tiny: true),
        Offset([2, 3, 5, 3], tiny: true),
        Offset([3, 7, 65]),
    ];

    /// <summary>Rows that are no multiple of Philox's four words, seeds and samples past 32 and 31 bits.</summary>
    private static (Shape Shape, RandomKey Key)[] Keys =>
    [
        ([1], new(0, 0, 0)),
        ([2, 3, 5], new(1, 2, 3)),
        ([3, 1025], new(42, 1, 7, 1000)),
        ([5, 66], new(0xFEDCBA9876543210, 0xFFFFFFFF, 0x80000000, 0xFFFFFFF0)),
        ([2, 40_001], new(8, 8, 8)),
        ([17, 1], new(7, 0, 0, 3)),
    ];

    private static OpCase Drawn(string distribution, Shape shape, RandomKey key, Func<Tape, Shape, RandomKey, Tensor> call,
        Func<RandomKey, uint, uint, float> number)
    {
        int perSample = (int)shape.Count / shape[0];
        return new OpCase($"Noise {distribution} {shape}", [], (tape, _) => call(tape, shape, key),
            _ => Each(shape.Count, i => number(key, (uint)(i / perSample), (uint)(i % perSample))))
        {
            Tolerance = 0,
            Tiny = shape.Count < 300,
        };
    }

    private static OpCase Offset(Shape shape, bool tiny = false)
    {
        const float Strength = 0.1f;
        int samples = shape[0], channels = shape[^1], perSample = (int)shape.Count / samples;
        return new OpCase($"Noise offset {shape}", [Constant("noise", shape), Constant("offset", [samples, channels])],
            (tape, t) => tape.AddOffsetNoise(t[0], t[1], Strength),
            v => Each(shape.Count, i => v[0][i] + (Strength * v[1][(i / perSample * channels) + (i % channels)])))
        {
            Tolerance = 1e-6,
            Tiny = tiny,
        };
    }
}
