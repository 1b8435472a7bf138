using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.WeightConverter.Formats;

namespace Diffusion.Gpu.WeightConverter.Tests;

/// <summary>Archives and streams that lie about themselves are refused before anything is allocated for them.</summary>
public sealed class HostileFileTests
{
    private const string Data = "archive/data/0";
    private TemporaryFolder _folder = null!;

    private static PickleBytes Tensor => new PickleBytes().Tensor(4, 0, [4], [1]);

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public void Archive_as_torch_writes_it_is_read()
        => Assert.That(WeightFile.Open(Tensor.Zip(_folder["a.pt"], (Data, new byte[16]))), Has.Property("Tensors").Count.EqualTo(1));

    [Test]
    public void Record_that_occurs_twice_is_refused()
        => Refuse(Tensor.Zip(_folder["a.pt"], (Data, new byte[16]), (Data, new byte[16])), Data, "twice");

    [Test]
    public void Second_pickle_is_refused() => Refuse(Tensor.Zip(_folder["a.pt"], ("other/data.pkl", [1])), "2 records called data.pkl");

    [Test]
    public void Missing_record_is_named() => Refuse(Tensor.Zip(_folder["a.pt"]), Data, "missing");

    [Test]
    public void TorchScript_is_refused()
        => Refuse(Tensor.Zip(_folder["a.pt"], ("archive/constants.pkl", [1])), "TorchScript", "state_dict()");

    [Test]
    public void Other_byte_order_is_refused()
        => Refuse(Tensor.Zip(_folder["a.pt"], ("archive/byteorder", "big"u8.ToArray())), "byte order");

    [Test]
    public void Compressed_record_is_refused()
    {
        using (var archive = ZipFile.Open(_folder["a.pt"], ZipArchiveMode.Create))
        {
            using var stream = archive.CreateEntry("archive/data.pkl", CompressionLevel.SmallestSize).Open();
            stream.Write(new byte[100_000]);
        }
        Refuse(_folder["a.pt"], "compressed", "zip -0");
    }

    [Test]
    public void Archive_of_arrays_is_named()
    {
        using (var archive = ZipFile.Open(_folder["a.npz"], ZipArchiveMode.Create))
            archive.CreateEntry("mu.npy");
        Refuse(_folder["a.npz"], ".npz");
    }

    [Test]
    public void Wrong_checksum_of_the_pickle_is_named()
    {
        string path = Tensor.Zip(_folder["a.pt"], (Data, new byte[16]));
        Patch(path, "FloatStorage", at => at + 4, (byte)'X');
        Refuse(path, "checksum", "archive/data.pkl");
    }

    [Test]
    public void Wrong_checksum_of_a_tensor_is_named_and_nothing_is_written()
    {
        string path = Tensor.Zip(_folder["a.pt"], (Data, "0123456789abcdef"u8.ToArray()));
        Patch(path, "0123456789abcdef", at => at + 15, (byte)'X');
        ToolRun.Bad(ExitCode.Input, ["'tensor'", "checksum", Data], "convert", path, _folder["b.safetensors"]);
        Assert.That(_folder.Files, Is.EqualTo(new[] { "a.pt" }));
    }

