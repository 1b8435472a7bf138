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

    /// <summary>ILGPU's promises on conditional branches do not hold in every kernel; on others there is nothing to promise.</summary>
    [Test]
    public void Conditional_branches_promise_nothing()
        => Assert.That(KernelText.WithoutPromises("@%p1 bra.uni L_1; @!%p22\tbra.uni L_2; bra.uni L_3;"),
            Is.EqualTo("@%p1 bra L_1; @!%p22\tbra L_2; bra.uni L_3;"));

    /// <summary>What one kernel needs must not reach the others: target sm_90a runs on no other chip.</summary>
    [TestCase("7.8", "8.0")]
    [TestCase("8.0", "8.0")]
    [TestCase("8.8", "8.8")]
    [TestCase("10.1", "10.1")]
    public void Only_a_warpgroups_text_gets_its_target(string version, string expected)
    {
        string text = Text(version, "sm_80", 16, "mma.sync.aligned.m16n8k8"), warpgroup = Text(version, "sm_80", 16, "wgmma.fence");
        Assert.That(KernelText.ForWarpgroups(text), Is.EqualTo(text));
        Assert.That(KernelText.ForWarpgroups(warpgroup), Is.EqualTo(Text(expected, "sm_90a", 1024, "wgmma.fence")));
    }

    private static string Text(string version, string target, int align, string instruction)
        => $".version {version}\n.target {target}\n\n.extern .shared .align {align} .b8 __dyn_shared_alloca[];\n\t{instruction}.sync;\n";
}
