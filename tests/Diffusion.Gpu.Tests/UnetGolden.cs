using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Tests;

/// <summary>Networks and tensors of the golden files: PyTorch's [N, C, H, W] to and from this library's [N, H, W, C].</summary>
internal static class UnetGolden
{
    /// <summary>The configurations of the golden folder, smallest first.</summary>
    public static string[] Names { get; } =
    [
        "a_dim8_m12_c1", "d_dim8_m12_selfcond_none", "f_dim8_m12_learnedsinu", "g_dim8_m12_fourier", "e_dim8_m122_learnedvar",
        "c_dim16_m12_selfcond", "h_dim32_m1_theta", "b_dim8_m1248_c3",
    ];

    public static UnetOptions Options(GoldenFile golden) => OptionsJson.Read<UnetOptions>(golden.Config.GetProperty("unet").GetRawText());

    /// <summary>Builds a network and loads the weights filed under a prefix.</summary>
    public static Unet Network(Device device, UnetOptions options, GoldenFile golden, string prefix)
    {
        var unet = new Unet(device, options, seed: 1);
        UnetWeights.Load(unet, "golden", golden.Entries, golden.Singles, prefix);
        return unet;
    }

    /// <summary>An image tensor, channels last.</summary>
    public static Tensor Image(Tape tape, GoldenFile golden, string name)
    {
        int[] s = golden.Shape(name);
        return tape.Constant([s[0], s[2], s[3], s[1]], ChannelsLast(golden.Singles(name), s));
    }

    /// <summary>Times, which golden files hold as integers or floats.</summary>
    public static float[] Times(GoldenFile golden, string name)
        => golden.Entries.Single(e => e.Name == name).Type.IsFloat()
            ? golden.Singles(name)
            : Array.ConvertAll(golden.Integers(name), t => (float)t);

    /// <summary>Deviation of an image tensor [N, H, W, C] from a golden one [N, C, H, W].</summary>
    public static double Deviation(Tensor actual, GoldenFile golden, string name)
        => GoldenFile.RelMax<float, float>(actual.ToArray(), ChannelsLast(golden.Singles(name), golden.Shape(name)));

    /// <summary>Compares the gradients of weights with those filed as grad.{name}.</summary>
    public static void AssertGradients(Unet unet, GoldenFile golden, double floor, IEnumerable<string> names)
    {
        foreach (string name in names)
        {
            var slot = unet.Layout.Find(name)!;
            float[] actual = slot.ToFile(unet.Parameters.All.Single(p => p.Name == name).Gradient!.ToArray());
            double deviation = GoldenFile.RelMax<float, float>(actual, golden.Singles("grad." + name));
            Assert.That(deviation, Is.LessThanOrEqualTo(golden.Tolerance("grad." + name, floor)), "gradient of " + name);
        }
    }

    /// <summary>[.., C, H, W] to [.., H, W, C].</summary>
    public static float[] ChannelsLast(ReadOnlySpan<float> values, int[] shape)
    {
        int channels = shape[^3], pixels = shape[^2] * shape[^1];
        var result = new float[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            int image = i / (channels * pixels), channel = i / pixels % channels, pixel = i % pixels;
            result[(((image * pixels) + pixel) * channels) + channel] = values[i];
        }
        return result;
    }
}
