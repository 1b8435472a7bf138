using System.Text.Json.Nodes;
using Diffusion.Gpu.Kernels.Weights;
using static Diffusion.Gpu.Cli.Tests.ToolRun;

namespace Diffusion.Gpu.Cli.Tests;

/// <summary>Scores during training, through the command line.</summary>
public sealed class TrainFidTests
{
    private static readonly string[] Scored =
    [
        .. ToolRun.TinyModel, "--fid", "validation", "--num-fid-samples", "10", "--fid-steps", "2", "--fid-weights", "hash",
        "--fid-dims", "64",
    ];

    private TemporaryFolder _folder = null!;
    private string _data = null!;

    [SetUp]
    public void MakeFolder()
    {
        _folder = new TemporaryFolder();
        _data = ToolRun.WriteImages(_folder["data"], 12);
        Environment.SetEnvironmentVariable("DIFFUSION_CACHE", _folder["cache"]);
    }

    [TearDown]
    public void DeleteFolder()
    {
        Environment.SetEnvironmentVariable("DIFFUSION_CACHE", null);
        _folder.Dispose();
    }

    [Test]
    public void Killed_run_goes_on_with_its_score_and_scores_leave_the_weights_alone()
    {
        string[] train = ["train", "--data", _data, "--train-num-steps", "8"];
        Assert.That(ToolRun.Of([.. train, "--out", _folder["plain"], .. ToolRun.TinyModel]).Code, Is.Zero);
        var whole = ToolRun.Of([.. train, "--out", _folder["whole"], .. Scored]);
        Assert.That(whole.Code, Is.Zero, whole.Error);
        using (var process = ToolRun.Start([.. train, "--out", _folder["killed"], "--json", .. Scored]))
        {
            while (process.StandardOutput.ReadLine() is { } line && !line.Contains("\"work\":\"features\"", StringComparison.Ordinal))
            {
            }
            process.Kill();
            process.WaitForExit();
        }
        Assert.That(File.Exists(Path.Combine(_folder["killed"], "samples.features")), "features are kept");
        var resumed = ToolRun.Of("train", "--out", _folder["killed"], "--resume", "--device", "cpu");
        Assert.That(resumed.Code, Is.Zero, resumed.Error);
        Assert.Multiple(() =>
        {
            Assert.That(Scores(_folder["killed"]), Is.EqualTo(Scores(_folder["whole"])).And.Length.EqualTo(2));
            Assert.That(Tensors(_folder["whole"]), Is.EqualTo(Tensors(_folder["plain"])));
            Assert.That(Tensors(_folder["killed"]), Is.EqualTo(Tensors(_folder["plain"])));
            Assert.That(whole.Error, Does.Contain("40 network calls").And.Contain("% of this run").And.Contain("measured: ")
                .And.Contain("FID: real images 12/12").And.Contain("FID: samples 10/10").And.Contain("Inception").And.Contain("images/s")
                .And.Contain("64 dims, pytorch-fid, hash weights (comparable only with themselves)").And.Contain("the best score so far"));
        });
    }

    [Test]
    public void Score_of_training_is_that_of_the_samples_and_the_images()
    {
        var train = ToolRun.Of(["train", "--data", _data, "--out", _folder["run"], "--train-num-steps", "4", .. Scored]);
        Assert.That(train.Code, Is.Zero, train.Error);
        Assert.That(ToolRun.Of("sample", "--run", _folder["run"], "--out", _folder["samples"], "--count", "10", "--sampler", "dpm++2m",
            "--steps", "2", "--seed", "2020", "--device", "cpu").Code, Is.Zero);
        File.Delete(Path.Combine(_folder["samples"], "grid.png"));
        var fid = ToolRun.Of("fid", _folder["samples"], _data, "--weights", "hash", "--dims", "64", "--device", "cpu", "--json");
        double scored = double.Parse(Scores(_folder["run"])[0].Split(',')[1], System.Globalization.CultureInfo.InvariantCulture);
        Assert.That((double)JsonNode.Parse(fid.Out)!["fid"]!, Is.EqualTo(scored).Within(1e-6).Percent);
    }

