using System.Globalization;
using Diffusion.Gpu.Fid;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>Square matrix products, and the root of the Fréchet distance, which is made of them.</summary>
internal static class ProductPart
{
    /// <summary>Products of two n × n matrices in every precision.</summary>
    public static void MatMul(GpuRun run)
    {
        foreach (var precision in run.Precisions)
        {
            using var device = run.Open(precision);
            var timer = run.NewTimer(device);
            // The largest first: it is the one that is judged.
            foreach (int n in run.Quick ? [64] : new[] { 4096, 2048, 1024 })
            {
                if (run.IsOver)
                {
                    run.RanOut($"matmul, {GpuRun.NameOf(precision)}", $"before size {n}");
                    break;
                }
                int copies = timer.Copies(3L * sizeof(float) * n * n);
                var matrices = new List<Tensor>();
                for (uint i = 0; i < 3 * copies; i++)
                {
                    matrices.Add(device.NewTensor([n, n]));
                    device.Backend.FillNormal(new RandomKey(1, 0, i), matrices[^1]);
                }
                var time = timer.Measure(i =>
                {
                    int at = 3 * (i % copies);
                    device.Backend.MatMul(new MatMulShape(1, n, n, n, false, false), matrices[at], matrices[at + 1],
                        new GradientTarget(matrices[at + 2], false));
                });
                run.Results.Rows.Add(new GpuRow("matmul", "", $"{n}", "", GpuRun.NameOf(precision))
                {
                    Seconds = time.Median,
                    Least = time.Least,
                    Flop = 2.0 * n * n * n,
                });
                matrices.ForEach(matrix => matrix.Dispose());
            }
            run.NoteKernels($"matmul, {GpuRun.NameOf(precision)}", device);
        }
    }

    /// <summary>The polar ladder of a random matrix, by its body in 64 bits and in 32.</summary>
    /// <exception cref="InvalidOperationException">A result is not within its bound.</exception>
    public static void Root(GpuRun run)
    {
        int n = run.Quick ? 64 : 2048;
        using var device = run.Open(Precision.Float32);
        if (device.Float64Rate == 0)
        {
            run.Results.Facts.Add("the device has no 64-bit floats, so no root");
            return;
        }
        var random = new Random(1);
        var values = new double[n * n];
        for (int i = 0; i < values.Length; i++)
            values[i] = random.NextDouble() - 0.5;
        using var b = new Matrix(device, n, n, values);
        foreach (bool isSingle in new[] { false, true })
        {
            LadderResult? result = null;
            var time = run.NewTimer(device).Measure(_ => result = PolarLadder.Norm(b, new LadderOptions(isSingle)));
            if (!result!.IsAccepted)
                throw new InvalidOperationException($"the root of {n} in {(isSingle ? 32 : 64)} bits is not within its bound: {result}");
            run.Results.Rows.Add(new GpuRow("root", "", $"{n}", "", isSingle ? "float32" : "float64")
            {
                Seconds = time.Median,
                Least = time.Least,
                Flop = 2.0 * result.Products * n * n * n,
            });
        }
        run.Results.Facts.Add(string.Create(CultureInfo.InvariantCulture,
            $"64-bit floats run at {device.Float64Rate:0.###} of the rate of 32-bit ones"));
        run.NoteKernels("root", device);
    }
}
