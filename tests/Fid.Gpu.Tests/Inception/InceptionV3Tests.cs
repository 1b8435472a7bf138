using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Fid.Tests.Inception;

/// <summary>The whole network against PyTorch: every output, the classifier, two sets of weights, four sizes of images.</summary>
[TestFixture("hash")]
[TestFixture("calibrated")]
public sealed class InceptionV3Tests(string variant)
{
    private static readonly string[] Outputs = ["64", "192", "768", "2048"];
    private InceptionV3 _network = null!;

    private static Device Cpu => TestDevices.Open("cpu");

    [OneTimeSetUp]
    public void LoadNetwork() => _network = new InceptionV3(Cpu, InceptionGolden.Weights(variant));

    [OneTimeTearDown]
    public void FreeNetwork() => _network.Dispose();

    [TestCase(32, 32)]
    [TestCase(64, 64)]
    [TestCase(123, 77)]
    [TestCase(299, 299)]
    public void Outputs_match_PyTorch(int height, int width)
    {
        using var golden = GoldenFile.Open($"inception/full_{variant}_{height}x{width}");
        double floor = variant == "hash" ? 2e-5 : 5e-4;
        Compare(golden, FidRecipe.PytorchFid, height, width, "", name => golden.Tolerance(name, floor));
        if (golden.Contains("tf_feat64"))
            Compare(golden, FidRecipe.Tf1, height, width, "tf_", _ => 5e-5);
        else
            Assert.That(variant, Is.EqualTo("calibrated"), "torch-fidelity's numbers are there for the hash weights");
        Assert.That(Cpu.TakeStrayWrites(), Is.Empty);
    }

    private void Compare(GoldenFile golden, FidRecipe recipe, int height, int width, string prefix, Func<string, double> tolerance)
    {
        var images = InceptionGolden.Images(height, width);
        var prepared = new float[images.Length * Preprocessing.Length];
        for (int i = 0; i < images.Length; i++)
            Preprocessing.Prepare(recipe, images[i], "", prepared.AsSpan(i * Preprocessing.Length, Preprocessing.Length));
        using var tape = Cpu.NewTape(recording: false);
        var x = tape.Constant([images.Length, 299, 299, 3], prepared);
        Tensor features = x;
        for (int stage = 0; stage < Outputs.Length; stage++)
        {
            x = _network.Stage(tape, x, stage);
            features = tape.GlobalAveragePool(x);
            Check($"{prefix}feat{Outputs[stage]}", features.ToArray());
            if (golden.Contains($"{prefix}map{Outputs[stage]}"))
                Check($"{prefix}map{Outputs[stage]}", Corner(x, golden.Shape($"{prefix}map{Outputs[stage]}")));
        }
        Check($"{prefix}logits", _network.Logits(tape, features).ToArray());
        Check($"{prefix}logits_unbiased", _network.Logits(tape, features, biased: false).ToArray());

        void Check(string name, float[] values) => Assert.That(GoldenFile.RelMax<float, float>(values, golden.Singles(name)),
            Is.LessThanOrEqualTo(tolerance(name)), name);
    }

    /// <summary>The first channels and pixels of the first image, [channels, rows, columns].</summary>
    private static float[] Corner(Tensor x, int[] shape)
    {
        float[] values = x.ToArray();
        var corner = new float[shape[0] * shape[1] * shape[2]];
        for (int i = 0; i < corner.Length; i++)
        {
            int column = i % shape[2], row = i / shape[2] % shape[1], channel = i / shape[2] / shape[1];
            corner[i] = values[(((row * x.Shape[2]) + column) * x.Shape[3]) + channel];
        }
        return corner;
    }
}
