using System.Text;

namespace Diffusion.Gpu.Fid;

/// <summary>
/// Weights and images computed from names by an integer hash: the same on every machine, of the right size, and of no meaning. They test
/// the arithmetic where the published weights are absent.
/// </summary>
internal static class HashWeights
{
    private const ulong Salt = 1;

    /// <summary>The values of a tensor of Inception's weight file.</summary>
    public static float[] Values(InceptionTensor tensor)
    {
        var extents = tensor.Shape.Extents;
        string name = tensor.Name;
        return name switch
        {
            "fc.weight" => Values(tensor, (float)Math.Sqrt(3.0 / InceptionLayout.Features), 0),
            _ when name.EndsWith(".conv.weight", StringComparison.Ordinal)
                => Values(tensor, (float)Math.Sqrt(6.0 / (extents[1] * extents[2] * extents[3])), 0),
            _ when name.EndsWith(".bn.weight", StringComparison.Ordinal) => Values(tensor, 0.25f, 1),
            _ when name.EndsWith(".bn.running_var", StringComparison.Ordinal) => Values(tensor, 0.5f, 1),
            _ => Values(tensor, 0.25f, 0),
        };
    }

    /// <summary>A number below 2^24 that belongs to a name and an index.</summary>
    public static int Uniform24(string name, long index) => Uniform24(Mix(Fnv1a(name) ^ Salt), index);

    /// <summary>FNV-1a of the UTF-8 bytes, 64 bits.</summary>
    public static ulong Fnv1a(string name)
    {
        ulong hash = 0xCBF29CE484222325;
        foreach (byte letter in Encoding.UTF8.GetBytes(name))
            hash = (hash ^ letter) * 0x100000001B3;
        return hash;
    }

    /// <summary>SplitMix64's finaliser.</summary>
    public static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    private static int Uniform24(ulong stream, long index) => (int)(Mix(stream + ((ulong)(index + 1) * 0x9E3779B97F4A7C15)) >> 40);

    private static float[] Values(InceptionTensor tensor, float scale, float offset)
    {
        ulong stream = Mix(Fnv1a(tensor.Name) ^ Salt);
        var values = new float[tensor.Shape.Count];
        for (int i = 0; i < values.Length; i++)
        {
            // In [-1, 1), exact; scaled with one rounding, moved with another.
            float uniform = (Uniform24(stream, i) - (1 << 23)) * (1f / (1 << 23));
            values[i] = (uniform * scale) + offset;
        }
        return values;
    }
}
