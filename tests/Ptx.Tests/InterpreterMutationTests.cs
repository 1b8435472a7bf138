using System.Text.RegularExpressions;
using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Kernels.Tests;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>Slips that were put into the PTX of tiles on purpose: each must be found, by a fault or by a wrong sum.</summary>
public sealed class InterpreterMutationTests
{
    private const string Race = "race:";
    private const string UnderWay = "a copy is under way";
    private const string Outside = "outside of its arguments";
    private const string WrongSum = "expected";

    private const string Forward = "Conv2D 3x3, 64 to 65 channels";

    /// <summary>What is replaced where it first stands, by what, and how that is found.</summary>
    private static IEnumerable<TestCaseData> Slips =>
    [
        Slip("no barrier in the main loop", @"(?<=wait_group \d;\s+)bar\.sync\s+0;", "", Race),
        Slip("one more group may be under way", "wait_group 1;", "wait_group 2;", UnderWay),
        Slip("no wait in the main loop", "cp.async.wait_group 1;", "", UnderWay),
        Slip("a group of copies is not closed", @"cp\.async\.commit_group;(?=\s+\{ \.reg \.u32 s; add\.u32 s, leftAt)", "", UnderWay),
        Slip("no wait before sums leave", "cp.async.wait_all;", "", UnderWay),
        Slip("no barrier before sums are read back", @"(?<=\}\s+)bar\.sync\s+0;", "", Race),
        Slip("rows and depths of a left fragment swapped", @"(mma\S+ \{[^}]*\}, \{left0, )left1, left2", "$1left2, left1", WrongSum),
        Slip("halves of a right fragment swapped", @"(mma\S+ \{[^}]*\}, \{[^}]*\}, )\{right0, right1\}", "$1{right1, right0}", WrongSum),
        Slip("a right fragment of another column", @"(mma\S+ \{[^}]*\}, \{[^}]*\}, )\{right2, right3\}", "$1{right0, right1}", WrongSum),
        Slip("sums of a product swapped", @"(mma\S+ )\{sum0, sum1, sum2, sum3\}", "$1{sum1, sum0, sum2, sum3}", WrongSum),
        Slip("sums of another fragment added to", @"(mma\S+ \{sum4, [^}]*\}, .*)\{sum4, sum5, sum6, sum7\};",
            "$1{sum0, sum1, sum2, sum3};", WrongSum),
        Slip("matrices of a fragment swapped", @"(ldmatrix\S+ \{left0, )left1, left2", "$1left2, left1", WrongSum),
        Slip("a piece further on", @"(ldmatrix\S+ \{left\d[^}]*\}, \[s\+)0\]", "${1}16]", WrongSum),
        Slip("lines of another fragment", @"(ldmatrix\S+ \{left\d[^}]*\}, \[s\+)1024\]", "${1}0]", WrongSum),
        Slip("misaligned rows", @"(ldmatrix\S+ \{left\d[^}]*\}, \[s\+)0\]", "${1}8]", "misaligned"),
        Slip("the wrong half of a stage", @"add\.u32 s, leftAt1", "add.u32 s, leftAt0", WrongSum),
        Slip("shared memory from its start instead of the tile's", @"add\.u32 s, s, sharedBase(?=;\s+\{ \.reg \.b32 lane)",
            "add.u32 s, s, 0", "of shared memory"),
        Slip("what lies outside is read", @"(cp\.async\.cg\S+ [^;]*, 16, )%r\d+;", "${1}16;", Outside, all: true),
        Slip("nothing is read", @"(cp\.async\.cg\S+ [^;]*, 16, )%r\d+;", "${1}0;", WrongSum),
        Slip("a copy to the next piece", @"(cp\.async\.cg\S+ \[s)\]", "$1+16]", Race),
        Slip("a copy from the next piece", @"(cp\.async\.cg\S+ \[s\], \[%rd\d+\+)0\]", "${1}16]", WrongSum),
        Slip("sums stored to another line", @"(st\.shared\.v2\.f32 \[s\+)0\](?=, \{sum0)", "${1}32]", WrongSum),
        Slip("a lane ends before the products", @"(?<=wait_group 1;\s+)bar\.sync\s+0;",
            "bar.sync 0; { .reg .pred q; .reg .b32 l; mov.u32 l, %laneid; setp.eq.u32 q, l, 7; @q ret; }", "have ended"),
    ];

    [TestCaseSource(nameof(Slips))]
    public void Slip_is_found(string pattern, string replacement, string finding, bool everywhere)
    {
        var opCase = new WholeNumberCase(Catalogue.Conv2D.First(candidate => candidate.Name == Forward));
        foreach (var precision in new[] { Precision.Tf32, Precision.Bf16 })
        {
            string? found = Find(opCase, precision, TileSize.Of<Tile64x64>(), pattern, replacement, everywhere);
            Assert.That(found, Does.Contain(finding), $"{precision}");
        }
    }

