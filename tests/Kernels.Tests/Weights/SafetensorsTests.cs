using System.Buffers.Binary;
using System.Text;
using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Kernels.Tests.Weights;

public sealed class SafetensorsTests
{
    private ScratchFolder folder = null!;

    [SetUp]
    public void MakeFolder() => folder = new ScratchFolder();

    [TearDown]
    public void RemoveFolder() => folder.Dispose();

    [Test]
    public void Safetensors_round_trip_keeps_every_bit()
    {
        float[] singles = [1.5f, -0f, float.NaN, float.PositiveInfinity, float.Epsilon, float.MaxValue];
        double[] doubles = [Math.PI, double.Epsilon];
        string path = folder.File("a.safetensors");
        SafetensorsWriter.Write(path, new Dictionary<string, string> { ["b"] = "zwei \"2\"", ["a"] = "é\n" },
        [
            TensorSource.Bytes("bytes", ElementType.U8, [3], new byte[] { 1, 2, 255 }),
            TensorSource.Singles("deep.weight", [2, 3], singles),
            TensorSource.Doubles("scalar", [], doubles.AsMemory(0, 1)),
            TensorSource.Doubles("doubles", [2, 1], doubles),
            TensorSource.Integers("step", [1], new[] { long.MinValue }),
            TensorSource.Singles("empty", [0, 4], Array.Empty<float>()),
        ]);

        using var reader = SafetensorsReader.Open(path);
        Assert.That(reader.Metadata, Is.EquivalentTo(new Dictionary<string, string> { ["b"] = "zwei \"2\"", ["a"] = "é\n" }));
        Assert.That(reader.ReadSingles("deep.weight").Select(BitConverter.SingleToInt32Bits),
            Is.EqualTo(singles.Select(BitConverter.SingleToInt32Bits)));
        Assert.That(reader.Entry("deep.weight").Shape, Is.EqualTo(new[] { 2, 3 }));
        Assert.That(reader.ReadDoubles("doubles"), Is.EqualTo(doubles));
        Assert.That(reader.ReadDoubles("scalar"), Is.EqualTo(new[] { Math.PI }));
        Assert.That(reader.Entry("scalar").Shape, Is.Empty);
        Assert.That(reader.ReadIntegers("step"), Is.EqualTo(new[] { long.MinValue }));
        Assert.That(reader.ReadBytes("bytes"), Is.EqualTo(new byte[] { 1, 2, 255 }));
        Assert.That(reader.ReadSingles("empty"), Is.Empty);
        Assert.That(reader.Contains("nothing"), Is.False);
    }

