using System.Text;
using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.Training;
using Diffusion.Gpu.WeightConverter.Formats;

namespace Diffusion.Gpu.WeightConverter.Tests;

/// <summary>Out to PyTorch and in again leaves every byte of every tensor as it was.</summary>
public sealed class RoundTripTests
{
    private TemporaryFolder _folder = null!;
    private string _own = "";

    [SetUp]
    public void MakeFolder()
    {
        _folder = new TemporaryFolder();
        _own = _folder["own.safetensors"];
        ToolRun.Good("convert", Golden.Checkpoint("model-trainer-zip.pt"), _own, "--image-size", "8");
    }

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public void Checkpoint_comes_back_from_a_Trainer_file([Values] bool legacy)
    {
        ToolRun.Good(["convert", _own, _folder["out.pt"], .. legacy ? ["--legacy"] : Array.Empty<string>()]);
        ToolRun.Good("convert", _folder["out.pt"], _folder["back.safetensors"]);
        Assert.That(File.ReadAllBytes(_folder["back.safetensors"]), Is.EqualTo(File.ReadAllBytes(_own)), "options and counters included");
    }

    /// <summary>The reference wrote the source, so what we write has to hold at least its entries, with its values.</summary>
    [Test]
    public void Trainer_file_has_everything_that_the_reference_wrote()
    {
        ToolRun.Good("convert", _own, _folder["out.pt"]);
        using WeightFile written = WeightFile.Open(_folder["out.pt"]),
            reference = WeightFile.Open(Golden.Checkpoint("model-trainer-zip.pt"));
        Assert.That(written.Tensors.Select(tensor => tensor.Name), Is.EqualTo(reference.Tensors.Select(tensor => tensor.Name)));
        foreach (var tensor in reference.Tensors)
        {
            Assert.That(written.Find(tensor.Name)!.ShapeText, Is.EqualTo(tensor.ShapeText), tensor.Name);
            Assert.That(Golden.Bytes(written, tensor.Name), Is.EqualTo(Golden.Bytes(reference, tensor.Name)), tensor.Name);
        }
        string[] own = ["diffusion.gpu.options", "opt.param_groups.0.fused"];
        Assert.That(written.Scalars.Where(scalar => !own.Contains(scalar.Name)),
            Is.EqualTo(reference.Scalars.Where(scalar => !own.Contains(scalar.Name))));
    }

    [TestCase("ema", CheckpointPart.Average)]
    [TestCase("model", CheckpointPart.Model)]
    public void One_set_of_weights_comes_back_from_PyTorchs_names(string weights, CheckpointPart part)
    {
        ToolRun.Good("convert", _own, _folder["out.safetensors"], "--weights", weights);
        ToolRun.Good("convert", _folder["out.safetensors"], _folder["back.safetensors"]);
        using var back = SafetensorsReader.Open(_folder["back.safetensors"]);
        var slots = Unet.LayoutOf(Checkpoint.Read(_own).Options.Unet).Slots;
        Assert.That(back.Entries, Has.Count.EqualTo(2 * slots.Count));
        foreach (var slot in slots)
        {
            byte[] expected = Golden.Bytes(_own, Checkpoint.PrefixOf(part) + slot.Name);
            foreach (var copy in (CheckpointPart[])[CheckpointPart.Model, CheckpointPart.Average])
                Assert.That(back.ReadBytes(Checkpoint.PrefixOf(copy) + slot.Name), Is.EqualTo(expected), slot.Name);
        }
        Assert.That(Checkpoint.Read(_folder["back.safetensors"]).Options.Write(), Is.EqualTo(Checkpoint.Read(_own).Options.Write()));
        Assert.That(Checkpoint.Read(_folder["back.safetensors"]).Step, Is.EqualTo(13));
    }

    [Test]
    public void State_dict_comes_back([Values] bool legacy)
    {
        ToolRun.Good(["convert", _own, _folder["out.pth"], "--to", "state-dict", "--weights", "model",
            .. legacy ? ["--legacy"] : Array.Empty<string>()]);
        Golden.AssertSame(_folder["out.pth"], Golden.Checkpoint("state_dict.pt"));
    }

    [Test]
    public void Every_type_comes_back([Values] bool legacy)
    {
        ToolRun.Good(["convert", Golden.Checkpoint("mixed.pt"), _folder["out.pt"], .. legacy ? ["--legacy"] : Array.Empty<string>()]);
        ToolRun.Good("convert", _folder["out.pt"], _folder["back.safetensors"]);
        Golden.AssertSame(_folder["back.safetensors"], Golden.Checkpoint("mixed.pt"));
    }

    /// <summary>With a limit of 1 and 100 instead of 2^32 all records, or the larger ones,
    /// are written as those of huge files are.</summary>
    [TestCase(1)]
    [TestCase(100)]
    public void Records_of_huge_files_come_back(long wide)
    {
        using (var source = WeightFile.Open(Golden.Checkpoint("mixed.pt")))
        {
            var copies = new Maps.TensorCopies(source);
            var saved = new SavedDictionary();
            foreach (var tensor in source.Tensors)
                saved[tensor.Name] = copies.Of(tensor, tensor.Name);
            TorchWriter.WriteZip(_folder["wide.pt"], saved, wide);
        }
        Golden.AssertSame(_folder["wide.pt"], Golden.Checkpoint("mixed.pt"));
    }

    [Test]
    public void Types_without_a_storage_class_come_back([Values] bool legacy)
    {
        var saved = new SavedDictionary(ordered: true)
        {
            ["u64"] = TensorSource.Bytes("u64", ElementType.U64, [2], new byte[] { 1, 0, 0, 0, 0, 0, 0, 0x80, 2, 0, 0, 0, 0, 0, 0, 0 }),
            ["u32"] = TensorSource.Bytes("u32", ElementType.U32, [1, 1], new byte[] { 255, 255, 255, 255 }),
            ["u16"] = TensorSource.Bytes("u16", ElementType.U16, [0], Array.Empty<byte>()),
        };
        if (legacy)
            TorchWriter.WriteLegacy(_folder["u.pt"], saved);
        else
            TorchWriter.WriteZip(_folder["u.pt"], saved);
        string text = Encoding.Latin1.GetString(File.ReadAllBytes(_folder["u.pt"]));
        Assert.That(text.Contains("UntypedStorage", StringComparison.Ordinal), Is.EqualTo(!legacy),
            "torch 2.6 refuses it in a legacy stream");
        ToolRun.Good("convert", _folder["u.pt"], _folder["u.safetensors"]);
        Golden.AssertSame(_folder["u.safetensors"], _folder["u.pt"]);
        using var file = SafetensorsReader.Open(_folder["u.safetensors"]);
        Assert.That(file.Entry("u16").Type, Is.EqualTo(ElementType.U16));
        Assert.That(file.ReadIntegers("u32"), Is.EqualTo(new[] { 0xFFFFFFFFL }));
    }
}