    /// <summary>The directory is the last occurrence of a name; its length field lies 22 bytes before the name, its position 4.</summary>
    [TestCase(-22, 17u, "bytes for")]
    [TestCase(-22, 0xFFFFFFF0u, "bytes")]
    [TestCase(-4, 0u, "another name")]
    [TestCase(-4, 0x7FFFFFFFu, "claims")]
    [TestCase(-4, 0xFFFFFFFFu, "zip64")]
    public void Lying_directory_is_refused(int field, uint value, string expected)
    {
        string path = Tensor.Zip(_folder["a.pt"], (Data, new byte[16]));
        byte[] bytes = File.ReadAllBytes(path);
        int name = bytes.AsSpan().LastIndexOf(Encoding.ASCII.GetBytes(Data));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(name + field), value);
        File.WriteAllBytes(path, bytes);
        Refuse(path, expected);
    }

    [Test]
    public void Records_that_overlap_are_refused()
    {
        // In the directory the first record reaches into the second.
        string path = Tensor.Zip(_folder["a.pt"], (Data, new byte[16]), ("archive/data/1", new byte[1000]));
        byte[] bytes = File.ReadAllBytes(path);
        int name = bytes.AsSpan().LastIndexOf(Encoding.ASCII.GetBytes(Data));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(name - 22), 500);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(name - 26), 500);
        File.WriteAllBytes(path, bytes);
        Refuse(path, "overlap");
    }

    [Test]
    public void Every_cut_of_every_format_is_refused([Values("mixed.pt", "mixed_legacy.pt", "state_dict.safetensors")] string name)
    {
        byte[] whole = File.ReadAllBytes(Golden.Checkpoint(name));
        for (int length = 0; length < whole.Length; length += 1 + (whole.Length / 200))
        {
            File.WriteAllBytes(_folder["cut"], whole[..length]);
            Refuse(_folder["cut"], "cut");
        }
    }

    private static IEnumerable<TestCaseData> Streams()
    {
        static byte[] Block(long count, int bytes)
        {
            var block = new byte[8 + bytes];
            BinaryPrimitives.WriteInt64LittleEndian(block, count);
            return block;
        }

        static TestCaseData Case(string name, string expected, byte[] rest, params string[] keys)
            => new TestCaseData(rest, keys, expected).SetArgDisplayNames(name);
        yield return Case("storage without data", "missing", []);
        yield return Case("data of no storage", "does not mention", Block(4, 16), "1");
        yield return Case("data twice", "twice", [.. Block(4, 16), .. Block(4, 16)], "0", "0");
        yield return Case("other count", "5 elements where 4", Block(5, 20), "0");
        yield return Case("negative count", "-1 elements", Block(-1, 16), "0");
        yield return Case("cut data", "cut short", Block(4, 12), "0");
        yield return Case("cut count", "cut short", [1, 2, 3], "0");
    }

    [TestCaseSource(nameof(Streams))]
    public void Lying_stream_is_refused(byte[] rest, string[] keys, string expected)
        => Refuse(Tensor.Legacy(_folder["a.pt"], rest, keys), expected);

    [Test]
    public void Storage_described_in_two_ways_is_refused()
    {
        var pickle = new PickleBytes().Op(PickleOpcode.EmptyList).Tensor(4, 0, [4], [1]).Op(PickleOpcode.Append)
            .Tensor(1 << 20, 0, [4], [1]).Op(PickleOpcode.Append);
        Refuse(pickle.Legacy(_folder["a.pt"], new byte[24], "0"), "two ways");
    }

    [TestCase("", "empty")]
    [TestCase("<!DOCTYPE html>", "web page")]
    [TestCase("not weights at all", "known here")]
    [TestCase("\u0089HDF\r\n", "HDF5")]
    [TestCase("\u0080\u0004\u0095aaaaaaa", "pickle that torch.save did not write")]
    public void Other_formats_are_named(string content, string expected)
    {
        File.WriteAllBytes(_folder["a.pt"], Encoding.Latin1.GetBytes(content));
        Refuse(_folder["a.pt"], expected, ".safetensors");
    }

    [Test]
    public void Names_cannot_write_to_the_terminal()
    {
        string path = new PickleBytes().Op(PickleOpcode.EmptyDict).Text("\u001b[31m\u202e")
            .Int(1).Op(PickleOpcode.Setitem).Zip(_folder["a.pt"]);
        Assert.That(ToolRun.Good("inspect", path), Does.Contain("\\u001b[31m\\u202e").And.Not.Contain("\u001b"));
    }

    private static void Patch(string path, string text, Func<int, int> place, byte value)
    {
        byte[] bytes = File.ReadAllBytes(path);
        bytes[place(bytes.AsSpan().IndexOf(Encoding.ASCII.GetBytes(text)))] = value;
        File.WriteAllBytes(path, bytes);
    }

    private static void Refuse(string path, params string[] expected)
    {
        var error = Assert.Throws<WeightsException>(() => WeightFile.Open(path).Dispose(), $"{new FileInfo(path).Length} bytes");
        foreach (string text in expected)
            Assert.That(error!.Message, Does.Contain(text));
        Assert.That(error!.Message, Does.StartWith(path));
    }
}