    [TestCase("{\"a\xff\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}")]
    [TestCase("{\"a\":{\"dtype\":\"F\xc3\",\"shape\":[],\"data_offsets\":[0,4]}}")]
    [TestCase("{\"\\ud800\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}")]
    public void Safetensors_reader_refuses_when_text_in_the_header_is_no_Unicode(string header)
    {
        byte[] json = Encoding.Latin1.GetBytes(header), length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, json.Length);
        File.WriteAllBytes(folder.File("a.safetensors"), [.. length, .. json, 0, 0, 0, 0]);
        Assert.That(() => SafetensorsReader.Open(folder.File("a.safetensors")),
            Throws.TypeOf<WeightsException>().With.Message.Contains("not valid JSON"));
    }

    [Test]
    public void Safetensors_file_is_deterministic_and_aligned_when_tensors_come_in_another_order()
    {
        var tensors = new[]
        {
            TensorSource.Singles("b", [1], new[] { 1f }),
            TensorSource.Bytes("a", ElementType.U8, [1], new byte[] { 7 }),
            TensorSource.Integers("c", [1], new[] { 3L }),
        };
        SafetensorsWriter.Write(folder.File("1"), new Dictionary<string, string>(), tensors);
        SafetensorsWriter.Write(folder.File("2"), new Dictionary<string, string>(), tensors.Reverse());

        byte[] bytes = File.ReadAllBytes(folder.File("1"));
        Assert.That(File.ReadAllBytes(folder.File("2")), Is.EqualTo(bytes));
        Assert.That(BinaryPrimitives.ReadInt64LittleEndian(bytes) % 8, Is.Zero);
        using var reader = SafetensorsReader.Open(folder.File("1"));
        Assert.That(reader.Entries.Select(entry => entry.Name), Is.EqualTo(new[] { "c", "b", "a" }));
    }

    [Test]
    public void Safetensors_large_tensor_is_read_in_blocks()
    {
        var values = new float[(1 << 20) + 12345];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = i;
        }

        SafetensorsWriter.Write(folder.File("a"), new Dictionary<string, string>(),
            [TensorSource.Singles("x", [values.Length], () => values)]);
        using var reader = SafetensorsReader.Open(folder.File("a"));
        Assert.That(reader.ReadSingles("x").AsSpan().SequenceEqual(values), Is.True);
        Assert.That(reader.ReadDoubles("x")[^1], Is.EqualTo(values[^1]));
    }

    [Test]
    public void Safetensors_converts_half_and_bfloat16_when_singles_are_asked_for()
    {
        Half[] halves = [(Half)1.5f, Half.Epsilon, Half.MaxValue, Half.NegativeInfinity, (Half)(-0f)];
        var half = new byte[halves.Length * 2];
        for (int i = 0; i < halves.Length; i++)
        {
            BinaryPrimitives.WriteHalfLittleEndian(half.AsSpan(2 * i), halves[i]);
        }

        // 0x3FC0 = 1.5, 0xC2F7 = -123.5, 0x0001 = the smallest subnormal, 0x7F80 = infinity.
        byte[] brain = [0xC0, 0x3F, 0xF7, 0xC2, 0x01, 0x00, 0x80, 0x7F];
        SafetensorsWriter.Write(folder.File("a"), new Dictionary<string, string>(),
        [
            TensorSource.Bytes("half", ElementType.F16, [5], half),
            TensorSource.Bytes("brain", ElementType.BF16, [4], brain),
            TensorSource.Doubles("double", [1], new[] { 0.1 }),
        ]);

        using var reader = SafetensorsReader.Open(folder.File("a"));
        Assert.That(reader.ReadSingles("half"), Is.EqualTo(new[] { 1.5f, 5.9604645E-08f, 65504f, float.NegativeInfinity, -0f }));
        Assert.That(reader.ReadSingles("brain"), Is.EqualTo(new[] { 1.5f, -123.5f, 9.1835E-41f, float.PositiveInfinity }));
        Assert.That(reader.ReadDoubles("brain")[1], Is.EqualTo(-123.5));
        Assert.That(reader.ReadSingles("double"), Is.EqualTo(new[] { 0.1f }));
    }

    [TestCase(ElementType.I32, new byte[] { 0xFE, 0xFF, 0xFF, 0xFF }, -2L)]
    [TestCase(ElementType.I16, new byte[] { 0x00, 0x80 }, -32768L)]
    [TestCase(ElementType.I8, new byte[] { 0xFF }, -1L)]
    [TestCase(ElementType.U32, new byte[] { 0xFF, 0xFF, 0xFF, 0xFF }, 4294967295L)]
    [TestCase(ElementType.U16, new byte[] { 0xFF, 0xFF }, 65535L)]
    [TestCase(ElementType.U8, new byte[] { 0xFF }, 255L)]
    [TestCase(ElementType.Bool, new byte[] { 1 }, 1L)]
    public void Safetensors_widens_integers(ElementType type, byte[] bytes, long expected)
    {
        SafetensorsWriter.Write(folder.File("a"), new Dictionary<string, string>(), [TensorSource.Bytes("x", type, [1], bytes)]);
        using var reader = SafetensorsReader.Open(folder.File("a"));
        Assert.That(reader.ReadIntegers("x"), Is.EqualTo(new[] { expected }));
        Assert.That(() => reader.ReadSingles("x"), Throws.TypeOf<WeightsException>().With.Message.Contains("'x'"));
    }

    [TestCase("", "0 bytes")]
    [TestCase("1234567", "7 bytes")]
    [TestCase("notjson!", "no safetensors file")]
    public void Safetensors_refuses_a_file_that_is_none(string content, string expected)
    {
        string path = folder.Write("bad.safetensors", Encoding.ASCII.GetBytes(content));
        Assert.That(() => SafetensorsReader.Open(path),
            Throws.TypeOf<WeightsException>().With.Message.Contains(path).And.Message.Contains(expected));
    }

    [Test]
    public void Safetensors_refuses_a_missing_file()
    {
        Assert.That(() => SafetensorsReader.Open(folder.File("none")), Throws.TypeOf<WeightsException>().With.Message.Contains("none"));
    }

    private const string Good = """{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""";

    [Test]
    public void Safetensors_accepts_the_header_that_the_malformed_ones_vary()
    {
        using var reader = SafetensorsReader.Open(Raw(Good, 8));
        Assert.That(reader.ReadSingles("x"), Is.EqualTo(new float[2]));
        Assert.That(() => reader.ReadSingles("y"), Throws.TypeOf<WeightsException>().With.Message.Contains("'y'"));
        Assert.That(() => reader.ReadSingles("x", new float[3]), Throws.TypeOf<WeightsException>().With.Message.Contains("expected 3"));
    }

    [TestCase(Good, 7, "cut short")]
    [TestCase(Good, 9, "1 bytes follow")]
    [TestCase("[]", 0, "not a JSON object")]
    [TestCase("{\"x\":", 0, "not valid JSON")]
    [TestCase("""{"x":3}""", 0, "'x'")]
    [TestCase("""{"x":{"dtype":"F32","shape":[2]}}""", 8, "missing")]
    [TestCase("""{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}}""", 8, "missing")]
    [TestCase("""{"x":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}""", 8, "C64")]
    [TestCase("""{"x":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", 8, "-2")]
    [TestCase("""{"x":{"dtype":"F32","shape":[1.5],"data_offsets":[0,8]}}""", 8, "1.5")]
    [TestCase("""{"x":{"dtype":"F32","shape":[2147483647,2147483647,4],"data_offsets":[0,8]}}""", 8, "too large")]
    [TestCase("""{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""", 8, "takes 12")]
    [TestCase("""{"x":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", 8, "rising")]
    [TestCase("""{"x":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}""", 8, "rising")]
    [TestCase("""{"x":{"dtype":"F32","shape":[2],"data_offsets":[1e3,8]}}""", 8, "rising")]
    [TestCase("""{"x":{"dtype":"F32","shape":[2],"data_offsets":[9223372036854775800,9223372036854775808]}}""", 8, "rising")]
    [TestCase("""{"x":{"dtype":"F32","shape":[2],"data_offsets":[9223372036854775799,9223372036854775807]}}""", 8, "cut short")]
    [TestCase("""{"x":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}""", 12, "gap")]
    [TestCase("""{"x":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"y":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}""", 8, "inside")]
    [TestCase("""{"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"x":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}""", 8, "x")]
    [TestCase("""{"__metadata__":[],"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 8, "__metadata__")]
    [TestCase("""{"__metadata__":{"k":3},"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 8, "'k'")]
    public void Safetensors_refuses_a_malformed_header(string header, int dataLength, string expected)
    {
        string path = Raw(header, dataLength);
        Assert.That(() => SafetensorsReader.Open(path),
            Throws.TypeOf<WeightsException>().With.Message.Contains(path).And.Message.Contains(expected));
        Assert.That(() => File.Delete(path), Throws.Nothing);
    }

    [TestCase(0UL)]
    [TestCase(100_000_001UL)]
    [TestCase(ulong.MaxValue)]
    [TestCase(60UL)]
    public void Safetensors_refuses_a_header_length_that_the_file_cannot_hold(ulong length)
    {
        string path = Raw(Good, 0, length);
        Assert.That(() => SafetensorsReader.Open(path), Throws.TypeOf<WeightsException>().With.Message.Contains(length.ToString()));
    }

    [Test]
    public void Safetensors_failed_write_leaves_the_previous_file_and_no_partial()
    {
        string path = folder.Write("a", [1, 2, 3]);
        var tooShort = TensorSource.Singles("x", [3], new float[2]);
        Assert.That(() => SafetensorsWriter.Write(path, new Dictionary<string, string>(), [tooShort]),
            Throws.ArgumentException.With.Message.Contains("'x'"));
        var failing = TensorSource.Singles("x", [3], () => throw new IOException("No space left on device"));
        Assert.That(() => SafetensorsWriter.Write(path, new Dictionary<string, string>(), [failing]),
            Throws.TypeOf<IOException>().With.Message.Contains(path).And.Message.Contains("No space left")
                .And.Message.Contains("free disk space"));
        Assert.That(File.ReadAllBytes(path), Is.EqualTo(new byte[] { 1, 2, 3 }));
        Assert.That(Directory.GetFiles(Path.GetDirectoryName(path)!), Has.Length.EqualTo(1));
    }

    [Test]
    public void Safetensors_refuses_to_write_two_tensors_of_one_name_or_into_a_missing_folder()
    {
        var tensor = TensorSource.Singles("x", [1], new float[1]);
        Assert.That(() => SafetensorsWriter.Write(folder.File("a"), new Dictionary<string, string>(), [tensor, tensor]),
            Throws.ArgumentException.With.Message.Contains("'x'"));
        Assert.That(() => SafetensorsWriter.Write(folder.File("no/where"), new Dictionary<string, string>(), [tensor]),
            Throws.TypeOf<IOException>().With.Message.Contains("where"));
    }

    private string Raw(string header, int dataLength, ulong? announced = null)
    {
        byte[] json = Encoding.UTF8.GetBytes(header);
        var bytes = new byte[8 + json.Length + dataLength];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, announced ?? (ulong)json.Length);
        json.CopyTo(bytes, 8);
        return folder.Write("bad.safetensors", bytes);
    }
}
