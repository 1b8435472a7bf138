using System.Text.Json.Nodes;
using Diffusion.Gpu.Kernels.Weights;
using static Diffusion.Gpu.Cli.Tests.ToolRun;

namespace Diffusion.Gpu.Cli.Tests;

/// <summary>Scores by hand, through the command line.</summary>
public sealed class FidTests
{
    private static readonly string[] Small = ["--weights", "hash", "--dims", "64", "--device", "cpu"];
    private ScoringFolder _folder = null!;

    [SetUp]
    public void MakeFolder()
    {
        _folder = new ScoringFolder();
        Environment.SetEnvironmentVariable("DIFFUSION_CACHE", _folder["cache"]);
    }

    [TearDown]
    public void DeleteFolder()
    {
        Environment.SetEnvironmentVariable("DIFFUSION_CACHE", null);
        _folder.Dispose();
    }

    [Test]
    public void Json_holds_everything_that_the_score_depends_on()
    {
        var result = ToolRun.Of(["fid", _folder.A, _folder.B, .. Small, "--json"]);
        Assert.That(result.Code, Is.Zero, result.Error);
        var json = JsonNode.Parse(result.Out)!.AsObject();
        Assert.Multiple(() =>
        {
            Assert.That((double)json["fid"]!, Is.GreaterThan(0).And.InRange((double)json["lower"]!, (double)json["upper"]!));
            Assert.That(((int)json["count_a"]!, (int)json["count_b"]!, (int)json["dims"]!), Is.EqualTo((5, 4, 64)));
            Assert.That(((string)json["recipe"]!, (string)json["device"]!, (string)json["precision"]!),
                Is.EqualTo(("pytorch-fid", "cpu", "float32")));
            Assert.That((string)json["weights"]!, Does.StartWith("sha256:"));
            Assert.That((string)json["weights_label"]!, Does.Contain("comparable only"));
            Assert.That((string)json["root"]!, Is.Not.Empty);
            Assert.That(json.Select(item => item.Key), Is.SupersetOf(new[]
            {
                "a", "b", "extrapolated", "standard_error", "features_s", "statistics_s", "root_s",
            }));
            Assert.That(result.Error, Is.Empty);
        });
    }

    [Test]
    public void Folder_zip_and_statistics_of_the_same_images_score_the_same()
    {
        string zip = _folder.Zip(_folder.A), file = _folder["a.npz"];
        var stats = ToolRun.Of(["stats", _folder.A, "-o", file, .. Small]);
        Assert.That(stats.Code, Is.Zero, stats.Error);
        double expected = Score(_folder.A, _folder.B);
        Assert.Multiple(() =>
        {
            Assert.That(Score(zip, _folder.B), Is.EqualTo(expected));
            Assert.That(Score(file, _folder.B), Is.EqualTo(expected).Within(1e-9).Percent);
            Assert.That(Score(_folder.A, _folder.B, "--batch", "3"), Is.EqualTo(expected));
            Assert.That(Score(_folder.A, _folder.B, "--recipe", "clean"), Is.Not.EqualTo(expected));
            Assert.That(Score(_folder.A, zip), Is.Zero.Within(1e-6));
        });
        using var npz = NpzReader.Open(file);
        Assert.That((npz.Entry("mu").Shape, npz.Entry("sigma").Shape), Is.EqualTo((new[] { 64 }, new[] { 64, 64 })));
    }

    [Test]
    public void Text_says_with_what_the_score_was_made_and_that_the_images_are_few()
    {
        var result = ToolRun.Of(["fid", _folder.A, _folder.B, .. Small]);
        Assert.That(result.Out, Does.Contain("FID").And.Contain("pytorch-fid").And.Contain("comparable only with themselves")
            .And.Contain("sha256:").And.Contain("4 images are no more than 64 dims"));
    }

