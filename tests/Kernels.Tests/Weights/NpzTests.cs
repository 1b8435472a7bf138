using System.IO.Compression;
using System.Text;
using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Kernels.Tests.Weights;

public sealed class NpzTests
{
    private ScratchFolder folder = null!;

    [SetUp]
    public void MakeFolder() => folder = new ScratchFolder();

    [TearDown]
    public void RemoveFolder() => folder.Dispose();

    [Test]
    public void Npz_round_trip_keeps_every_bit()
    {
        double[] sigma = [1, 2, 3, 4, 5, 1.0 / 3];
        NpzWriter.Write(folder.File("a.npz"),
        [
            TensorSource.Doubles("sigma", [2, 3], sigma),
            TensorSource.Singles("mu", [2], new[] { 0.1f, -0f }),
            TensorSource.Integers("n", [], new[] { 50000L }),
        ]);

        using var reader = NpzReader.Open(folder.File("a.npz"));
        Assert.That(reader.Entries.Select(entry => entry.Name), Is.EqualTo(new[] { "sigma", "mu", "n" }));
        Assert.That(reader.ReadDoubles("sigma"), Is.EqualTo(sigma));
        Assert.That(reader.Entry("sigma").Shape, Is.EqualTo(new[] { 2, 3 }));
        Assert.That(reader.ReadSingles("mu"), Is.EqualTo(new[] { 0.1f, -0f }));
        Assert.That(reader.Entry("n").Shape, Is.Empty);
        Assert.That(reader.ReadIntegers("n"), Is.EqualTo(new[] { 50000L }));
        Assert.That(() => reader.ReadDoubles("n"), Throws.TypeOf<WeightsException>().With.Message.Contains("'n'"));
        Assert.That(() => reader.ReadDoubles("cov"), Throws.TypeOf<WeightsException>().With.Message.Contains("sigma"));
    }

    [Test]
    public void Npz_elements_begin_at_a_multiple_of_64_as_numpy_wants()
    {
        NpzWriter.Write(folder.File("a.npz"), [TensorSource.Singles("mu", [1], new[] { 1f })]);
        using var archive = ZipFile.OpenRead(folder.File("a.npz"));
        using var stream = archive.GetEntry("mu.npy")!.Open();
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        Assert.That(bytes.ToArray(), Has.Length.EqualTo(128 + 4));
        Assert.That(Encoding.Latin1.GetString(bytes.ToArray(), 0, 128),
            Is.EqualTo("\u0093NUMPY\u0001\0\u0076\0{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }".PadRight(127) + "\n"));
    }

    [Test]
    public void Npz_transposes_when_an_array_is_column_major()
    {
        // numpy.arange(6).reshape(2, 3) in Fortran order lies as 0 3 1 4 2 5.
        string path = Archive(("x", Npy("'<i4'", "True", "(2, 3)", [0, 3, 1, 4, 2, 5])));
        using var reader = NpzReader.Open(path);
        Assert.That(reader.ReadIntegers("x"), Is.EqualTo(new[] { 0L, 1, 2, 3, 4, 5 }));
    }

    [TestCase("'>f4'", "False", "(2,)", ">f4")]
    [TestCase("'|O'", "False", "(2,)", "|O")]
    [TestCase("'<c8'", "False", "(1,)", "<c8")]
    [TestCase("[('a', '<f4')]", "False", "(2,)", "records")]
    [TestCase("'<f4'", "Maybe", "(2,)", "fortran_order")]
    [TestCase("'<f4'", "False", "(3,)", "does not fill")]
    [TestCase("'<f4'", "False", "(99999999999,)", "99999999999")]
    [TestCase("'<f4'", "False", "(2147483647, 2147483647, 2147483647)", "does not fill")]
    public void Npz_refuses_an_array_it_cannot_represent(string type, string order, string shape, string expected)
    {
        string path = Archive(("x", Npy(type, order, shape, [1, 2])));
        Assert.That(() => NpzReader.Open(path),
            Throws.TypeOf<WeightsException>().With.Message.Contains(path).And.Message.Contains("'x'").And.Message.Contains(expected));
    }

    [Test]
    public void Npz_refuses_a_damaged_header()
    {
        byte[] good = Npy("'<f4'", "False", "(2,)", [1, 2]);
        byte[] magic = [.. good];
        magic[1] = (byte)'M';
        byte[] version = [.. good];
        version[6] = 9;
        foreach (byte[] bytes in new[] { magic, version, good[..9], good[..40], [] })
        {
            string path = Archive(("x", bytes));
            Assert.That(() => NpzReader.Open(path), Throws.TypeOf<WeightsException>().With.Message.Contains("'x'"));
        }
    }

    [Test]
    public void Npz_refuses_a_file_that_is_missing_cut_short_or_holds_no_array()
    {
        string path = folder.File("a.npz");
        Assert.That(() => NpzReader.Open(path), Throws.TypeOf<WeightsException>().With.Message.Contains(path));
        NpzWriter.Write(path, [TensorSource.Singles("mu", [1000], new float[1000])]);
        folder.Write("a.npz", File.ReadAllBytes(path).AsSpan()[..^30]);
        Assert.That(() => NpzReader.Open(path), Throws.TypeOf<WeightsException>().With.Message.Contains("zip"));
        NpzWriter.Write(path, []);
        Assert.That(() => NpzReader.Open(path), Throws.TypeOf<WeightsException>().With.Message.Contains("no .npy array"));
    }

    [Test]
    public void Npz_refuses_data_whose_checksum_is_wrong()
    {
        byte[] npy = Npy("'<f4'", "False", "(2,)", [1, 2]);
        string path = Archive(("x", npy));
        byte[] file = File.ReadAllBytes(path);
        file[file.AsSpan().IndexOf(npy) + npy.Length - 1] ^= 1;
        folder.Write("bad.npz", file);
        using var reader = NpzReader.Open(path);
        Assert.That(() => reader.ReadSingles("x"), Throws.TypeOf<WeightsException>().With.Message.Contains("checksum"));
    }

    private static byte[] Npy(string type, string order, string shape, int[] values)
    {
        string header = $"{{'descr': {type}, 'fortran_order': {order}, 'shape': {shape}, }}\n";
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream, Encoding.Latin1);
        writer.Write("\u0093NUMPY\u0001\0".ToCharArray());
        writer.Write((ushort)header.Length);
        writer.Write(header.ToCharArray());
        foreach (int value in values)
        {
            writer.Write(value);
        }

        return stream.ToArray();
    }

    private string Archive(params (string Name, byte[] Npy)[] arrays)
    {
        string path = folder.File("bad.npz");
        File.Delete(path);
        using var archive = ZipFile.Open(path, ZipArchiveMode.Create);
        foreach (var (name, npy) in arrays)
        {
            using var stream = archive.CreateEntry(name + ".npy", CompressionLevel.NoCompression).Open();
            stream.Write(npy);
        }

        return path;
    }
}
