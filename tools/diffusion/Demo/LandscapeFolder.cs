using Diffusion.Gpu.Kernels.Images;

namespace Diffusion.Gpu.Cli.Demo;

/// <summary>Writes painted landscapes as PNG files, on all cores.</summary>
internal static class LandscapeFolder
{
    /// <summary>Writes the images that are not there yet.</summary>
    /// <param name="folder">Created where it is missing.</param>
    /// <param name="count">Number of images.</param>
    /// <param name="seed">Which images.</param>
    /// <param name="cancellation">Stops between two images.</param>
    public static void Write(string folder, int count, ulong seed, CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder);
        var painter = new LandscapePainter(seed);
        Parallel.For(0, count, new ParallelOptions { CancellationToken = cancellation }, i =>
        {
            string path = Path.Combine(folder, $"landscape-{i:0000}.png");
            if (!File.Exists(path))
                PngWriter.Write(path, new PixelImage(LandscapePainter.Size, LandscapePainter.Size, 3, painter.Paint(i)));
        });
    }
}
