using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Compiled kernels of one run serve the next, and never wrongly.</summary>
public sealed class KernelCacheTests
{
    private static readonly KernelText Text = new("line one\n// line two\r\nline three\n", 1024, HasDynamicShared: true);

    private ScratchFolder _scratch = null!;

    private string Folder => _scratch.File("kernels");

    [SetUp]
    public void MakeFolder() => _scratch = new ScratchFolder();

    [TearDown]
    public void DeleteFolder() => _scratch.Dispose();

    [Test]
    public void A_text_comes_back_as_it_was()
    {
        new KernelCache(Folder).Keep("kernel; sm_80", Text);
        Assert.That(new KernelCache(Folder).Find("kernel; sm_80"), Is.EqualTo(Text));
        Assert.That(new KernelCache(Folder).Find("kernel; sm_90"), Is.Null);
    }

    /// <summary>A file cut off anywhere, or with a letter changed anywhere, counts as missing and is written anew.</summary>
    [Test]
    public void A_damaged_file_is_replaced([Values] bool isCut)
    {
        var cache = new KernelCache(Folder);
        cache.Keep("key", Text);
        string file = Directory.GetFiles(Folder).Single();
        byte[] whole = File.ReadAllBytes(file);
        for (int i = 0; i < whole.Length; i++)
        {
            byte[] damaged = isCut ? whole[..i] : [.. whole];
            if (!isCut)
                damaged[i] ^= 1;
            File.WriteAllBytes(file, damaged);
            Assert.That(cache.Find("key"), Is.Null, $"byte {i}");
        }
        cache.Keep("key", Text);
        Assert.That(cache.Find("key"), Is.EqualTo(Text));
        Assert.That(Directory.GetFiles(Folder), Has.Length.EqualTo(1), "nothing is left beside");
    }

    [Test]
    public void Files_used_least_recently_go_when_the_folder_is_full()
    {
        var old = new KernelCache(Folder, mostBytes: 10_000);
        for (int i = 0; i < 12; i++)
        {
            old.Keep($"{i}", Text with { Source = new string('x', 1000) });
            foreach (string file in Directory.GetFiles(Folder))
                File.SetLastWriteTimeUtc(file, File.GetLastWriteTimeUtc(file).AddHours(-2));
        }
        Assert.That(old.Find("0"), Is.Not.Null, "a look-up is a use");
        new KernelCache(Folder, mostBytes: 10_000).Keep("new", Text);
        Assert.Multiple(() =>
        {
            Assert.That(Directory.GetFiles(Folder).Sum(file => new FileInfo(file).Length), Is.LessThanOrEqualTo(7_500));
            Assert.That(old.Find("0"), Is.Not.Null);
            Assert.That(old.Find("new"), Is.Not.Null);
            Assert.That(old.Find("1"), Is.Null);
        });
    }

    [Test]
    public void A_folder_that_cannot_be_written_costs_no_run()
    {
        string file = _scratch.Write("file", "not a folder"u8);
        var cache = new KernelCache(Path.Combine(file, "kernels"));
        cache.Keep("key", Text);
        Assert.That(cache.Find("key"), Is.Null);
    }

    [Test]
    public void A_device_compiles_nothing_that_was_kept()
    {
        const string Id = "opencl:0";
        if (TestDevices.Problem(Id) is { } problem)
            Assert.Ignore($"{Id} is skipped: {problem}");
        var (cold, first) = Normalise(Id);
        var (warm, second) = Normalise(Id);
        string file = Directory.GetFiles(Folder)[0];
        File.WriteAllText(file, File.ReadAllText(file)[..^100]);
        var (mended, third) = Normalise(Id);
        Assert.Multiple(() =>
        {
            Assert.That(first.Count, Is.GreaterThan(2));
            Assert.That(first.Kept, Is.Zero);
            Assert.That(second, Is.EqualTo(first with { Kept = first.Count, Compiling = second.Compiling, Driver = second.Driver }));
            Assert.That(third.Kept, Is.EqualTo(first.Count - 1), "the damaged one is compiled again");
            Assert.That(warm, Is.EqualTo(cold));
            Assert.That(mended, Is.EqualTo(cold));
        });
    }

    /// <summary>The driver's own cache finds a kernel by its text.</summary>
    [Test]
    public void Texts_are_the_same_whatever_was_compiled_before()
    {
        const string Id = "opencl:0";
        if (TestDevices.Problem(Id) is { } problem)
            Assert.Ignore($"{Id} is skipped: {problem}");
        Action<Tape, Tensor>[] ops = [(tape, x) => tape.Silu(x), (tape, x) => tape.Softmax(x),
            (tape, x) => tape.MatMul(x, x, transposeB: true)];
        foreach (var (folder, order) in new[] { ("forth", ops), ("back", [.. ops.Reverse()]) })
        {
            using var device = Device.Open(Id, Precision.Float32, _scratch.File(folder));
            using var tape = device.NewTape(recording: false);
            foreach (var op in order)
                op(tape, tape.Constant([2, 8], new float[16]));
        }
        string[] files = Directory.GetFiles(_scratch.File("forth"));
        Assert.That(files, Has.Length.EqualTo(ops.Length));
        foreach (string file in files)
            Assert.That(File.ReadAllText(Path.Combine(_scratch.File("back"), Path.GetFileName(file))), Is.EqualTo(File.ReadAllText(file)));
    }

    [Test]
    public void Names_are_numbered_in_order_of_appearance()
        => Assert.That(KernelText.Renumbered(".target sm_80\n_kernel_649[_count_7]\n@%p1 bra L_5701;\n"
            + "L_5701: _kernel_649 %r10 type_7_kernel field_7"),
            Is.EqualTo(".target sm_80\n_kernel_0[_count_1]\n@%p1 bra L_2;\nL_2: _kernel_0 %r10 type_1_kernel field_7"));

    /// <summary>A norm, a product and an element kernel, on a device of its own.</summary>
    private (float[] Result, KernelLoads Loads) Normalise(string id)
    {
        using var device = Device.Open(id, Precision.Float32, Folder);
        using var tape = device.NewTape(recording: false);
        var x = tape.Constant([2, 8], [.. Enumerable.Range(0, 16).Select(i => (i * 0.37f) - 2)]);
        float[] result = tape.Silu(tape.MatMul(x, tape.Softmax(x), transposeB: true)).ToArray();
        return (result, device.Kernels);
    }
}
