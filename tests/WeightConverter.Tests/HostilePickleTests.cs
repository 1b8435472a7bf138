using System.Diagnostics;
using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.WeightConverter.Formats;

namespace Diffusion.Gpu.WeightConverter.Tests;

/// <summary>Whatever a pickle asks for beside plain values and tensors is refused with its name, opcode and place.</summary>
internal sealed class HostilePickleTests
{
    private const int Quick = 2000;
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [TestCase("os", "system")]
    [TestCase("posix", "system")]
    [TestCase("builtins", "eval")]
    [TestCase("__builtin__", "getattr")]
    [TestCase("subprocess", "Popen")]
    [TestCase("torch.hub", "load")]
    [TestCase("torch", "load")]
    [TestCase("numpy.core.multiarray", "_reconstruct")]
    [TestCase("torch._utils", "_rebuild_sparse_tensor")]
    [TestCase("pathlib", "PosixPath")]
    public void Foreign_global_is_refused_by_name(string module, string name)
    {
        var pickle = new PickleBytes().Op(PickleOpcode.EmptyDict).Global(module, name).Op(PickleOpcode.Mark).Text("touch /tmp/owned")
            .Op(PickleOpcode.Tuple).Op(PickleOpcode.Reduce);
        Refuse(pickle, $"{module}.{name}", "GLOBAL", "byte 3", "state_dict()", "archive/data.pkl");
        ToolRun.Bad(ExitCode.Input, [$"{module}.{name}", "GLOBAL at byte 3"], "inspect", pickle.Zip(_folder["hostile.pt"]));
    }

    [Test]
    public void Foreign_global_on_the_stack_is_refused_by_name()
        => Refuse(new PickleBytes().Text("os").Text("system").Op(PickleOpcode.StackGlobal), "os.system", "STACKGLOBAL");

    [TestCase(PickleOpcode.Inst)]
    [TestCase(PickleOpcode.Obj)]
    [TestCase(PickleOpcode.Ext1)]
    [TestCase(PickleOpcode.NewobjEx)]
    [TestCase(PickleOpcode.Persid)]
    [TestCase(PickleOpcode.NextBuffer)]
    [TestCase((PickleOpcode)0xFE)]
    public void Foreign_instruction_is_refused(PickleOpcode opcode)
        => Refuse(new PickleBytes().Op(opcode, 0, 0, 0, 0), "at byte 2", "only tensors");

    private static IEnumerable<TestCaseData> Broken()
    {
        static TestCaseData Case(string name, string expected, Func<PickleBytes, PickleBytes> build)
            => new TestCaseData(build, expected).SetArgDisplayNames(name);
        yield return Case("nothing on the stack", "never made", p => p);
        yield return Case("no mark", "no mark", p => p.Op(PickleOpcode.Tuple));
        yield return Case("pop below a mark", "never made", p => p.Int(1).Op(PickleOpcode.Mark).Op(PickleOpcode.Pop));
        yield return Case("negative length", "announced", p => p.Op(PickleOpcode.Binunicode8, 255, 255, 255, 255, 255, 255, 255, 255));
        yield return Case("huge text", "text of", p => p.Op(PickleOpcode.Binunicode8, 255, 255, 255, 255, 255, 255, 255, 127));
        yield return Case("huge bytes", "outside of a tensor", p => p.Op(PickleOpcode.Binbytes, 255, 255, 255, 255));
        yield return Case("text beyond the end", "announced", p => p.Op(PickleOpcode.Binunicode, 0, 0, 1, 0));
        yield return Case("huge number", "whole number", p => p.Op(PickleOpcode.Long4, 255, 255, 255, 127));
        yield return Case("negative number of bytes", "whole number", p => p.Op(PickleOpcode.Long4, 255, 255, 255, 255));
        yield return Case("no UTF-8", "UTF-8", p => p.Op(PickleOpcode.ShortBinunicode, 1, 0xFF));
        yield return Case("forgotten memo", "never remembered", p => p.Op(PickleOpcode.Binget, 7));
        yield return Case("far memo", "remembers", p => p.Int(1).Op(PickleOpcode.LongBinput, 255, 255, 255, 255));
        yield return Case("call of a number", "is called", p => p.Int(1).Op(PickleOpcode.EmptyTuple).Op(PickleOpcode.Reduce));
        yield return Case("object of a type", "makes an object of torch.Tensor",
            p => p.Global("torch", "Tensor").Op(PickleOpcode.EmptyTuple).Op(PickleOpcode.Newobj));
        yield return Case("attributes of a list", "attributes",
            p => p.Op(PickleOpcode.EmptyList).Op(PickleOpcode.EmptyDict).Op(PickleOpcode.Build));
        yield return Case("dictionary as a key", "key",
            p => p.Op(PickleOpcode.EmptyDict).Op(PickleOpcode.EmptyDict).Int(1).Op(PickleOpcode.Setitem));
        yield return Case("key twice", "twice", p => p.Op(PickleOpcode.EmptyDict).Text("a").Int(1).Op(PickleOpcode.Setitem).Text("a").Int(2)
            .Op(PickleOpcode.Setitem));
        yield return Case("items into text", "items are added", p => p.Text("a").Op(PickleOpcode.EmptyTuple).Op(PickleOpcode.Append));
        yield return Case("list in itself", "contains itself", p => p.Op(PickleOpcode.EmptyList).Op(PickleOpcode.Binput, 0)
            .Op(PickleOpcode.Binget, 0).Op(PickleOpcode.Append));
        yield return Case("deep list", "nested",
            p => p.Repeat(100_000, q => q.Op(PickleOpcode.EmptyList)).Repeat(99_999, q => q.Op(PickleOpcode.Append)));
        yield return Case("a billion laughs", "entries", p => p.Op(PickleOpcode.EmptyList).Repeat(40, q => q.Op(PickleOpcode.Binput, 0)
            .Op(PickleOpcode.Binget, 0).Op(PickleOpcode.Tuple2)));
        yield return Case("a million lists", "MiB", p => p.Repeat(1_000_000, q => q.Op(PickleOpcode.EmptyList)));
        yield return Case("dictionaries copied over and over", "MiB", p =>
        {
            p.Op(PickleOpcode.EmptyDict).Op(PickleOpcode.Mark);
            for (int i = 0; i < 10_000; i++)
                p.Text($"{i}").Op(PickleOpcode.None);
            p.Op(PickleOpcode.Setitems).Op(PickleOpcode.Binput, 0).Global("collections", "OrderedDict").Op(PickleOpcode.Binput, 1);
            return p.Repeat(10_000, q => q.Op(PickleOpcode.Binget, 1).Op(PickleOpcode.Binget, 0).Op(PickleOpcode.Tuple1)
                .Op(PickleOpcode.Reduce));
        });
        yield return Case("a module's code", "module", p => p.Op(PickleOpcode.Mark).Text("module").Text("code").Op(PickleOpcode.Tuple)
            .Op(PickleOpcode.Binpersid));
        yield return Case("storage of no class", "storage", p => p.Op(PickleOpcode.Mark).Text("storage").Global("torch", "Tensor").Text("0")
            .Text("cpu").Int(1).Op(PickleOpcode.Tuple).Op(PickleOpcode.Binpersid));
    }

