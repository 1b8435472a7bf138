using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Fid.Tests.Inception;

/// <summary>Images to features: independence of the batch, mixed sizes, channels, refusals, memory.</summary>
[TestFixtureSource(typeof(TestDevices), nameof(TestDevices.Fast))]
public sealed class FeatureExtractorTests(string id)
{
    /// <summary>OpenCL on processors takes seconds for an image at full depth.</summary>
    private int Dims => id.StartsWith("opencl", StringComparison.Ordinal) ? 64 : 2048;

    private static readonly PixelImage[] Images =
    [
        InceptionGolden.Image(0, 32, 32), InceptionGolden.Image(1, 40, 25), InceptionGolden.Image(2, 300, 310),
        InceptionGolden.Image(3, 1, 1), InceptionGolden.Image(4, 32, 32), InceptionGolden.Image(5, 299, 299),
        InceptionGolden.Image(6, 17, 400), InceptionGolden.Image(7, 32, 32), InceptionGolden.Image(8, 64, 64),
    ];

    [Test]
    public void Features_are_the_same_bits_in_every_batch()
    {
        float[] together = Features(8, Images);
        Assert.That(Features(3, Images), Is.EqualTo(together), "batch 3");
        Assert.That(Features(1, [.. Images.Take(3)]), Is.EqualTo(together[..(3 * Dims)]), "batch 1");
        Assert.That(Features(8, [Images[8], Images[1]]), Is.EqualTo(together[(8 * Dims)..].Concat(together[Dims..(2 * Dims)])),
            "other company");
        Assert.That(together.Chunk(Dims).Select(row => string.Join(' ', row)).Distinct().Count(), Is.EqualTo(Images.Length),
            "no image repeats");
    }

    [Test]
    public void Grey_image_is_repeated_over_the_colours()
    {
        var grey = InceptionGolden.Image(1, 20, 30, channels: 1);
        float[] features = Features(2, [grey, grey.Convert(3)], dims: 64);
        float[] colored = features[64..];
        Assert.That(features[..64], Is.EqualTo(colored));
    }

    [TestCase(2)]
    [TestCase(4)]
    public void Image_with_alpha_is_refused_by_name(int channels)
    {
        var images = new[] { Images[0], InceptionGolden.Image(1, 8, 8, channels) };
        using var extractor = Extractor(2, 64);
        var error = Assert.Throws<ImageFormatException>(() => extractor.Extract(images, ["a.png", "b.png"]))!;
        Assert.That(error.Message, Does.StartWith($"b.png: has {channels} channels").And.Contain("without alpha").And.Not.Contain("\n"));
        Assert.That(() => extractor.Extract(images), Throws.TypeOf<ImageFormatException>().With.Message.StartsWith("image 1: "));
    }

    [Test]
    public void Calls_without_images_or_names_for_them_are_refused()
    {
        using var extractor = Extractor(2, 64);
        Assert.That(() => extractor.Extract([]), Throws.ArgumentException.With.Message.Contains("no images"));
        Assert.That(() => extractor.Extract(Images, ["one"]), Throws.ArgumentException.With.Message.Contains("1 names for 9 images"));
        Assert.That(() => Extractor(1, 100), Throws.ArgumentException.With.Message.Contains("64, 192, 768, 2048"));
    }

    [Test]
    public void Features_that_are_not_finite_name_their_image()
    {
        // A gain that lets the first norm overflow.
        var hash = InceptionGolden.Weights("hash");
        var weights = InceptionWeights.Create("huge.safetensors", InceptionGolden.Entries(InceptionWeights.Layout),
            name => name == "Conv2d_2b_3x3.bn.weight" ? [.. Enumerable.Repeat(3e38f, 64)] : hash.Values(name));
        using var extractor = new FeatureExtractor(TestDevices.Open(id), weights, dims: 64, batch: 2);
        Assert.That(() => extractor.Extract([.. Images.Take(3)], ["a", "b", "c"]),
            Throws.TypeOf<ImageFormatException>().With.Message.StartsWith("a: feature ").And.Message.Contains("of 64 is"));
    }

    /// <summary>The second image alone is so bright that the first norm overflows on it.</summary>
    [Test]
    public void One_image_that_overflows_is_named_and_nothing_of_its_company_is_handed_on()
    {
        var hash = InceptionGolden.Weights("hash");
        var weights = InceptionWeights.Create("huge.safetensors", InceptionGolden.Entries(InceptionWeights.Layout),
            name => name == "Conv2d_1a_3x3.conv.weight" ? [.. hash.Values(name).Select(value => MathF.Abs(value) * 1e36f)]
                : name == "Conv2d_1a_3x3.bn.running_mean" ? [.. Enumerable.Repeat(0f, 32)] : hash.Values(name));
        using var extractor = new FeatureExtractor(TestDevices.Open(id), weights, dims: 64, batch: 1);
        PixelImage black = new(4, 4, 3, new byte[48]), white = new(4, 4, 3, [.. Enumerable.Repeat((byte)255, 48)]);
        var taken = new List<int>();
        Assert.That(() => extractor.Extract([black, white, black], ["a", "b", "c"], features => taken.Add(features.Shape[0])),
            Throws.TypeOf<ImageFormatException>().With.Message.StartsWith("b: feature ").And.Message.Contains("of 64 is"));
        Assert.That(taken, Has.Count.EqualTo(id == "cpu" ? 1 : 0), "the processor is asked after every batch, a GPU after four");
    }

    [Test]
    public void Extractor_returns_its_memory_and_a_second_batch_takes_no_more()
    {
        using var device = Device.Open(id, Precision.Float32);
        using (var extractor = new FeatureExtractor(device, InceptionGolden.Weights("hash"), FidRecipe.Clean, dims: 64, batch: 2))
        {
            Assert.That((extractor.Recipe, extractor.Dims, extractor.Batch), Is.EqualTo((FidRecipe.Clean, 64, 2)));
            Assert.That(extractor.WeightsId, Is.EqualTo(InceptionGolden.Weights("hash").Id));
            long weights = device.Memory.Live;
            extractor.Extract([.. Images.Take(2)], null, _ => { });
            long peak = device.Memory.Peak;
            Assert.That((peak - weights) / 2, Is.LessThan(12_000_000), "bytes of an image, as the choice of the batch assumes");
            extractor.Extract([.. Images.Take(6)], null, _ => { });
            // Of the batches that are under way together only the features are kept.
            Assert.That(device.Memory.Peak - peak, Is.LessThan(4096));
            Assert.That(device.Memory.Live, Is.EqualTo(weights));
        }
        Assert.That(device.Memory.Live, Is.Zero);
    }

    private float[] Features(int batch, PixelImage[] images, int? dims = null)
    {
        using var extractor = Extractor(batch, dims ?? Dims);
        float[] features = extractor.Extract(images);
        Assert.That(features, Has.Length.EqualTo(images.Length * extractor.Dims));
        return features;
    }

    private FeatureExtractor Extractor(int batch, int dims)
        => new(TestDevices.Open(id), InceptionGolden.Weights("hash"), FidRecipe.PytorchFid, dims, batch);
}
