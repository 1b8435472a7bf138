namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>All filters, up, down, mixed and to the same size.</summary>
    public static IEnumerable<OpCase> Resize =>
    [
        .. Enum.GetValues<ResizeMode>().SelectMany(mode => new[]
        {
            Resized(mode, 1, 1, 1, 1, 1, 1, tiny: true),
            Resized(mode, 2, 3, 5, 3, 7, 4, tiny: true),
            Resized(mode, 1, 9, 11, 5, 4, 3),
            Resized(mode, 1, 7, 5, 17, 7, 5),
            Resized(mode, 2, 1, 1, 3, 3, 5),
            Resized(mode, 1, 5, 4, 65, 1, 1),
            Resized(mode, 1, 17, 6, 2, 5, 31),
        }),
    ];

    private static OpCase Resized(ResizeMode mode, int n, int h, int w, int c, int height, int width, bool tiny = false)
    {
        double[,] vertical = ResizeMatrix(mode, h, height), horizontal = ResizeMatrix(mode, w, width);
        return new OpCase($"Resize {mode} {n}x{h}x{w}x{c} to {height}x{width}", [Input("x", [n, h, w, c])],
            (tape, t) => tape.Resize(t[0], height, width, mode), v => Each(n * height * width * c, i =>
            {
                int channel = i % c, column = i / c % width, row = i / c / width % height, image = i / c / width / height;
                double sum = 0;
                for (int y = 0; y < h; y++)
                    for (int x = 0; x < w; x++)
                        sum += vertical[row, y] * horizontal[column, x] * v[0][(((((image * h) + y) * w) + x) * c) + channel];
                return sum;
            })) { Tiny = tiny };
    }

    /// <summary>The weight of every input in every output along one axis.</summary>
    private static double[,] ResizeMatrix(ResizeMode mode, int inputs, int outputs)
    {
        var matrix = new double[outputs, inputs];
        double scale = (double)inputs / outputs, widening = mode == ResizeMode.BilinearAntialias ? Math.Max(scale, 1) : 1;
        for (int i = 0; i < outputs; i++)
        {
            if (mode == ResizeMode.Nearest)
            {
                matrix[i, i * inputs / outputs] = 1;
                continue;
            }
            double source = mode == ResizeMode.BilinearTensorFlow1 ? i * scale : ((i + 0.5) * scale) - 0.5;
            if (mode != ResizeMode.BilinearAntialias)
                source = Math.Clamp(source, 0, inputs - 1);
            double sum = 0;
            for (int k = 0; k < inputs; k++)
                sum += matrix[i, k] = Math.Max(0, 1 - (Math.Abs(k - source) / widening));
            for (int k = 0; k < inputs; k++)
                matrix[i, k] /= sum;
        }
        return matrix;
    }
}
