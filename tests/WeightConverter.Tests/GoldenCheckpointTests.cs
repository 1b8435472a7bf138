using System.Globalization;
using System.Numerics;
using System.Security.Cryptography;
using System.Text.Json;
using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.Training;
using Diffusion.Gpu.WeightConverter.Formats;

namespace Diffusion.Gpu.WeightConverter.Tests;

/// <summary>Every file that PyTorch wrote arrives with PyTorch's values, bit for bit.</summary>
public sealed class GoldenCheckpointTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [TestCase("mixed.pt")]
    [TestCase("mixed_legacy.pt")]
    public void Every_type_and_layout_arrives(string name)
    {
        using var expected = SafetensorsReader.Open(Golden.Checkpoint("mixed_expected.safetensors"));
        using var file = WeightFile.Open(Golden.Checkpoint(name));
        Assert.That(expected.Entries, Has.Count.EqualTo(24));
        foreach (var entry in expected.Entries)
        {
            string key = entry.Name.Replace(".f64", "", StringComparison.Ordinal);
            var tensor = file.Find("tensors." + key);
            Assert.That(tensor?.Type.Element, Is.EqualTo(entry.Type), key);
            Assert.That(tensor!.Shape, Is.EqualTo(entry.Shape), key);
            Assert.That(Golden.Bytes(file, tensor.Name), Is.EqualTo(expected.ReadBytes(entry.Name)), key);
        }
        Assert.That(Golden.Bytes(file, "tensor_list.1"), Is.EqualTo(expected.ReadBytes("shared_a")));
        Assert.That(file.Tensors, Has.Count.EqualTo(26));
    }

    [TestCase("torch26_mixed.pt")]
    [TestCase("torch26_mixed_legacy.pt")]
    public void Every_tensor_of_torch_2_arrives(string name)
    {
        using var expected = JsonDocument.Parse(File.ReadAllText(Golden.Checkpoint("torch26_mixed.json")));
        using var file = WeightFile.Open(Golden.Checkpoint(name));
        var tensors = expected.RootElement.GetProperty("tensors");
        Assert.That(file.Tensors.Select(tensor => tensor.Name), Is.EquivalentTo(tensors.EnumerateObject().Select(tensor => tensor.Name)));
        foreach (var tensor in file.Tensors)
        {
            var wanted = tensors.GetProperty(tensor.Name);
            Assert.That(tensor.Type.Name, Is.EqualTo(wanted.GetProperty("dtype").GetString()), tensor.Name);
            Assert.That(tensor.Shape, Is.EqualTo(wanted.GetProperty("shape").EnumerateArray().Select(size => size.GetInt32())),
                tensor.Name);
            Assert.That(Convert.ToHexStringLower(SHA256.HashData(Golden.Bytes(file, tensor.Name))),
                Is.EqualTo(wanted.GetProperty("sha256").GetString()),
                tensor.Name);
        }
        Assert.That((file.Scalar("meta.device"), file.Scalar("meta.a.5.1"), file.Scalar("meta.counter.a")),
            Is.EqualTo(("cuda:1", "bytes"u8.ToArray(), 2L)));
    }

    [TestCase("mixed.pt")]
    [TestCase("mixed_legacy.pt")]
    public void Every_other_value_arrives(string name)
    {
        // Python writes an infinite number as JSON has it not.
        string json = File.ReadAllText(Golden.Checkpoint("mixed_expected.json")).Replace("Infinity", "null", StringComparison.Ordinal);
        using var expected = JsonDocument.Parse(json);
        var nested = expected.RootElement.GetProperty("scalars").GetProperty("nested");
        using var file = WeightFile.Open(Golden.Checkpoint(name));
        object? Value(string path) => file.Scalar("nested." + path);
        Assert.Multiple(() =>
        {
            Assert.That(file.Scalars.Select(scalar => scalar.Name), Does.Contain("nested.none"));
            Assert.That(Value("none"), Is.Null);
            Assert.That(Value("true"), Is.True);
            Assert.That(Value("false"), Is.False);
            foreach (string whole in new[] { "int", "negative", "int_255", "int_65535", "big_int" })
                Assert.That(Value(whole), Is.EqualTo(nested.GetProperty(whole).GetInt64()), whole);
            Assert.That(Value("huge_int"),
                Is.EqualTo(BigInteger.Parse(nested.GetProperty("huge_int").GetRawText(), CultureInfo.InvariantCulture)));
            Assert.That(Value("float"), Is.EqualTo(0.1));
            Assert.That(Value("inf"), Is.EqualTo(double.PositiveInfinity));
            foreach (string text in new[] { "str", "unicode", "long_str" })
                Assert.That(Value(text), Is.EqualTo(nested.GetProperty(text).GetString()), text);
            Assert.That(Value("bytes"), Is.EqualTo(new byte[] { 0, 255, 16 }));
            Assert.That(Value("tuple.2"), Is.EqualTo("three"));
            Assert.That(Value("list.1.1.0"), Is.EqualTo(3L));
            Assert.That(Value("dict.a.b"), Is.EqualTo(1L));
            Assert.That(Value("0"), Is.EqualTo("int key"));
            Assert.That(Value("scaler.scale"), Is.EqualTo(65536.0));
            Assert.That(file.Scalar("step"), Is.EqualTo(42L));
        });
    }

    [TestCase("model-trainer-zip.pt")]
    [TestCase("model-trainer-legacy.pt")]
    [TestCase("model-trainer-torch2layout.pt")]
    public void Trainer_checkpoint_becomes_ours(string name)
    {
        string converted = _folder["model-13.safetensors"];
        ToolRun.Good("convert", Golden.Checkpoint(name), converted, "--image-size", "8");
        using var expected = GoldenFile.Open("checkpoints/trainer_expected");
        var checkpoint = Checkpoint.Read(converted);
        var config = expected.Config;
        Assert.Multiple(() =>
        {
            Assert.That(OptionsJson.Write(checkpoint.Options.Unet), Is.EqualTo(OptionsJson.Write(
                OptionsJson.Read<UnetOptions>(config.GetProperty("unet").GetRawText()))));
            Assert.That(checkpoint.Options.Diffusion, Is.EqualTo(OptionsJson.Read<DiffusionOptions>(
                config.GetProperty("gaussian_diffusion").GetRawText()) with { SamplingTimesteps = null }));
            Assert.That(checkpoint.Options.Trainer.TrainLr, Is.EqualTo(1e-3));
            Assert.That(checkpoint.Options.Trainer.AdamBetas, Is.EqualTo(new[] { 0.9, 0.99 }));
            Assert.That(checkpoint.Step, Is.EqualTo(13));
            Assert.That(checkpoint.AdamSteps, Is.EqualTo((long)expected.Singles("opt/0/step")[0]));
            Assert.That(checkpoint.EmaUpdates, Is.EqualTo(expected.Integers("ema/step")[0]));
        });
        using var file = SafetensorsReader.Open(converted);
        var slots = Unet.LayoutOf(checkpoint.Options.Unet).Slots;
        Assert.That(file.Entries, Has.Count.EqualTo(4 * slots.Count));
        foreach (var (index, slot) in slots.Index())
        {
            Expect("model.", "model/model." + slot.Name);
            Expect("ema.", "ema/ema_model.model." + slot.Name);
            Expect("opt.exp_avg.", $"opt/{index}/exp_avg");
            Expect("opt.exp_avg_sq.", $"opt/{index}/exp_avg_sq");

            void Expect(string prefix, string tensor)
                => Assert.That(file.ReadBytes(prefix + slot.Name), Is.EqualTo(expected.Bytes(tensor)), prefix + slot.Name);
        }
    }

    [TestCase("state_dict.pt", "F32")]
    [TestCase("state_dict_legacy.pt", "F32")]
    [TestCase("state_dict.safetensors", "F32")]
    [TestCase("state_dict_fp16.pt", "F16")]
    [TestCase("state_dict_bf16.safetensors", "BF16")]
    public void State_dict_becomes_ours(string name, string type)
    {
        string converted = _folder["model-1.safetensors"];
        ToolRun.Good("convert", Golden.Checkpoint(name), converted, "--image-size", "8", "--timesteps", "50", "--beta-schedule", "sigmoid",
            "--objective", "pred_v");
        using var file = SafetensorsReader.Open(converted);
        using var expected = WeightFile.Open(Golden.Checkpoint(name));
        foreach (var tensor in expected.Tensors)
        {
            foreach (string prefix in new[] { "model.", "ema." })
            {
                Assert.That(file.Entry(prefix + tensor.Name).Type, Is.EqualTo(Enum.Parse<ElementType>(type)));
                Assert.That(file.ReadBytes(prefix + tensor.Name), Is.EqualTo(Golden.Bytes(expected, tensor.Name)), tensor.Name);
            }
        }
        Assert.That(Checkpoint.Read(converted).AdamSteps, Is.Zero);
    }

    [TestCase("f16", "state_dict_fp16.pt")]
    [TestCase("bf16", "state_dict_bf16.safetensors")]
    public void Rounding_is_PyTorchs(string type, string expected)
    {
        ToolRun.Good("convert", Golden.Checkpoint("state_dict.pt"), _folder["rounded.pt"], "--dtype", type);
        Golden.AssertSame(_folder["rounded.pt"], Golden.Checkpoint(expected));
    }

    [Test]
    public void Rounding_to_bfloat16_happens_once()
    {
        double[] values = [1 + (1.0 / 256) + double.Epsilon, 1 + (1.0 / 256) + 1e-12, 1 + (1.0 / 256), 1 + (3.0 / 256),
            -1 - (1.0 / 256) - 1e-12, 1e300, double.NaN, double.NegativeInfinity, 1e-45, float.MaxValue, -0.0, 3.3961775292304601e38];
        var source = new byte[8 * values.Length];
        Buffer.BlockCopy(values, 0, source, 0, source.Length);
        var rounded = new byte[2 * values.Length];
        ElementTypes.Round(ElementType.F64, source, ElementType.BF16, rounded);
        ushort[] bits = [.. Enumerable.Range(0, values.Length).Select(i => BitConverter.ToUInt16(rounded, 2 * i))];
        Assert.That(bits, Is.EqualTo(new ushort[]
        {
            0x3F80, 0x3F81, 0x3F80, 0x3F82, 0xBF81, 0x7F80, 0x7FC0, 0xFF80, 0x0000, 0x7F80, 0x8000, 0x7F80,
        }));
    }

    [Test]
    public void Rounding_from_32_bits_is_that_from_64()
    {
        var random = new Random(3);
        var singles = new byte[4 * 10_000];
        random.NextBytes(singles);
        byte[] doubles = new byte[2 * singles.Length], direct = new byte[singles.Length / 2], throughDouble = new byte[singles.Length / 2];
        ElementTypes.Round(ElementType.F32, singles, ElementType.F64, doubles);
        ElementTypes.Round(ElementType.F32, singles, ElementType.BF16, direct);
        ElementTypes.Round(ElementType.F64, doubles, ElementType.BF16, throughDouble);
        Assert.That(direct, Is.EqualTo(throughDouble));
    }
}
