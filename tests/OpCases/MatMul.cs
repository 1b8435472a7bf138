namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Matrix products in all four orders, and linear layers.</summary>
    public static IEnumerable<OpCase> MatMul =>
    [
        Product("one value", new(1, 1, 1, 1, false, false), tiny: true),
        .. Orders.Select(o => Product($"odd{o.Name}", new(3, 5, 7, 11, o.A, o.B), tiny: true)),
        .. Orders.Select(o => Product($"past a tile{o.Name}", new(1, 65, 33, 17, o.A, o.B))),
        .. Orders.Select(o => Product($"whole vectors{o.Name}", new(2, 68, 36, 20, o.A, o.B))),
        .. Orders.Select(o => Product($"deep{o.Name}", new(2, 9, 5, 129, o.A, o.B))),
        .. Orders.Select(o => Product($"depth 1000{o.Name}", new(1, 3, 5, 1_000, o.A, o.B))),
        Product("row by matrix", new(1, 1, 129, 33, false, false)),
        Product("matrix by column", new(1, 130, 1, 31, false, false)),
        Product("outer product", new(2, 17, 19, 1, false, true)),
        Layer("one value", [1, 1], 1, bias: true, tiny: true),
        Layer("odd", [3, 7], 5, bias: true, tiny: true),
        Layer("no bias", [5, 17], 33),
        Layer("one row", [1, 65], 129, bias: true),
        Layer("tokens", [2, 9, 33], 17, bias: true),
        Layer("905 channels", [3, 905], 4, bias: true),
        Layer("one output", [13, 31], 1, bias: true),
    ];

    private static IEnumerable<(string Name, bool A, bool B)> Orders =>
        [("", false, false), (", a transposed", true, false), (", b transposed", false, true), (", both transposed", true, true)];

    private static OpCase Product(string name, MatMulShape s, bool tiny = false)
    {
        Shape a = s.TransposeA ? [s.Batch, s.K, s.M] : [s.Batch, s.M, s.K];
        Shape b = s.TransposeB ? [s.Batch, s.N, s.K] : [s.Batch, s.K, s.N];
        if (s.Batch == 1)
            (a, b) = ([a[1], a[2]], [b[1], b[2]]);
        return new OpCase($"MatMul {name}", [Input("a", a), Input("b", b)],
            (tape, t) => tape.MatMul(t[0], t[1], s.TransposeA, s.TransposeB), v => Multiplied(s, v[0], v[1])) { Tiny = tiny };
    }

    private static double[] Multiplied(MatMulShape s, double[] a, double[] b)
    {
        var c = new double[s.Batch * s.M * s.N];
        for (int batch = 0; batch < s.Batch; batch++)
            for (int m = 0; m < s.M; m++)
                for (int n = 0; n < s.N; n++)
                {
                    double sum = 0;
                    for (int k = 0; k < s.K; k++)
                        sum += a[(batch * s.M * s.K) + (s.TransposeA ? (k * s.M) + m : (m * s.K) + k)]
                            * b[(batch * s.K * s.N) + (s.TransposeB ? (n * s.K) + k : (k * s.N) + n)];
                    c[(((batch * s.M) + m) * s.N) + n] = sum;
                }
        return c;
    }

    private static OpCase Layer(string name, Shape x, int outputs, bool bias = false, bool tiny = false)
    {
        int channels = x[^1];
        var s = new MatMulShape(1, (int)(x.Count / channels), outputs, channels, false, true);
        List<OpInput> inputs = [Input("x", x), Input("weight", [outputs, channels])];
        if (bias)
            inputs.Add(Input("bias", [outputs]));
        return new OpCase($"Linear {name}", inputs, (tape, t) => tape.Linear(t[0], t[1], bias ? t[2] : null), v =>
        {
            var y = Multiplied(s, v[0], v[1]);
            return bias ? Each(y.Length, i => y[i] + v[2][i % outputs]) : y;
        }) { Tiny = tiny };
    }
}