    [TestCase("empty", "holds no images")]
    [TestCase("nowhere", "check the path")]
    [TestCase("one image", "at least two")]
    [TestCase("no picture", "001.png")]
    [TestCase("alpha", "001.png")]
    [TestCase("keys.npz", "mu and sigma")]
    [TestCase("shape.npz", "sigma")]
    [TestCase("nan.npz", "NaN")]
    [TestCase("asymmetric.npz", "symmetric")]
    [TestCase("text.npz", "archive")]
    [TestCase("nowhere.npz", "check the path")]
    public void Set_that_cannot_be_scored_is_refused_by_name(string kind, string mentioned)
    {
        string broken = _folder.Broken(kind);
        Expect(ToolRun.Of(["fid", _folder.A, broken, .. Small, "--json"]), ExitCode.Input, kind, mentioned);
        if (!kind.EndsWith(".npz", StringComparison.Ordinal))
            Expect(ToolRun.Of(["stats", broken, "-o", _folder["out.npz"], .. Small, "--json"]), ExitCode.Input, kind, mentioned);
        Assert.That(Directory.GetFiles(Path.GetDirectoryName(_folder["out.npz"])!, "out*"), Is.Empty, "nothing half-written");
    }

    [Test]
    public void Sides_that_do_not_go_together_are_refused()
    {
        string dims = _folder.StatisticsOf(192);
        Assert.That(ToolRun.Of(["stats", _folder.A, "-o", _folder["a.npz"], .. Small]).Code, Is.Zero);
        Expect(ToolRun.Of(["fid", _folder.A, dims, .. Small]), ExitCode.Input, "192.npz", "192", "64");
        Expect(ToolRun.Of("fid", _folder["a.npz"], dims, "--device", "cpu"), ExitCode.Input, "192.npz", "64");
        Expect(ToolRun.Of(["fid", _folder["a.npz"], _folder.B, .. Small, "--recipe", "tf1"]), ExitCode.Input,
            "a.npz", "pytorch-fid", "tf1");
    }

    [Test]
    public void Statistics_alone_need_no_weights()
        => Assert.That(ToolRun.Of("fid", _folder.StatisticsOf(64), _folder.StatisticsOf(64), "--device", "cpu").Code, Is.Zero);

    [Test]
    public void Missing_weights_are_said_how_to_get()
    {
        Expect(ToolRun.Of("fid", _folder.A, _folder.B, "--device", "cpu"), ExitCode.Input, "diffusion weights fetch", _folder["cache"]);
        Expect(ToolRun.Of("stats", _folder.A, "-o", _folder["a.npz"], "--device", "cpu"), ExitCode.Input, "diffusion weights fetch");
        Expect(ToolRun.Of("fid", _folder.A, _folder.B, "--weights", _folder["none.safetensors"]), ExitCode.Input, "none.safetensors");
    }

    [Test]
    public void Weights_of_something_else_are_refused()
    {
        SafetensorsWriter.Write(_folder["other.safetensors"], new Dictionary<string, string>(),
        [
            TensorSource.Singles("Conv2d_1a_3x3.conv.weight", [32, 3, 3, 4], new float[32 * 36]),
            TensorSource.Singles("extra", [1], new float[1]),
        ]);
        Expect(ToolRun.Of("fid", _folder.A, _folder.B, "--weights", _folder["other.safetensors"], "--device", "cpu"), ExitCode.Input,
            "other.safetensors", "missing", "extra", "Conv2d_1a_3x3.conv.weight");
    }

    [TestCase("--dims", "100")]
    [TestCase("--batch", "-1")]
    [TestCase("--recipe", "lanczos")]
    public void Impossible_option_is_refused(string option, string value)
        => Expect(ToolRun.Of("fid", _folder.A, _folder.B, option, value), ExitCode.Usage, value);

    [Test]
    public void Statistics_do_not_go_over_other_files()
    {
        File.WriteAllText(_folder["there.npz"], "");
        Expect(ToolRun.Of(["stats", _folder.A, "-o", _folder["there.npz"], .. Small]), ExitCode.Input, "exists already");
        Expect(ToolRun.Of(["stats", _folder.A, "-o", _folder["no/where.npz"], .. Small]), ExitCode.Input, "its folder does not exist");
        Expect(ToolRun.Of(["stats", _folder.A, "-o", _folder["a.txt"], .. Small]), ExitCode.Usage, ".npz");
        Assert.That(ToolRun.Of(["stats", _folder.A, "-o", _folder["there.npz"], "--overwrite", .. Small]).Code, Is.Zero);
    }

    private static double Score(string a, string b, params string[] more)
    {
        var result = ToolRun.Of(["fid", a, b, .. Small, "--json", .. more]);
        Assert.That(result.Code, Is.Zero, result.Error);
        return (double)JsonNode.Parse(result.Out)!["fid"]!;
    }
}
