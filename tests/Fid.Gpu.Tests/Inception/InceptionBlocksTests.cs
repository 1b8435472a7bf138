using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Fid.Tests.Inception;

/// <summary>Each kind of block, a sixteenth as wide, against PyTorch.</summary>
[TestFixtureSource(typeof(TestDevices), nameof(TestDevices.Fast))]
public sealed class InceptionBlocksTests(string id)
{
    private const double Floor = 5e-6;

    [TestCase("A")]
    [TestCase("B")]
    [TestCase("C")]
    [TestCase("D")]
    [TestCase("E1")]
    [TestCase("E2")]
    [TestCase("BasicConv2d_s2")]
    public void Block_matches_PyTorch(string name)
    {
        var device = TestDevices.Open(id);
        using var golden = GoldenFile.Open("inception/blocks");
        var convolutions = new Dictionary<string, FoldedConvolution>();
        using (var tape = device.NewTape(recording: false))
        {
            int[] shape = golden.Shape($"{name}/in.x");
            var x = tape.Constant([shape[0], shape[2], shape[3], shape[1]],
                InceptionGolden.ChannelsLast(golden.Singles($"{name}/in.x"), shape[0], shape[1], shape[2] * shape[3]));
            var blocks = new InceptionBlocks(Convolution);
            var y = name switch
            {
                "A" => blocks.A(tape, x),
                "B" => blocks.B(tape, x),
                "C" => blocks.C(tape, x),
                "D" => blocks.D(tape, x),
                "E1" => blocks.E(tape, x, maximum: false),
                "E2" => blocks.E(tape, x, maximum: true),
                _ => Convolution("").Apply(tape, x, stride: 2, padded: false),
            };
            int[] wanted = golden.Shape($"{name}/out");
            Assert.That(y.Shape, Is.EqualTo(Shape.Create([wanted[0], wanted[2], wanted[3], wanted[1]])));
            double deviation = GoldenFile.RelMax<float, float>(y.ToArray(),
                InceptionGolden.ChannelsLast(golden.Singles($"{name}/out"), wanted[0], wanted[1], wanted[2] * wanted[3]));
            Assert.That(deviation, Is.LessThanOrEqualTo(golden.Tolerance($"{name}/out", Floor)));
        }
        foreach (var convolution in convolutions.Values)
            convolution.Dispose();
        Assert.That(device.TakeStrayWrites(), Is.Empty);

        FoldedConvolution Convolution(string layer)
        {
            string prefix = layer.Length == 0 ? $"{name}/param." : $"{name}/param.{layer}.";
            if (!convolutions.TryGetValue(layer, out var convolution))
            {
                convolutions[layer] = convolution = FoldedConvolution.Create(device, Shape.Create(golden.Shape($"{prefix}conv.weight")),
                    part => golden.Singles(prefix + part));
            }
            return convolution;
        }
    }
}
