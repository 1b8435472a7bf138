using Diffusion.Gpu.Fid.Tests.Inception;
using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Fid.Tests;

/// <summary>The recipes: names, and values against the ops and resizes that have golden numbers of their own.</summary>
public sealed class PreprocessingTests
{
    [Test]
    public void Recipes_have_names_that_are_parsed_back()
    {
        Assert.That(Enum.GetValues<FidRecipe>().Select(FidRecipes.Name), 
            Is.EqualTo(["pytorch-fid", "clean", "tf1"]).And.EqualTo(FidRecipes.All));
        Assert.That(FidRecipes.All.Select(FidRecipes.Parse), Is.EqualTo(Enum.GetValues<FidRecipe>()));
        Assert.That(FidRecipes.Parse("Clean"), Is.EqualTo(FidRecipe.Clean));
        Assert.That(() => FidRecipes.Parse("legacy"), 
            Throws.ArgumentException.With.Message.Contains("'legacy', expected pytorch-fid, clean, tf1"));
    }

    [TestCase(FidRecipe.PytorchFid, ResizeMode.Bilinear, 0.0, 255.0, 2.0, -1.0)]
    [TestCase(FidRecipe.Tf1, ResizeMode.BilinearTensorFlow1, -128.0, 128.0, 1.0, 0.0)]
    public void Bilinear_recipes_resize_as_the_op_does(FidRecipe recipe, ResizeMode mode, double add, double divide, double times,
        double plus)
    {
        var image = InceptionGolden.Image(2, 37, 450);
        using var tape = TestDevices.Open("cpu").NewTape(recording: false);
        var resized = tape.Resize(tape.Constant([1, 37, 450, 3], [.. image.Pixels.Select(sample => (float)sample)]), 299, 299, mode);
        double[] expected = [.. resized.ToArray().Select(sample => ((sample + add) / divide * times) + plus)];
        Assert.That(GoldenFile.RelMax<float, double>(Prepared(recipe, image), expected), Is.LessThan(1e-6));
    }

    [Test]
    public void Clean_recipe_resizes_each_channel_as_Pillow_does_and_clips()
    {
        var image = new PixelImage(5, 4, 3, [.. Enumerable.Range(0, 60).Select(i => (byte)(i % 2 * 255))]);
        float[] prepared = Prepared(FidRecipe.Clean, image);
        for (int channel = 0; channel < 3; channel++)
        {
            float[] plane = [.. image.Pixels.Where((_, i) => i % 3 == channel).Select(sample => (float)sample)];
            var resized = new float[299 * 299];
            PillowResize.Resize(plane, (5, 4), 1, (299, 299), ResizeFilter.Bicubic, resized);
            Assert.That(resized.Min(), Is.LessThan(-1), "overshoots, so that clipping shows");
            Assert.That(prepared.Where((_, i) => i % 3 == channel), Is.EqualTo(resized.Select(v => (Math.Clamp(v, 0f, 255f) - 128) / 128)));
        }
    }

    [TestCase(FidRecipe.PytorchFid, -1f, 1f)]
    [TestCase(FidRecipe.Clean, -1f, 0.9921875f)]
    [TestCase(FidRecipe.Tf1, -1f, 0.9921875f)]
    public void Black_and_white_reach_the_ends_of_the_range(FidRecipe recipe, float black, float white)
    {
        Assert.That(Prepared(recipe, new PixelImage(3, 2, 1, new byte[6])), Is.All.EqualTo(black));
        Assert.That(Prepared(recipe, new PixelImage(3, 2, 1, [.. Enumerable.Repeat((byte)255, 6)])), Is.All.EqualTo(white).Within(1e-6f));
    }

    private static float[] Prepared(FidRecipe recipe, PixelImage image)
    {
        var prepared = new float[Preprocessing.Length];
        Preprocessing.Prepare(recipe, image, "", prepared);
        return prepared;
    }
}
