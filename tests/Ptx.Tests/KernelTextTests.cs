using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>NVIDIA's driver keeps what it compiled by the text: that must be the same from run to run.</summary>
/// <remarks>ILGPU orders the blocks and declarations of some large kernels differently from one compilation to the next. Only texts that
/// are kept on disk are the same there.</remarks>
public sealed class KernelTextTests
{
    [Test]
    public void Most_texts_are_the_same_whatever_was_compiled_before()
    {
        var some = KernelListing.For(architecture: 75).Where((entry, i) => i % 8 == 0).ToDictionary();
        var forth = Assembler.Compile(some, 80);
        var back = Assembler.Compile(some.Reverse().ToDictionary(), 80);
        Assert.That(some.Keys.Where(name => forth[name].Ptx == back[name].Ptx), Is.Empty, "as ILGPU writes them");
        int same = some.Keys.Count(name => KernelText.Renumbered(forth[name].Ptx!) == KernelText.Renumbered(back[name].Ptx!));
        Assert.That(same, Is.GreaterThan(some.Count * 3 / 4), "renumbered");
    }
}