    [Test]
    public void Policy_comes_from_a_file_and_the_command_line_wins()
    {
        File.WriteAllText(_folder["policy.json"], """
            {"fid": "final", "num_fid_samples": 3, "fid-steps": 1, "fid-weights": "hash", "fid-dims": 64, "save-best-and-latest-only": true}
            """);
        var train = ToolRun.Of(["train", "--data", _data, "--out", _folder["run"], .. ToolRun.TinyModel, "--train-num-steps", "5",
            "--fid", _folder["policy.json"], "--num-fid-samples", "4"]);
        Assert.That(train.Code, Is.Zero, train.Error);
        var options = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder["run"], "options.json")))!;
        Assert.Multiple(() =>
        {
            Assert.That(((string)options["fid"]!, (int)options["num-fid-samples"]!, (int)options["fid-steps"]!),
                Is.EqualTo(("final", 4, 1)));
            Assert.That(Scores(_folder["run"]), Has.Length.EqualTo(1));
            Assert.That(Directory.GetFiles(_folder["run"], "*.safetensors").Select(Path.GetFileName),
                Is.EquivalentTo(new[] { "model-best.safetensors", "model-latest.safetensors" }));
        });
    }

    [Test]
    public void Finished_run_is_not_tried_again_and_other_settings_are_said_to_need_other_statistics()
    {
        Assert.That(ToolRun.Of(["train", "--data", _data, "--out", _folder["run"], "--train-num-steps", "4", .. Scored]).Code, Is.Zero);
        var again = ToolRun.Of("train", "--out", _folder["run"], "--resume", "--device", "cpu");
        Assert.Multiple(() =>
        {
            Assert.That(again.Code, Is.Zero, again.Error);
            Assert.That(again.Error, Does.Contain("every score of this run is there").And.Not.Contain("network calls"));
        });
        var other = ToolRun.Of("train", "--out", _folder["run"], "--resume", "--device", "cpu", "--fid-recipe", "tf1",
            "--save-best-and-latest-only");
        Assert.Multiple(() =>
        {
            Assert.That(other.Code, Is.Zero, other.Error);
            Assert.That(other.Error, Does.Contain("fid-reference.npz belongs to other images or settings; it is computed anew")
                .And.Contain("scores to come: 1").And.Contain("12 real images are seen")
                .And.Contain("10 samples are no more than 64 dims").And.Contain("checkpoints of before stay: model-1;"));
            Assert.That(File.Exists(Path.Combine(_folder["run"], "model-1.safetensors")), "results of before are not lost");
        });
    }

    [Test]
    public void Missing_weights_stop_the_run_before_it_begins()
    {
        Expect(ToolRun.Of(["train", "--data", _data, "--out", _folder["run"], .. ToolRun.TinyModel, "--fid", "validation"]),
            ExitCode.Input, "diffusion weights fetch", "--fid off");
        Assert.That(Directory.Exists(_folder["run"]), Is.False);
    }

    [TestCase("--fid", "sometimes", "validation", ExitCode.Usage)]
    [TestCase("--fid-sampler", "euler", "dpm++2m", ExitCode.Usage)]
    [TestCase("--fid-recipe", "lanczos", "tf1", ExitCode.Usage)]
    [TestCase("--fid-dims", "65", "192", ExitCode.Usage)]
    [TestCase("--num-fid-samples", "1", "at least 2", ExitCode.Usage)]
    [TestCase("--channels", "4", "alpha", ExitCode.Usage)]
    [TestCase("--fid", "nowhere.json", "nowhere.json", ExitCode.Input)]
    [TestCase("--fid-reference", "nowhere.npz", "nowhere.npz", ExitCode.Input)]
    public void Impossible_scoring_is_refused_before_the_run_begins(string option, string value, string mentioned, int code)
    {
        string[] changed = [.. Scored.Chunk(2).Where(pair => pair[0] != option).SelectMany(pair => pair), option, value];
        Expect(ToolRun.Of(["train", "--data", _data, "--out", _folder["run"], .. changed]), code, mentioned);
        Assert.That(Directory.Exists(_folder["run"]), Is.False);
    }

    [Test]
    public void Policy_file_takes_scoring_options_alone()
    {
        File.WriteAllText(_folder["policy.json"], """{"dim": 8}""");
        Expect(ToolRun.Of("train", "--data", _data, "--out", _folder["run"], "--fid", _folder["policy.json"]), ExitCode.Usage, "dim",
            "num-fid-samples");
    }

    /// <summary>The rows of the table without their times.</summary>
    private static string[] Scores(string run) => [.. File.ReadAllLines(Path.Combine(run, "evaluation.csv")).Skip(1)
        .Select(row => string.Join(',', row.Split(',')[..11]))];

    private static Dictionary<string, byte[]> Tensors(string run)
    {
        using var file = SafetensorsReader.Open(Training.Checkpoint.Latest(run)!.Path);
        return file.Entries.ToDictionary(entry => entry.Name, entry => file.ReadBytes(entry.Name));
    }
}
