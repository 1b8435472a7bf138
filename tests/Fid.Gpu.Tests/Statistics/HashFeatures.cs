using System.Text;

namespace Diffusion.Gpu.Fid.Tests;

/// <summary>Features that the golden data computes from their name instead of storing them.</summary>
internal static class HashFeatures
{
    private const ulong Salt = 3;

    /// <summary>[count, dims] of a name.</summary>
    public static float[] Make(string name, int count, int dims)
    {
        ulong hash = 0xCBF29CE484222325;
        foreach (byte letter in Encoding.UTF8.GetBytes(name))
            hash = (hash ^ letter) * 0x100000001B3;
        ulong origin = Mix(hash ^ Salt);
        var features = new float[count * dims];
        for (int row = 0; row < count; row++)
        {
            float before = 0;
            for (int column = 0; column < dims; column++)
            {
                int i = (row * dims) + column;
                long bits = (long)(Mix(origin + ((ulong)(i + 1) * 0x9E3779B97F4A7C15)) >> 40);
                float value = (bits - 8388608) * (1f / 8388608);
                float mixed = column > 0 ? value + (0.5f * before) : value;
                mixed *= ((column % 7) + 1) / 4f;
                features[i] = mixed + 0.5f;
                before = value;
            }
        }
        return features;
    }

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
