using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.WeightConverter.Formats;

namespace Diffusion.Gpu.WeightConverter.Tests;

/// <summary>The files that PyTorch wrote, and what is in them.</summary>
internal static class Golden
{
    /// <summary>Path of a golden checkpoint.</summary>
    public static string Checkpoint(string name) => Path.Combine(GoldenFile.Folder, "checkpoints", name);

    /// <summary>A tensor's elements as bytes, whatever the format of the file.</summary>
    public static byte[] Bytes(WeightFile file, string name)
    {
        using var bytes = new MemoryStream();
        file.CopyTo(file.Find(name) ?? throw new KeyNotFoundException($"{file.Path}: {name}"), bytes);
        return bytes.ToArray();
    }

    /// <summary>A tensor's elements as bytes.</summary>
    public static byte[] Bytes(string path, string name)
    {
        using var file = SafetensorsReader.Open(path);
        return file.ReadBytes(name);
    }

    /// <summary>Expects two files of the same tensors, bit for bit.</summary>
    public static void AssertSame(string actual, string expected)
    {
        using WeightFile a = WeightFile.Open(actual), b = WeightFile.Open(expected);
        Assert.That(a.Tensors.Select(tensor => tensor.Name), Is.EquivalentTo(b.Tensors.Select(tensor => tensor.Name)));
        foreach (var tensor in b.Tensors)
        {
            var other = a.Find(tensor.Name)!;
            Assert.That((other.Type, other.ShapeText), Is.EqualTo((tensor.Type, tensor.ShapeText)), tensor.Name);
            Assert.That(Bytes(a, tensor.Name), Is.EqualTo(Bytes(b, tensor.Name)), tensor.Name);
        }
    }
}
