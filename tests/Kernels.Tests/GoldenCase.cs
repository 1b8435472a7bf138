using System.Text.Json;
using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>One golden case on a tape: PyTorch's inputs and parameters in this library's layout, and its results to compare with.</summary>
/// <param name="file">An open file of Golden/ops.</param>
/// <param name="name">The case within it.</param>
/// <param name="tape">Where the op runs.</param>
/// <param name="channelsLast">Whether tensors of four axes are images and filters, to be brought from NCHW to NHWC.</param>
internal sealed class GoldenCase(GoldenFile file, string name, Tape tape, bool channelsLast)
{
    private const double Floor = 5e-6;
    private readonly Dictionary<string, Tensor> _loaded = [];

    public string Name => name;

    public Tape Tape => tape;

    /// <summary>The case's entry of the file's "cases".</summary>
    public JsonElement Config => file.Config.GetProperty("cases").GetProperty(name);

    /// <summary>The whole file's description.</summary>
    public JsonElement FileConfig => file.Config;

    /// <summary>An input or parameter, watched where the file has its gradient.</summary>
    public Tensor this[string tensor]
    {
        get
        {
            if (_loaded.TryGetValue(tensor, out var loaded))
                return loaded;
            string full = $"{name}/{tensor}";
            bool integers = tensor == "in.time" && !name.EndsWith("float_time", StringComparison.Ordinal);
            float[] values = integers ? Array.ConvertAll(file.Integers(full), value => (float)value) : file.Singles(full);
            var (shape, laidOut) = Arrange(tensor, values);
            loaded = tape.Constant(shape, laidOut);
            if (file.Contains($"{name}/{GradientOf(tensor)}"))
                tape.Watch(loaded);
            return _loaded[tensor] = loaded;
        }
    }

    public bool Has(string tensor) => file.Contains($"{name}/{tensor}");

    public Tensor? Optional(string tensor) => Has(tensor) ? this[tensor] : null;

    /// <summary>A per-channel parameter, which PyTorch stores as [1, C, 1, 1].</summary>
    public Tensor Channels(string tensor) => this[tensor].Reshape([(int)this[tensor].Count]);

    /// <summary>Compares the result, goes backward from the golden upstream and compares every gradient that was loaded.</summary>
    /// <param name="result">What the op gave.</param>
    /// <param name="rowStep">The file stores every so-manieth row.</param>
    /// <param name="untracked">Inputs that this library has no gradient for.</param>
    public void Check(Tensor result, int rowStep = 1, params string[] untracked)
    {
        float[] values = result.ToArray();
        if (rowStep > 1)
        {
            int rowLength = result.Shape[2] * result.Shape[3];
            values = [.. values.Chunk(rowLength).Where((_, row) => row % rowStep == 0).SelectMany(row => row)];
        }
        Compare("out", values);
        if (!Has("upstream"))
            return;
        var (_, upstream) = Arrange("upstream", file.Singles($"{name}/upstream"));
        tape.Backward(result, tape.Constant(result.Shape, upstream));
        foreach (string tensor in _loaded.Keys.Where(tensor => Has(GradientOf(tensor)) && !untracked.Contains(tensor)))
            CheckGradient(tensor);
    }

    /// <summary>Compares the gradient of a loaded tensor.</summary>
    public void CheckGradient(string tensor) => Compare(GradientOf(tensor), tape.Gradient(_loaded[tensor])!.ToArray());

    /// <summary>Golden values in this library's layout.</summary>
    public float[] Golden(string tensor) => Arrange(tensor, file.Singles($"{name}/{tensor}")).Values;

    private void Compare(string tensor, float[] values)
    {
        string full = $"{name}/{tensor}";
        double deviation = GoldenFile.RelMax<float, float>(values, Golden(tensor));
        Assert.That(deviation, Is.LessThanOrEqualTo(file.Tolerance(full, Floor)), full);
    }

    private static string GradientOf(string tensor) => "grad." + tensor[(tensor.IndexOf('.', StringComparison.Ordinal) + 1)..];

    /// <summary>NCHW to NHWC and OIHW to KRSC are the same permutation; memory slots stay as they are.</summary>
    private (Shape Shape, float[] Values) Arrange(string tensor, float[] values)
    {
        int[] extents = file.Shape($"{name}/{tensor}");
        if (extents.Length == 0)
            return ([1], values);
        if (!channelsLast || extents.Length != 4 || tensor.EndsWith("mem_kv", StringComparison.Ordinal))
            return (Shape.Create(extents), values);
        int n = extents[0], c = extents[1], plane = extents[2] * extents[3];
        var arranged = new float[values.Length];
        for (int i = 0; i < n; i++)
            for (int channel = 0; channel < c; channel++)
                for (int p = 0; p < plane; p++)
                    arranged[(((i * plane) + p) * c) + channel] = values[(((i * c) + channel) * plane) + p];
        return ([n, extents[2], extents[3], c], arranged);
    }
}
