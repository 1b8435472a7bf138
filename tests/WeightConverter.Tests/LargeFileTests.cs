using System.Text;
using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.WeightConverter.Formats;

namespace Diffusion.Gpu.WeightConverter.Tests;

/// <summary>A tensor of half a gigabyte passes through in blocks: memory does not grow with it.</summary>
public sealed class LargeFileTests
{
    private const int Rows = 128;
    private const int Columns = 1 << 20;
    private const long Bytes = 4L * Rows * Columns;
    private const long MostAllocated = 16 << 20;
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public void Tensor_is_passed_on_in_blocks([Values("safetensors", "legacy")] string format, [Values] bool rounded)
    {
        string path = _folder["large"];
        if (format == "legacy")
            new PickleBytes().Tensor(Rows * (long)Columns, 0, [Rows, Columns], [Columns, 1])
                .Legacy(path, BitConverter.GetBytes(Rows * (long)Columns), "0");
        else
            WriteHeader(path);
        // The elements are a hole in the file, which takes no room.
        using (var stream = File.OpenWrite(path))
            stream.SetLength(stream.Length + Bytes);
        long before = GC.GetAllocatedBytesForCurrentThread();
        using (var file = WeightFile.Open(path))
        {
            var tensor = file.Tensors.Single();
            Assert.That(tensor.ByteLength, Is.EqualTo(Bytes));
            file.CopyTo(tensor, rounded ? new FloatRounding(Stream.Null, ElementType.F32, ElementType.BF16) : Stream.Null);
        }
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(MostAllocated));
    }

    private static void WriteHeader(string path)
    {
        string header = $$$"""{"large":{"dtype":"F32","shape":[{{{Rows}}},{{{Columns}}}],"data_offsets":[0,{{{Bytes}}}]}}""".PadRight(128);
        File.WriteAllBytes(path, [.. BitConverter.GetBytes((long)header.Length), .. Encoding.ASCII.GetBytes(header)]);
    }
}
