using System.Security.Cryptography;
using System.Runtime.InteropServices;
using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Fid.Tests.Inception;

/// <summary>Weight files: what is accepted, what is refused and how, and what identifies them.</summary>
public sealed class InceptionWeightsTests
{
    [Test]
    public void Hash_weights_equal_the_documented_generators()
    {
        using var golden = GoldenFile.Open("inception/hash_generator");
        var parameters = golden.Scalars.GetProperty("parameters");
        foreach (var tensor in InceptionWeights.Layout)
        {
            var expected = parameters.GetProperty(tensor.Name);
            Assert.That(expected.GetProperty("shape").EnumerateArray().Select(extent => extent.GetInt32()),
                Is.EqualTo(tensor.Shape.Extents.ToArray()), tensor.Name);
            byte[] bytes = MemoryMarshal.AsBytes(InceptionGolden.Weights("hash").Values(tensor.Name).AsSpan()).ToArray();
            Assert.That(Convert.ToHexStringLower(SHA256.HashData(bytes)), Is.EqualTo(expected.GetProperty("sha256").GetString()),
                tensor.Name);
        }
        Assert.That(parameters.EnumerateObject().Count(), Is.EqualTo(InceptionWeights.Layout.Count));
    }

    [Test]
    public void Layout_is_that_of_the_published_file()
    {
        Assert.That(InceptionWeights.Layout, Has.Count.EqualTo(566 - 94), "without the batch counters of 94 norms");
        long trained = InceptionWeights.Layout.Where(tensor => !tensor.Name.Contains(".running_")).Sum(tensor => tensor.Shape.Count);
        Assert.That(trained, Is.EqualTo(23_850_960));
    }

    [Test]
    public void File_that_was_written_is_read_with_the_same_identity()
    {
        using var folder = new ScratchFolder();
        var weights = InceptionGolden.Weights("hash");
        string path = folder.File("inception.safetensors");
        weights.Write(path);
        var read = InceptionWeights.Read(path);
        Assert.That(read.Id, Is.EqualTo(weights.Id).And.Match("^sha256:[0-9a-f]{64}$"));
        Assert.That(read.Label, Is.EqualTo("inception.safetensors"));
        Assert.That(InceptionGolden.Weights("calibrated").Id, Is.Not.EqualTo(weights.Id));
    }

    [Test]
    public void Batch_counters_and_the_auxiliary_classifier_are_passed_over()
    {
        var weights = Take([.. InceptionGolden.Entries(InceptionWeights.Layout),
            new TensorEntry("Conv2d_1a_3x3.bn.num_batches_tracked", ElementType.I64, [], 8),
            new TensorEntry("AuxLogits.fc.bias", ElementType.F32, [1008], 4 * 1008)]);
        Assert.That(weights.Id, Is.EqualTo(InceptionGolden.Weights("hash").Id));
    }

    [Test]
    public void Every_tensor_that_does_not_fit_is_listed()
    {
        var entries = InceptionGolden.Entries(InceptionWeights.Layout)
            .Where(entry => entry.Name is not ("fc.bias" or "Mixed_7c.branch_pool.bn.weight"))
            .Select(entry => entry.Name == "fc.weight" ? entry with { Shape = [1000, 2048], ByteLength = 4 * 1000 * 2048 } : entry)
            .Append(new TensorEntry("fc.extra", ElementType.F32, [1], 4));
        var error = Assert.Throws<WeightsException>(() => Take(entries))!;
        Assert.That(error.Message, Does.StartWith("here.safetensors: ")
            .And.Contain("2 missing (Mixed_7c.branch_pool.bn.weight [192], fc.bias")
            .And.Contain("1 left over (fc.extra)").And.Contain("fc.weight [1000, 2048] instead of [1008, 2048]")
            .And.Contain("diffusion weights fetch").And.Not.Contain("\n"));
    }

    [TestCase("Mixed_6a.branch3x3.bn.running_var", 0f, "variance 3 is 0")]
    [TestCase("Mixed_6a.branch3x3.bn.running_var", -1f, "variance 3 is -1")]
    [TestCase("Mixed_6a.branch3x3.bn.bias", float.NaN, "value 3 is NaN")]
    [TestCase("fc.bias", float.PositiveInfinity, "value 3 is")]
    public void Value_that_cannot_be_is_refused_by_name(string tensor, float value, string fault)
    {
        var error = Assert.Throws<WeightsException>(() => Take(InceptionGolden.Entries(InceptionWeights.Layout), name =>
        {
            float[] values = [.. InceptionGolden.Weights("hash").Values(name)];
            if (name == tensor)
                values[3] = value;
            return values;
        }))!;
        Assert.That(error.Tensor, Is.EqualTo(tensor));
        Assert.That(error.Message, Does.Contain(fault));
    }

    [Test]
    [NonParallelizable]
    public void Missing_default_weights_say_how_to_get_them()
    {
        using var folder = new ScratchFolder();
        string? before = Environment.GetEnvironmentVariable("DIFFUSION_CACHE");
        try
        {
            Environment.SetEnvironmentVariable("DIFFUSION_CACHE", folder.File("cache"));
            Assert.That(InceptionWeights.DefaultPath,
                Is.EqualTo(Path.Combine(folder.File("cache"), "pt_inception-2015-12-05.safetensors")));
            Assert.That(InceptionWeights.ReadDefault, Throws.TypeOf<WeightsException>().With.Message.Contains("diffusion weights fetch"));
            Directory.CreateDirectory(folder.File("cache"));
            InceptionGolden.Weights("hash").Write(InceptionWeights.DefaultPath);
            Assert.That(InceptionWeights.ReadDefault().Id, Is.EqualTo(InceptionGolden.Weights("hash").Id));
        }
        finally
        {
            Environment.SetEnvironmentVariable("DIFFUSION_CACHE", before);
        }
        Assert.That(InceptionWeights.DefaultPath, Is.Not.Empty);
    }

    private static InceptionWeights Take(IEnumerable<TensorEntry> entries, Func<string, float[]>? read = null)
        => InceptionWeights.Create("here.safetensors", entries, read ?? InceptionGolden.Weights("hash").Values);
}