    /// <summary>Of the filter's gradient, whose depth lies in rows.</summary>
    [Test]
    public void Matrices_that_are_not_turned_are_found()
    {
        var opCase = new WholeNumberCase(Catalogue.Conv2D.First(candidate => candidate.Name == Forward));
        foreach (string bank in new[] { "left", "right" })
        {
            string? found = Find(opCase, Precision.Bf16, TileSize.Of<Tile64x64>(), $@"(ldmatrix\S+)\.trans(\S+ \{{{bank}0)", "$1$2",
                everywhere: false);
            Assert.That(found, Does.Contain(WrongSum), bank);
        }
    }

    [Test]
    public void Swapped_operands_of_products_in_double_precision_are_found()
    {
        var opCase = Catalogue.Matrix.First(candidate => candidate.Name.Contains("129x33x700", StringComparison.Ordinal));
        using var device = InterpretedDevice.Open(Precision.Tf32, edit: (use, text)
            => new Regex(@"(mma\.sync\S+ [^;]*\}), (\{[^}]*\}), (\{[^}]*\}), (\{dsum)").Replace(text, "$1, $3, $2, $4", 1));
        Assert.That(() => new OpChecks(device).Result(opCase), Throws.Exception);
    }

    /// <summary>Slips in the matrix instructions of a warpgroup.</summary>
    private static IEnumerable<TestCaseData> WarpgroupSlips =>
    [
        Slip("copies are not shown to the other proxy", @"fence\.proxy\.async\.shared::cta;", "", "shows to the proxy", all: true),
        Slip("products are not waited for", @"wgmma\.wait_group\.sync\.aligned 0;", "", "matrix instructions may still read", all: true),
        Slip("products are not waited for in the main loop", @"wgmma\.wait_group\.sync\.aligned 0;", "",
            "matrix instructions may still read"),
        Slip("a group of products is not closed", @"wgmma\.commit_group\.sync\.aligned;", "", "matrix instructions may still read",
            all: true),
        Slip("sums are not ordered before products", @"wgmma\.fence\.sync\.aligned;", "", "no fence orders the sums", all: true),
        // Of which some reads meet copies.
        Slip("the swizzle of 128 bytes", "0x80000020", "0x40000020", ""),
        Slip("atoms lie closer", "0x80000020", "0x80000010", WrongSum),
        Slip("operands swapped", "left, right, add", "right, left, add", WrongSum),
        Slip("sums of a product swapped", @"(mma_async\S+ )\{sum0, sum1, sum2", "$1{sum2, sum1, sum0", WrongSum),
        Slip("a barrier less", @"(?<=shared::cta;\s+)bar\.sync\s+0;", "", "race:"),
    ];

    [TestCaseSource(nameof(WarpgroupSlips))]
    public void Slip_of_a_warpgroup_is_found(string pattern, string replacement, string finding, bool everywhere)
    {
        var opCase = new WholeNumberCase(Catalogue.Conv2D.First(candidate => candidate.Name == Forward));
        foreach (var precision in new[] { Precision.Tf32, Precision.Bf16 })
        {
            string? found = Find(opCase, precision, TileChoice.Warpgroups[0], pattern, replacement, everywhere);
            Assert.That(found, Does.Contain(finding), $"{precision}");
        }
    }

    /// <summary>What the interpreter or the sums say of an edited text; null where nothing is found.</summary>
    private static string? Find(WholeNumberCase opCase, Precision precision, TileSize tile, string pattern, string replacement,
        bool everywhere)
    {
        int edits = 0;
        var slip = new Regex(pattern);
        using var device = InterpretedDevice.Open(precision, edit: (use, text) =>
        {
            if (!use.Name.StartsWith(nameof(TileGemm), StringComparison.Ordinal))
                return text;
            string edited = slip.Replace(text, replacement, everywhere ? -1 : 1);
            edits += edited == text ? 0 : 1;
            return edited;
        });
        ((GpuBackend)device.Backend).OnlyTile = tile;
        string? found;
        try
        {
            found = opCase.Fault(device);
        }
        catch (PtxFaultException fault)
        {
            found = fault.Message;
        }
        Assert.That(edits, Is.Positive, "the text has no such place");
        return found;
    }

    private static TestCaseData Slip(string name, string pattern, string replacement, string finding, bool all = false)
        => new TestCaseData(pattern, replacement, finding, all).SetArgDisplayNames(name);
}
