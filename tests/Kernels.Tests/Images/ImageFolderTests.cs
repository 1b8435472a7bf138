using System.IO.Compression;
using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests.Images;

public sealed class ImageFolderTests
{
    private static readonly string[] Sorted = ["B.JPG", "a/b/c.png", "a/z.JpEg", "b.png"];
    private ScratchFolder folder = null!;

    [SetUp]
    public void MakeFolder() => folder = new ScratchFolder();

    [TearDown]
    public void RemoveFolder() => folder.Dispose();

    [Test]
    public void Folder_lists_images_below_it_sorted_whatever_the_case_of_their_extension()
    {
        foreach (string name in Sorted.Append("notes.txt").Append("a/.hidden.png").Append("png"))
        {
            folder.Write("root/" + name, Png(name.Length));
        }

        using var images = ImageFolder.Open(folder.File("root"));
        Check(images);
        Assert.That(() => { File.WriteAllBytes(folder.File("root/b.png"), []); images.Load(3); },
            Throws.TypeOf<ImageFormatException>().With.Message.Contains("root/b.png").And.Message.Contains("empty"));
    }

    [Test]
    public void Archive_lists_images_as_a_folder_does_and_is_read_by_many_threads()
    {
        string path = Archive(Sorted.Append("notes.txt").Append("__MACOSX/._b.png"));
        using var images = ImageFolder.Open(path);
        Check(images);
        Parallel.For(0, 2000, i => Assert.That(images.Load(i % 4).Pixels[0], Is.EqualTo((byte)Sorted[i % 4].Length)));
    }

    [Test]
    public void Archive_refuses_an_entry_whose_checksum_is_wrong()
    {
        string path = Archive(["a.png"]);
        byte[] bytes = File.ReadAllBytes(path), png = Png("a.png".Length);
        bytes[bytes.AsSpan().IndexOf(png) + png.Length - 20] ^= 1;
        File.WriteAllBytes(path, bytes);
        using var images = ImageFolder.Open(path);
        Assert.That(() => images.Read(0),
            Throws.TypeOf<ImageFormatException>().With.Message.Contains("a.png").And.Message.Contains("checksum"));
    }

    [Test]
    public void Folder_that_is_missing_empty_or_no_archive_is_refused_by_name()
    {
        Assert.That(() => ImageFolder.Open(folder.File("none")), Throws.TypeOf<ImageFormatException>().With.Message.Contains("none"));
        folder.Write("empty/readme.txt", [1]);
        Assert.That(() => ImageFolder.Open(folder.File("empty")),
            Throws.TypeOf<ImageFormatException>().With.Message.Contains("empty").And.Message.Contains(".png, .jpg"));
        string text = folder.Write("data.tar", [1, 2, 3]);
        Assert.That(() => ImageFolder.Open(text),
            Throws.TypeOf<ImageFormatException>().With.Message.Contains(text).And.Message.Contains("zip"));
        Assert.That(() => ImageFolder.Open(Archive(["readme.txt"])),
            Throws.TypeOf<ImageFormatException>().With.Message.Contains("no images"));
    }

    private static void Check(ImageFolder images)
    {
        Assert.That(images.Count, Is.EqualTo(Sorted.Length));
        Assert.That(Enumerable.Range(0, images.Count).Select(images.Name), Is.EqualTo(Sorted));
        Assert.That(images.Read(1), Is.EqualTo(Png(Sorted[1].Length)));
        Assert.That(images.Load(2).Pixels, Is.EqualTo(new[] { (byte)Sorted[2].Length }));
    }

    private static byte[] Png(int value)
    {
        using var stream = new MemoryStream();
        PngWriter.Write(stream, new PixelImage(1, 1, 1, [(byte)value]));
        return stream.ToArray();
    }

    private string Archive(IEnumerable<string> names)
    {
        string path = folder.File("images.zip");
        File.Delete(path);
        using var archive = ZipFile.Open(path, ZipArchiveMode.Create);
        foreach (string name in names)
        {
            using var stream = archive.CreateEntry(name, CompressionLevel.NoCompression).Open();
            stream.Write(Png(name.Length));
        }

        return path;
    }
}
