using System.Numerics;
using System.Text.Json;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Kernels.OpCases;

/// <summary>One pair of golden files: tensors that the reference program produced, and the JSON that describes them.</summary>
public sealed class GoldenFile : IDisposable
{
    private readonly SafetensorsReader tensors;
    private readonly JsonDocument description;

    private GoldenFile(SafetensorsReader tensors, JsonDocument description)
    {
        this.tensors = tensors;
        this.description = description;
    }

    /// <summary>The "config" object, undefined when the file has none.</summary>
    public JsonElement Config => description.RootElement.TryGetProperty("config", out var config) ? config : default;

    /// <summary>The "scalars" object, undefined when the file has none.</summary>
    public JsonElement Scalars => description.RootElement.TryGetProperty("scalars", out var scalars) ? scalars : default;

    /// <summary>Every tensor's name, type and shape.</summary>
    public IReadOnlyList<TensorEntry> Entries => tensors.Entries;

    /// <summary>Folder of the golden data beside the test program.</summary>
    public static string Folder => Path.Combine(AppContext.BaseDirectory, "Golden");

    /// <summary>Opens a golden file.</summary>
    /// <param name="name">Path below the golden folder without extension: "ops/conv2d".</param>
    public static GoldenFile Open(string name)
    {
        string path = Path.Combine(Folder, name);
        var tensors = SafetensorsReader.Open(path + ".safetensors");
        try
        {
            return new GoldenFile(tensors, JsonDocument.Parse(File.ReadAllBytes(path + ".json")));
        }
        catch
        {
            tensors.Dispose();
            throw;
        }
    }

    /// <summary>True when the file has a tensor of that name.</summary>
    public bool Contains(string name) => tensors.Contains(name);

    /// <summary>Shape of a tensor.</summary>
    public int[] Shape(string name) => [.. tensors.Entry(name).Shape];

    /// <summary>A tensor of floats.</summary>
    public float[] Singles(string name) => tensors.ReadSingles(name);

    /// <summary>A tensor of floats, widened.</summary>
    public double[] Doubles(string name) => tensors.ReadDoubles(name);

    /// <summary>A tensor of integers or booleans.</summary>
    public long[] Integers(string name) => tensors.ReadIntegers(name);

    /// <summary>A tensor's stored bytes: the values of a U8 tensor.</summary>
    public byte[] Bytes(string name) => tensors.ReadBytes(name);

    /// <summary>An expected scalar.</summary>
    public double Scalar(string name)
    {
        var scalar = Scalars.GetProperty(name);
        return (scalar.ValueKind == JsonValueKind.Object ? scalar.GetProperty("value") : scalar).GetDouble();
    }

    /// <summary>Allowed relative deviation: ten times what torch's own float32 run shows, at least the section's floor.</summary>
    public double Tolerance(string name, double floor)
    {
        bool known = description.RootElement.TryGetProperty("torch_float32_deviation", out var all)
            & all.ValueKind == JsonValueKind.Object;
        return known && all.TryGetProperty(name, out var deviation)
            ? Math.Max(floor, 10 * deviation.GetProperty("rel_max").GetDouble())
            : floor;
    }

    /// <summary>Largest deviation over the largest expected magnitude; infinite when one side is finite and the other is not.</summary>
    public static double RelMax<TActual, TExpected>(ReadOnlySpan<TActual> actual, ReadOnlySpan<TExpected> expected)
        where TActual : INumberBase<TActual>
        where TExpected : INumberBase<TExpected>
    {
        if (actual.Length != expected.Length)
        {
            throw new ArgumentException($"{actual.Length} values to be compared with {expected.Length}", nameof(actual));
        }

        double deviation = 0, magnitude = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            double got = double.CreateChecked(actual[i]), wanted = double.CreateChecked(expected[i]);
            if (!got.Equals(wanted))
            {
                deviation = double.IsFinite(got) && double.IsFinite(wanted)
                    ? Math.Max(deviation, Math.Abs(got - wanted))
                    : double.PositiveInfinity;
            }

            magnitude = double.IsFinite(wanted) ? Math.Max(magnitude, Math.Abs(wanted)) : magnitude;
        }

        return deviation == 0 ? 0 : deviation / magnitude;
    }

    /// <summary>Closes the file.</summary>
    public void Dispose()
    {
        tensors.Dispose();
        description.Dispose();
    }
}
