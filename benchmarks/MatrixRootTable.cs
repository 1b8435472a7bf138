using System.Globalization;
using Diffusion.Gpu.Fid;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>What the polar ladder costs, misses and promises, for matrices of known singular values.</summary>
internal static class MatrixRootTable
{
    private const int Dims = 256;

    /// <summary>Prints a table in Markdown; the exit code is 1 where an error exceeds its bound or 1e-9.</summary>
    public static int Run()
    {
        bool kept = true;
        foreach (string id in new[] { "cpu", "opencl:0" })
        {
            if (Device.List().FirstOrDefault(info => info.Id == id) is not { Problem: null })
            {
                Console.WriteLine($"\n{id}: not on this machine");
                continue;
            }
            using var device = Device.Open(id, Precision.Float32);
            Console.WriteLine($"\n## {id}: {device.Info.Name}\n");
            Console.WriteLine("| singular values of B, 256 x 256 | body | products | continued | error / norm | bound / norm | kept |");
            Console.WriteLine("|---|---|---|---|---|---|---|");
            foreach (var (name, values, isPrecise) in Cases())
            {
                kept &= Print(device, name, values, isPrecise, isSingle: false);
                kept &= Print(device, name, values, isPrecise, isSingle: true);
            }
        }
        return kept ? 0 : 1;
    }

    /// <summary>Conditions are those of Σ₁Σ₂, the squares of B's. All but the last must be within 1e-9.</summary>
    private static IEnumerable<(string Name, double[] Values, bool IsPrecise)> Cases()
    {
        for (int power = 2; power <= 12; power += 2)
        {
            double least = Math.Pow(10, -power / 2.0);
            yield return ($"log-uniform, condition 1e{power}", Each(i => Math.Pow(least, i / (Dims - 1.0))), true);
            yield return ($"power of i, condition 1e{power}", Each(i => Math.Pow(i + 1, Math.Log(least) / Math.Log(Dims))), true);
            yield return ($"one large, condition 1e{power}", Each(i => i == 0 ? 1 : least), true);
        }
        foreach (int rank in new[] { 255, 128, 16, 1 })
            yield return ($"i^-1.05, rank {rank}", Each(i => i < rank ? Math.Pow(i + 1, -1.05) : 0), true);
        yield return ("half 1, half 1e-6: below the floor", Each(i => i < Dims / 2 ? 1 : 1e-6), false);
    }

    private static double[] Each(Func<int, double> value) => [.. Enumerable.Range(0, Dims).Select(value)];

    private static bool Print(Device device, string name, double[] values, bool isPrecise, bool isSingle)
    {
        using var b = Matrix(device, values);
        var result = PolarLadder.Norm(b, new LadderOptions(isSingle));
        double truth = values.Sum(), error = (truth - result.Value) / truth, bound = result.Bound / truth;
        bool kept = result.IsAccepted && error <= bound && error >= -1e-13 && !(isPrecise && error > 1e-9);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {name} | {(isSingle ? "32" : "64")} bits | {result.Products} "
            + $"| {result.Continuations} | {error:0.0e0} | {bound:0.0e0} | {(kept ? "yes" : "NO")} |"));
        return kept;
    }

    /// <summary>U · diag(values) · V with U, V products of three reflections each.</summary>
    private static Matrix Matrix(Device device, double[] values)
    {
        var matrix = new double[Dims * Dims];
        for (int i = 0; i < Dims; i++)
            matrix[i * (Dims + 1)] = values[i];
        for (uint reflection = 0; reflection < 6; reflection++)
        {
            var key = new RandomKey(7, reflection, 0);
            double[] u = Each(i => Philox.Uniform(key, 0, (uint)i) - 0.5);
            double square = u.Sum(x => x * x);
            (int along, int across) = reflection % 2 == 0 ? (1, Dims) : (Dims, 1);
            for (int line = 0; line < Dims; line++)
            {
                double dot = 0;
                for (int i = 0; i < Dims; i++)
                    dot += u[i] * matrix[(line * across) + (i * along)];
                for (int i = 0; i < Dims; i++)
                    matrix[(line * across) + (i * along)] -= 2 * dot / square * u[i];
            }
        }
        return new Matrix(device, Dims, Dims, matrix);
    }
}
