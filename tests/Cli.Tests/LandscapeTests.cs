using Diffusion.Gpu.Cli.Demo;
using Diffusion.Gpu.Kernels.Images;

namespace Diffusion.Gpu.Cli.Tests;

/// <summary>The data set that the demo draws for itself.</summary>
public sealed class LandscapeTests
{
    [Test]
    public void Landscape_is_a_function_of_seed_and_index()
    {
        byte[] first = new LandscapePainter(1).Paint(0);
        Assert.Multiple(() =>
        {
            Assert.That(new LandscapePainter(1).Paint(0), Is.EqualTo(first));
            Assert.That(new LandscapePainter(1).Paint(1), Is.Not.EqualTo(first));
            Assert.That(new LandscapePainter(2).Paint(0), Is.Not.EqualTo(first));
        });
    }

    [Test]
    public void Folder_holds_the_painted_images()
    {
        using var folder = new TemporaryFolder();
        LandscapeFolder.Write(folder["data"], 5, seed: 3, CancellationToken.None);
        using var images = ImageFolder.Open(folder["data"]);
        var image = images.Load(4);
        Assert.Multiple(() =>
        {
            Assert.That(images.Count, Is.EqualTo(5));
            Assert.That((image.Width, image.Height, image.Channels), Is.EqualTo((LandscapePainter.Size, LandscapePainter.Size, 3)));
            Assert.That(image.Pixels, Is.EqualTo(new LandscapePainter(3).Paint(4)));
        });
    }
}
