using System.Text;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Fid;

/// <summary>Statistics as .npz files.</summary>
/// <remarks>mu (dims) and sigma (dims, dims): pytorch-fid, clean-fid, EDM, guided-diffusion. m2, s2: denoising-diffusion-pytorch.
/// Ours in addition: count (), recipe and weights (UTF-8 bytes), and factor with factor_shift: shape (dims, dims) and a shift above 0 for a
/// Cholesky factor, (count, dims) and 0 for centred features divided by √(count − 1).</remarks>
internal static class StatisticsFile
{
    /// <summary>What a stored factor may deviate from the covariance's diagonal, relative to it, beside its shift.</summary>
    private const double FactorTolerance = 1e-9;

    public static GaussianStatistics Read(string path)
    {
        using var file = NpzReader.Open(path);
        var (meanName, covarianceName) = file.Contains("mu") || file.Contains("sigma") ? ("mu", "sigma") : ("m2", "s2");
        foreach (string name in new[] { meanName, covarianceName })
        {
            if (!file.Contains(name))
            {
                string found = string.Join(", ", file.Entries.Take(8).Select(entry => entry.Name));
                throw new WeightsException(path, null, $"has the arrays {found}",
                    "expected mu and sigma (pytorch-fid, clean-fid) or m2 and s2 (denoising-diffusion-pytorch): "
                    + "name a file of statistics, or make one with 'stats'");
            }
        }

        var meanShape = file.Entry(meanName).Shape;
        var covarianceShape = file.Entry(covarianceName).Shape;
        if (meanShape.Count != 1 || meanShape[0] == 0)
            throw new WeightsException(path, meanName, $"has the shape {Extents(meanShape)}", "expected (dims)");
        int dims = meanShape[0];
        if (!covarianceShape.SequenceEqual([dims, dims]))
        {
            throw new WeightsException(path, covarianceName, $"has the shape {Extents(covarianceShape)}",
                $"expected ({dims}, {dims}), as {meanName} has {dims}");
        }

        double[] mean = file.ReadDoubles(meanName), covariance = file.ReadDoubles(covarianceName);
        long? count = file.Contains("count") ? Single(path, "count", file.ReadIntegers("count")) : null;
        if (GaussianStatistics.Fault(mean, covariance, count) is { } fault)
        {
            string name = fault.Array == "mu" ? meanName : fault.Array == "sigma" ? covarianceName : fault.Array;
            throw new WeightsException(path, name, fault.Got, fault.Wanted);
        }

        return new GaussianStatistics(mean, covariance, count, ReadFactor(path, file, covariance, dims))
        {
            Recipe = ReadText(file, "recipe"),
            Weights = ReadText(file, "weights"),
        };
    }

    public static void Write(string path, GaussianStatistics statistics)
    {
        int dims = statistics.Dims;
        var arrays = new List<TensorSource>
        {
            TensorSource.Doubles("mu", [dims], statistics.Mean),
            TensorSource.Doubles("sigma", [dims, dims], statistics.Covariance),
        };
        if (statistics.Count is long count)
            arrays.Add(TensorSource.Integers("count", [], new[] { count }));
        if (statistics.Recipe is not null)
            arrays.Add(Text("recipe", statistics.Recipe));
        if (statistics.Weights is not null)
            arrays.Add(Text("weights", statistics.Weights));
        if (statistics.FactorOn(null) is { } factor)
        {
            arrays.Add(TensorSource.Doubles("factor", [factor.Rows, dims], factor.Values));
            arrays.Add(TensorSource.Doubles("factor_shift", [], new[] { factor.Shift }));
        }

        NpzWriter.Write(path, arrays);
    }

    private static CovarianceFactor? ReadFactor(string path, NpzReader file, double[] covariance, int dims)
    {
        if (!file.Contains("factor") || !file.Contains("factor_shift"))
            return null;
        var shape = file.Entry("factor").Shape;
        double shift = Single(path, "factor_shift", file.ReadDoubles("factor_shift"));
        if (shape.Count != 2 || shape[1] != dims || shape[0] < 1 || !(shift >= 0 && shift < 1) || (shift > 0 && shape[0] != dims))
        {
            throw new WeightsException(path, "factor", $"has the shape {Extents(shape)} and the shift {shift}",
                $"expected (rows, {dims}), square where shifted: make the statistics again");
        }

        double[] values = file.ReadDoubles("factor");
        bool isCholesky = shift > 0;
        for (int i = 0; i < dims; i++)
        {
            double square = 0, variance = covariance[((long)i * dims) + i];
            for (int j = 0; j < shape[isCholesky ? 1 : 0]; j++)
            {
                double value = values[isCholesky ? ((long)i * dims) + j : ((long)j * dims) + i];
                square += value * value;
            }

            if (!(Math.Abs(square - (variance * (1 + shift))) <= FactorTolerance * variance))
            {
                throw new WeightsException(path, "factor", $"gives the variance {square:G9} where sigma has {variance:G9} (feature {i})",
                    "the file is inconsistent: make the statistics again");
            }
        }

        return new CovarianceFactor(values, shape[0], isCholesky, shift);
    }

    private static T Single<T>(string path, string name, T[] values) => values.Length == 1
        ? values[0]
        : throw new WeightsException(path, name, $"holds {values.Length} numbers", "expected one");

    private static TensorSource Text(string name, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        return TensorSource.Bytes(name, ElementType.U8, [bytes.Length], bytes);
    }

    private static string? ReadText(NpzReader file, string name) => file.Contains(name) && file.Entry(name).Type == ElementType.U8
        ? Encoding.UTF8.GetString(Array.ConvertAll(file.ReadIntegers(name), value => (byte)value))
        : null;

    private static string Extents(IReadOnlyList<int> shape) => $"({string.Join(", ", shape)})";
}
