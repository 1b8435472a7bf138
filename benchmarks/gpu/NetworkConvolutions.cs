using System.Globalization;
using Diffusion.Gpu.Fid;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>A convolution of a network.</summary>
/// <param name="Shape">As the convolution sees its input.</param>
/// <param name="FirstChannels">Of the first of two tensors that are read as one; 0 for one tensor.</param>
/// <param name="IsUpsampled">Whether every pixel of the input stands for 2×2.</param>
/// <param name="IsFirst">Whether it reads the images, whose gradient nobody asks for.</param>
internal sealed record NetworkConvolution(Conv2DShape Shape, int FirstChannels = 0, bool IsUpsampled = false, bool IsFirst = false)
{
    /// <summary>What rows of every engine are called.</summary>
    public string Name => string.Create(CultureInfo.InvariantCulture,
        $"{Shape.R}x{Shape.S}{(Shape.Stride > 1 ? $"s{Shape.Stride}" : "")} {Shape.C} -> {Shape.K}, {Shape.H}x{Shape.W}"
        + $"{(FirstChannels > 0 ? ", joined" : "")}{(IsUpsampled ? ", upsampled" : "")}");

    /// <summary>The distinct ones in the order of their first use, each with how often a network has it.</summary>
    public static IEnumerable<(NetworkConvolution Convolution, int Times)> Count(IEnumerable<NetworkConvolution> convolutions)
        => convolutions.GroupBy(convolution => convolution).Select(group => (group.Key, group.Count()));

    /// <summary>The convolutions of a U-Net, from the names and shapes of its weights.</summary>
    /// <param name="options">The network.</param>
    /// <param name="image">Height and width in pixels.</param>
    /// <param name="batch">N.</param>
    public static IEnumerable<NetworkConvolution> OfUnet(UnetOptions options, int image, int batch)
    {
        int last = options.DimMults.Count - 1;
        foreach (var slot in Unet.LayoutOf(options).Slots)
        {
            string[] name = slot.Name.Split('.');
            if (slot.Shape.Rank != 4 || name[^1] != "weight")
                continue;
            int stage = name[0] switch
            {
                "downs" => int.Parse(name[1], CultureInfo.InvariantCulture),
                "ups" => last - int.Parse(name[1], CultureInfo.InvariantCulture),
                _ => name[0].StartsWith("mid", StringComparison.Ordinal) ? last : 0,
            };
            // The way up joins what it gets with what the way down left, in each block's first convolution and its shortcut.
            bool isJoined = (name[0] == "final_res_block" || (name[0] == "ups" && name[2] is "0" or "1"))
                && (name[^2] == "res_conv" || name[^3] == "block1");
            bool isUpsampled = name[0] == "ups" && name is [_, _, "3", "1", _];
            int k = slot.Shape[0], r = slot.Shape[1], s = slot.Shape[2], size = (image >> stage) << (isUpsampled ? 1 : 0);
            // The step down is the only filter of even size: folded pixels.
            var (stride, pad) = r % 2 == 0 ? (r, 0) : (1, r / 2);
            yield return new(new Conv2DShape(batch, size, size, slot.Shape[3], k, r, s, stride, pad, pad), isJoined ? k : 0, isUpsampled,
                IsFirst: name[0] == "init_conv");
        }
    }

    /// <summary>The convolutions of Inception-v3 in the order of its weights.</summary>
    /// <param name="batch">N.</param>
    public static IEnumerable<NetworkConvolution> OfInception(int batch)
    {
        foreach (var layer in InceptionLayout.Layers)
        {
            var (size, stride, padded) = layer.Name switch
            {
                "Conv2d_1a_3x3" => (299, 2, false),
                "Conv2d_2a_3x3" => (149, 1, false),
                "Conv2d_2b_3x3" => (147, 1, true),
                "Conv2d_3b_1x1" => (73, 1, true),
                "Conv2d_4a_3x3" => (73, 1, false),
                "Mixed_6a.branch3x3" or "Mixed_6a.branch3x3dbl_3" => (35, 2, false),
                "Mixed_7a.branch3x3_2" or "Mixed_7a.branch7x7x3_4" => (17, 2, false),
                _ when layer.Name.StartsWith("Mixed_5", StringComparison.Ordinal) => (35, 1, true),
                _ when layer.Name.StartsWith("Mixed_6a", StringComparison.Ordinal) => (35, 1, true),
                _ when layer.Name.StartsWith("Mixed_6", StringComparison.Ordinal) => (17, 1, true),
                _ when layer.Name.StartsWith("Mixed_7a", StringComparison.Ordinal) => (17, 1, true),
                _ => (8, 1, true),
            };
            yield return new(new Conv2DShape(batch, size, size, layer.C, layer.K, layer.R, layer.S, stride,
                padded ? layer.R / 2 : 0, padded ? layer.S / 2 : 0));
        }
    }
}
