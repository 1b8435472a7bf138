using Diffusion.Gpu.Fid;
using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.WeightConverter.Formats;

namespace Diffusion.Gpu.WeightConverter.Tests;

/// <summary>A state dictionary like pytorch-fid's published one, of hash weights, comes through every format with its values.</summary>
public sealed class InceptionTests
{
    private const double Floor = 2e-5;
    private TemporaryFolder _folder = null!;

    [OneTimeSetUp]
    public void MakeFolder()
    {
        _folder = new TemporaryFolder();
        InceptionWeights.Hash().Write(_folder["hash.safetensors"]);
    }

    [OneTimeTearDown]
    public void DeleteFolder() => _folder.Dispose();

    [TestCase(false, true)]
    [TestCase(true, true)]
    [TestCase(false, false)]
    [TestCase(true, false)]
    public void Published_layout_converts(bool legacy, bool counters)
    {
        string published = _folder["published.pth"], converted = _folder["converted.safetensors"];
        long length = WritePublished(published, legacy, counters);
        Assert.That(new FileInfo(published).Length, Is.EqualTo(length).Within(1).Percent, "95,628,359 bytes are published");
        string output = ToolRun.Good("convert", published, converted);
        var weights = InceptionWeights.Read(converted);
        Assert.That(weights.Id, Is.EqualTo(InceptionWeights.Hash().Id));
        Assert.That(output, Does.Contain("Inception-v3").And.Contain(weights.Id));
        Assert.That(ToolRun.Good("check", published, "--for", "inception"), Does.Contain("fits").And.Contain(weights.Id));
        ExpectGoldenFeatures(weights);
    }

    [Test]
    public void Torchvisions_classifier_is_passed_over_and_said_so()
    {
        string path = _folder["torchvision.pth"];
        using (var hash = SafetensorsReader.Open(_folder["hash.safetensors"]))
        {
            var saved = new SavedDictionary(ordered: true);
            foreach (var entry in hash.Entries.Where(entry => !entry.Name.StartsWith("fc.", StringComparison.Ordinal)))
                saved[entry.Name] = Copy(hash, entry);
            saved["fc.weight"] = TensorSource.Singles("fc.weight", [1000, 2048], new float[1000 * 2048]);
            saved["fc.bias"] = TensorSource.Singles("fc.bias", [1000], new float[1000]);
            saved["AuxLogits.fc.bias"] = TensorSource.Singles("AuxLogits.fc.bias", [1000], new float[1000]);
            TorchWriter.WriteZip(path, saved);
        }
        Assert.That(ToolRun.Good("convert", path, _folder["torchvision.safetensors"]), Does.Contain("other classes"));
        using var file = SafetensorsReader.Open(_folder["torchvision.safetensors"]);
        Assert.That(file.Entry("fc.weight").Shape, Is.EqualTo(new[] { 1000, 2048 }));
        Assert.That(file.Contains("AuxLogits.fc.bias"), Is.False);
        ToolRun.Bad(ExitCode.Input, ["fc.weight", "1008"], "check", path, "--for", "inception");
    }

    [Test]
    public void Misfits_are_listed_and_nothing_is_written()
    {
        string path = _folder["misfit.pth"];
        using (var hash = SafetensorsReader.Open(_folder["hash.safetensors"]))
        {
            var saved = new SavedDictionary(ordered: true);
            foreach (var entry in hash.Entries.Where(entry => entry.Name != "Mixed_5b.branch1x1.bn.bias"))
                saved[entry.Name] = Copy(hash, entry);
            saved["Mixed_9z.conv.weight"] = TensorSource.Singles("extra", [1], new float[1]);
            TorchWriter.WriteZip(path, saved);
        }
        ToolRun.Bad(ExitCode.Input, ["misfit.pth", "1 missing", "Mixed_5b.branch1x1.bn.bias", "1 left over", "Mixed_9z.conv.weight"],
            "convert", path, _folder["misfit.safetensors"]);
        Assert.That(_folder.Files, Has.None.StartWith("misfit.safetensors"));
    }

    /// <summary>Scores of the converted file rest on PyTorch's features of four images.</summary>
    private static void ExpectGoldenFeatures(InceptionWeights weights)
    {
        const int Side = 32, Plane = Side * Side;
        using var golden = GoldenFile.Open($"inception/full_hash_{Side}x{Side}");
        byte[] planes = golden.Bytes("in.images");
        var images = Enumerable.Range(0, planes.Length / (3 * Plane)).Select(n => new PixelImage(Side, Side, 3,
            [.. Enumerable.Range(0, 3 * Plane).Select(i => planes[(((n * 3) + (i % 3)) * Plane) + (i / 3)])])).ToList();
        using var device = Device.Open("cpu");
        using var extractor = new FeatureExtractor(device, weights);
        Assert.That(GoldenFile.RelMax<float, float>(extractor.Extract(images), golden.Singles("feat2048")),
            Is.LessThanOrEqualTo(golden.Tolerance("feat2048", Floor)));
    }

    /// <summary>Writes the 566 entries of the published file, or the 472 of one without counters.</summary>
    private long WritePublished(string path, bool legacy, bool counters)
    {
        using var hash = SafetensorsReader.Open(_folder["hash.safetensors"]);
        var saved = new SavedDictionary(ordered: true);
        foreach (var tensor in InceptionWeights.Layout)
        {
            saved[tensor.Name] = Copy(hash, hash.Entry(tensor.Name));
            if (counters && tensor.Name.EndsWith(".running_var", StringComparison.Ordinal))
            {
                string counter = tensor.Name.Replace("running_var", "num_batches_tracked", StringComparison.Ordinal);
                saved[counter] = TensorSource.Integers(counter, [], new[] { 0L });
            }
        }
        Assert.That(saved.Items, Has.Count.EqualTo(counters ? 566 : 472));
        if (legacy)
            TorchWriter.WriteLegacy(path, saved);
        else
            TorchWriter.WriteZip(path, saved);
        return 95_628_359;
    }

    private static TensorSource Copy(SafetensorsReader file, TensorEntry entry)
        => TensorSource.Bytes(entry.Name, entry.Type, [.. entry.Shape], file.ReadBytes(entry.Name));
}
