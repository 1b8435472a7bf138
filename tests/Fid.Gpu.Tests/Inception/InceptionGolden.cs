using System.Security.Cryptography;
using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Fid.Tests.Inception;

/// <summary>What the golden files of Inception assume: weights of both variants, images that are computed, PyTorch's order of
/// axes.</summary>
internal static class InceptionGolden
{
    private static readonly Lazy<InceptionWeights> HashWeightsOnce = new(InceptionWeights.Hash);
    private static readonly Lazy<InceptionWeights> CalibratedOnce = new(ReadCalibrated);

    /// <summary>Weights of a variant: "hash" or "calibrated".</summary>
    public static InceptionWeights Weights(string variant) => (variant == "hash" ? HashWeightsOnce : CalibratedOnce).Value;

    /// <summary>The four images of a size: stored where they are small, computed where not.</summary>
    public static PixelImage[] Images(int height, int width)
    {
        const int Count = 4;
        using var golden = GoldenFile.Open($"inception/full_hash_{height}x{width}");
        byte[] planes = golden.Contains("in.images") ? golden.Bytes("in.images") : Computed(golden, Count, height, width);
        int size = 3 * height * width;
        return [.. Enumerable.Range(0, Count).Select(n => new PixelImage(width, height, 3,
            ChannelsLast(planes.AsSpan(n * size, size).ToArray(), 1, 3, height * width)))];
    }

    /// <summary>A small image that is computed; any size.</summary>
    public static PixelImage Image(int seed, int height, int width, int channels = 3) => new(width, height, channels,
        [.. Enumerable.Range(0, height * width * channels).Select(i
            => Pixel(seed, i % channels, i / channels / width, i / channels % width, width))]);

    /// <summary>[N, C, P] to [N, P, C].</summary>
    public static T[] ChannelsLast<T>(T[] values, int n, int c, int p)
    {
        var arranged = new T[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            int image = i / (c * p), channel = i / p % c, position = i % p;
            arranged[(((image * p) + position) * c) + channel] = values[i];
        }
        Assert.That(values, Has.Length.EqualTo(n * c * p));
        return arranged;
    }

    private static byte[] Computed(GoldenFile golden, int count, int height, int width)
    {
        var planes = new byte[count * 3 * height * width];
        for (int i = 0; i < planes.Length; i++)
            planes[i] = Pixel(i / width / height / 3, i / width / height % 3, i / width % height, i % width, width);
        string digest = Convert.ToHexStringLower(SHA256.HashData(planes));
        Assert.That(digest, Is.EqualTo(golden.Scalars.GetProperty("images").GetProperty("sha256_nchw_bytes").GetString()));
        return planes;
    }

    private static byte Pixel(int n, int c, int y, int x, int width)
    {
        int a = ((x * (3 + n)) + (y * (5 - c)) + (37 * n) + (61 * c)) & 255;
        int triangle = a < 128 ? 2 * a : 511 - (2 * a);
        int block = HashWeights.Uniform24($"img/{n}/{c}", (y / 16 * 64) + (x / 16)) & 255;
        int noise = HashWeights.Uniform24($"imgnoise/{n}/{c}", (y * width) + x) & 31;
        return (byte)(((triangle + (2 * block)) / 4) + noise);
    }

    private static InceptionWeights ReadCalibrated()
    {
        using var norms = GoldenFile.Open("inception/full_bn_calibrated");
        var hash = Weights("hash");
        return InceptionWeights.Create("calibrated.safetensors", Entries(InceptionWeights.Layout),
            name => norms.Contains(name) ? norms.Singles(name) : hash.Values(name));
    }

    /// <summary>What a file with these tensors says about itself.</summary>
    public static IEnumerable<TensorEntry> Entries(IEnumerable<InceptionTensor> tensors) => tensors.Select(tensor
        => new TensorEntry(tensor.Name, ElementType.F32, tensor.Shape.Extents.ToArray(), sizeof(float) * tensor.Shape.Count));
}