    [TestCaseSource(nameof(Broken))]
    public void Broken_pickle_is_refused(Func<PickleBytes, PickleBytes> build, string expected)
        => Refuse(build(new PickleBytes()), expected);

    [TestCase(4, 0, new long[] { 5 }, new long[] { 1 }, "reaches to element 4")]
    [TestCase(4, 1, new long[] { 2, 2 }, new long[] { 2, 1 }, "reaches to element 4")]
    [TestCase(4, -1, new long[] { 1 }, new long[] { 1 }, "offset -1")]
    [TestCase(4, 0, new long[] { 2 }, new long[] { -1 }, "stride")]
    [TestCase(4, 0, new long[] { -1 }, new long[] { 1 }, "elements")]
    [TestCase(4, 0, new long[] { 1L << 40 }, new long[] { 0 }, "elements")]
    [TestCase(4, 0, new long[] { 1 << 30, 1 << 30, 1 << 30 }, new long[] { 0, 0, 0 }, "too large")]
    [TestCase(4, 0, new long[] { 1 << 20, 1 << 20 }, new long[] { 0, 0 }, "far more than the file has")]
    [TestCase(4, long.MaxValue, new long[] { 2 }, new long[] { long.MaxValue }, "reaches")]
    [TestCase(4, 0, new long[] { 2, 2 }, new long[] { 1 }, "2 sizes, 1 strides")]
    [TestCase(5, 0, new long[] { 1 }, new long[] { 1 }, "16 bytes for 5 elements")]
    [TestCase(long.MaxValue, 0, new long[] { 1 }, new long[] { 1 }, "elements")]
    [TestCase(-1, 0, new long[] { 1 }, new long[] { 1 }, "no storage")]
    public void Lying_tensor_is_refused(long count, long offset, long[] shape, long[] strides, string expected)
        => Refuse(new PickleBytes().Tensor(count, offset, shape, strides), expected);

    [Test]
    public void Odd_strides_that_reach_nothing_are_read()
    {
        string path = new PickleBytes().Tensor(4, 3, [1, 0, 1], [long.MaxValue, long.MaxValue, long.MaxValue])
            .Zip(_folder["a.pt"], ("archive/data/0", new byte[16]));
        using var file = WeightFile.Open(path);
        Assert.That(Golden.Bytes(file, "tensor"), Is.Empty);
    }

    [Test]
    public void Unknown_types_are_shown_but_not_converted()
    {
        string path = new PickleBytes().Op(PickleOpcode.EmptyDict).Text("z").Tensor(2, 0, [2], [1], "ComplexFloatStorage")
            .Op(PickleOpcode.Setitem).Zip(_folder["complex.pt"], ("archive/data/0", new byte[16]));
        Assert.That(ToolRun.Good("inspect", path), Does.Contain("complex64"));
        ToolRun.Bad(ExitCode.Input, ["'z'", "complex64"], "convert", path, _folder["out.safetensors"]);
        Assert.That(_folder.Files, Is.EqualTo(new[] { "complex.pt" }));
    }

    private void Refuse(PickleBytes pickle, params string[] expected)
    {
        foreach (string path in new[] { pickle.Zip(_folder["a.pt"], ("archive/data/0", new byte[16])) })
        {
            var clock = Stopwatch.StartNew();
            var error = Assert.Throws<WeightsException>(() => WeightFile.Open(path).Dispose());
            Assert.That(clock.ElapsedMilliseconds, Is.LessThan(Quick));
            foreach (string text in expected)
                Assert.That(error!.Message, Does.Contain(text));
            Assert.That(error!.Message, Does.StartWith(path));
        }
    }
}
