using System.Text.Json;
using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Tests;

[TestFixture]
public class UnetOptionsTests
{
    [Test]
    public void Layout_counts_the_published_parameters_when_dim_is_64()
    {
        var layout = Unet.LayoutOf(new UnetOptions { Dim = 64 });
        Assert.That(layout.Slots, Has.Count.EqualTo(245));
        Assert.That(layout.Count, Is.EqualTo(35_711_491));
        Assert.That(Unet.LayoutOf(new UnetOptions { Dim = 128 }).Count, Is.EqualTo(140_701_699));
    }

    [TestCaseSource(typeof(UnetGolden), nameof(UnetGolden.Names))]
    public void Layout_has_the_reference_names_shapes_and_order(string name)
    {
        using var golden = GoldenFile.Open("unet/" + name);
        var layout = Unet.LayoutOf(UnetGolden.Options(golden));
        string[] order = [.. golden.Config.GetProperty("parameter_order").EnumerateArray().Select(e => e.GetString()!)];
        Assert.That(layout.Slots.Select(slot => slot.Name), Is.EqualTo(order));
        Assert.That(layout.Count, Is.EqualTo(golden.Config.GetProperty("num_parameters").GetInt64()));
        foreach (var slot in layout.Slots)
            Assert.That(slot.FileShape.Extents.ToArray(), Is.EqualTo(golden.Shape("param." + slot.Name)), slot.Name);
    }

    [Test]
    public void Slot_restores_the_order_it_changed()
    {
        foreach (var slot in Unet.LayoutOf(new UnetOptions { Dim = 4, DimMults = [1, 2], Channels = 2 }).Slots)
        {
            var values = Enumerable.Range(0, (int)slot.Shape.Count).Select(i => (float)i).ToArray();
            Assert.That(slot.FromFile(slot.ToFile(values)), Is.EqualTo(values), slot.Name);
        }
    }

    [Test]
    public void Options_survive_json()
    {
        var options = new UnetOptions
        {
            Dim = 16, InitDim = 12, DimMults = [1, 2], SelfCondition = true, AttnHeads = [2, 4], AttnDimHead = 8, FullAttn = [false, true],
            SinusoidalPosEmbTheta = 1000, Dropout = 0.1f,
        };
        string json = OptionsJson.Write(options);
        Assert.That(json, Does.Contain("\"sinusoidal_pos_emb_theta\": 1000").And.Contain("\"attn_dim_head\": 8"));
        Assert.That(OptionsJson.Read<UnetOptions>(json), Is.EqualTo(options));
        Assert.That(() => OptionsJson.Read<UnetOptions>("{\"dimm\": 3}"), Throws.InstanceOf<JsonException>().With.Message.Contains("dimm"));
    }

    private static IEnumerable<TestCaseData> Unusable()
    {
        yield return new TestCaseData(new UnetOptions { Dim = 7 }, "option dim is 7, expected an even number of at least 4");
        yield return new TestCaseData(new UnetOptions { DimMults = [] }, "option dim-mults is [], expected 1 to 16 multiples");
        yield return new TestCaseData(new UnetOptions { DimMults = [1, 0] }, "option dim-mults is [1, 0]");
        yield return new TestCaseData(new UnetOptions { Channels = 0 }, "option channels is 0, expected at least 1");
        yield return new TestCaseData(new UnetOptions { Dropout = 1 }, "option dropout is 1, expected a probability in [0, 1)");
        yield return new TestCaseData(new UnetOptions { AttnHeads = [1, 2] },
            "option attn-heads is [1, 2], expected one value for all or 4");
        yield return new TestCaseData(new UnetOptions { FullAttn = [true, true, true] }, "option full-attn is [True, True, True]");
        yield return new TestCaseData(new UnetOptions { RandomFourierFeatures = true, LearnedSinusoidalDim = 5 },
            "option learned-sinusoidal-dim is 5, expected an even number");
        yield return new TestCaseData(new UnetOptions { RandomFourierFeatures = true, LearnedSinusoidalCond = true },
            "option random-fourier-features is True, expected false where learned-sinusoidal-cond is true");
        yield return new TestCaseData(new UnetOptions { SinusoidalPosEmbTheta = 1 }, "option sinusoidal-pos-emb-theta is 1");
    }

    [TestCaseSource(nameof(Unusable))]
    public void Options_name_what_cannot_be_used(UnetOptions options, string message)
        => Assert.That(options.Validate, Throws.TypeOf<OptionsException>().With.Message.Contains(message));
}
