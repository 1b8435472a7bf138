using Diffusion.Gpu.Kernels.Images;

namespace Diffusion.Gpu.Tests.Training;

/// <summary>A folder of one test's own, with a few small images to train on; deleted afterwards.</summary>
internal sealed class TrainingScratch : IDisposable
{
    private readonly string _path = Directory.CreateTempSubdirectory("diffusion-test-").FullName;

    public string Images => Path("images");

    public string Path(string name) => System.IO.Path.Combine(_path, name);

    /// <summary>Draws images in which the first row holds the image's number and the other rows rise.</summary>
    public string DrawImages(int count, int size = 8, int channels = 1)
    {
        Directory.CreateDirectory(Images);
        for (int i = 0; i < count; i++)
        {
            var pixels = new byte[size * size * channels];
            for (int p = 0; p < pixels.Length; p++)
                pixels[p] = (byte)(p < size * channels ? i : (p * 37) + (i * 11));
            PngWriter.Write(System.IO.Path.Combine(Images, $"{i:D4}.png"), new PixelImage(size, size, channels, pixels));
        }
        return Images;
    }

    /// <summary>Overwrites images by files that are no images.</summary>
    public void Spoil(params int[] images)
    {
        foreach (int i in images)
            File.WriteAllBytes(System.IO.Path.Combine(Images, $"{i:D4}.png"), []);
    }

    public void Dispose() => Directory.Delete(_path, recursive: true);
}
