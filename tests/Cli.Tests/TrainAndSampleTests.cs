using System.Text.Json.Nodes;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Cli.Tests;

/// <summary>The main job through the command line.</summary>
public sealed class TrainAndSampleTests
{
    private const int Steps = 10;
    private TemporaryFolder _folder = null!;
    private string _data = null!;

    [SetUp]
    public void MakeFolder()
    {
        _folder = new TemporaryFolder();
        _data = ToolRun.WriteImages(_folder["data"], 24);
    }

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public void Train_fills_a_run_folder()
    {
        ToolRun.TrainTiny(_data, _folder["run"], Steps);
        string[] files = [.. Directory.GetFiles(_folder["run"]).Select(Path.GetFileName).Order(StringComparer.Ordinal)!];
        string[] metrics = File.ReadAllLines(Path.Combine(_folder["run"], "metrics.csv"));
        var options = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder["run"], "options.json")))!;
        Assert.Multiple(() =>
        {
            Assert.That(files, Is.SupersetOf(new[] { "metrics.csv", "options.json", "model-1.safetensors", "model-2.safetensors" }));
            Assert.That(files, Is.SupersetOf(new[] { "sample-1.png", "sample-2.png" }));
            Assert.That(files, Has.None.EndsWith(".partial"));
            Assert.That(metrics[0], Is.EqualTo("step,loss,grad_norm,lr,images_per_s,elapsed_s"));
            Assert.That(metrics[1..].Select(line => int.Parse(line.Split(',')[0])), Is.EqualTo(Enumerable.Range(1, Steps)));
            Assert.That((int)options["dim"]!, Is.EqualTo(8));
        });
    }

    [Test]
    public void Options_come_from_a_file_and_the_command_line_wins()
    {
        File.WriteAllText(_folder["run.json"], """{"train_lr": 0.002, "seed": 5, "device": "cuda:17", "precision": "float32"}""");
        ToolRun.TrainTiny(_data, _folder["run"], 1, "--config", _folder["run.json"], "--seed", "7");
        var options = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder["run"], "options.json")))!;
        Assert.Multiple(() =>
        {
            Assert.That((double)options["train-lr"]!, Is.EqualTo(0.002));
            Assert.That((int)options["seed"]!, Is.EqualTo(7));
        });
    }

    [Test]
    public void A_device_in_the_file_is_used()
    {
        File.WriteAllText(_folder["run.json"], """{"device": "cuda:17"}""");
        var result = ToolRun.Of("train", "--data", _data, "--out", _folder["run"], "--config", _folder["run.json"]);
        Assert.That(result.Code, Is.EqualTo(ExitCode.Device), result.Error);
        Assert.That(result.Error, Does.Contain("cuda:17"));
    }

    [Test]
    public void A_killed_run_goes_on_as_if_nothing_had_happened()
    {
        string[] options = [.. ToolRun.TinyModel, "--train-num-steps", $"{Steps}", "--dropout", "0.1", "--gradient-accumulate-every", "2"];
        Assert.That(ToolRun.Of(["train", "--data", _data, "--out", _folder["whole"], .. options]).Code, Is.Zero);
        using (var process = ToolRun.Start(["train", "--data", _data, "--out", _folder["killed"], "--json", .. options]))
        {
            while (process.StandardOutput.ReadLine() is { } line && !line.Contains("\"step\":6", StringComparison.Ordinal))
            {
            }
            process.Kill();
            process.WaitForExit();
        }
        var resumed = ToolRun.Of("train", "--out", _folder["killed"], "--resume", "--device", "cpu");
        Assert.That(resumed.Code, Is.Zero, resumed.Error);
        Assert.Multiple(() =>
        {
            Assert.That(Losses(_folder["killed"]), Is.EqualTo(Losses(_folder["whole"])));
            Assert.That(Tensors(_folder["killed"]), Is.EqualTo(Tensors(_folder["whole"])));
        });
    }

    [TestCase("ddim")]
    [TestCase("ddpm")]
    [TestCase("dpm++2m")]
    public void Samples_do_not_depend_on_the_batch(string sampler)
    {
        ToolRun.TrainTiny(_data, _folder["run"], 4);
        foreach (int batch in new[] { 1, 5 })
        {
            var result = ToolRun.Of("sample", "--run", _folder["run"], "--out", _folder[$"batch{batch}"], "--count", "5",
                "--batch", $"{batch}", "--sampler", sampler, "--steps", "5", "--seed", "7", "--device", "cpu");
            Assert.That(result.Code, Is.Zero, result.Error);
        }
        string[] files = [.. Directory.GetFiles(_folder["batch1"]).Select(Path.GetFileName)!];
        Assert.That(files, Has.Length.EqualTo(6), "five samples and a grid");
        foreach (string file in files)
        {
            byte[] one = File.ReadAllBytes(Path.Combine(_folder["batch1"], file));
            byte[] five = File.ReadAllBytes(Path.Combine(_folder["batch5"], file));
            Assert.That(five, Is.EqualTo(one), file);
        }
    }

    [Test]
    public void Samples_go_on_from_an_index()
    {
        ToolRun.TrainTiny(_data, _folder["run"], 4);
        string[] sample = ["sample", "--run", _folder["run"], "--steps", "3", "--device", "cpu"];
        Assert.That(ToolRun.Of([.. sample, "--out", _folder["all"], "--count", "4"]).Code, Is.Zero);
        Assert.That(ToolRun.Of([.. sample, "--out", _folder["rest"], "--count", "2", "--first", "2"]).Code, Is.Zero);
        Assert.That(File.ReadAllBytes(_folder["rest/sample-00003.png"]), Is.EqualTo(File.ReadAllBytes(_folder["all/sample-00003.png"])));
    }

    [Test]
    public void Json_output_is_one_object_a_line()
    {
        var train = ToolRun.Of(["train", "--data", _data, "--out", _folder["run"], .. ToolRun.TinyModel,
            "--train-num-steps", "4", "--json"]);
        var events = train.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!).ToList();
        var sample = ToolRun.Of("sample", "--run", _folder["run"], "--out", _folder["out"], "--count", "2", "--steps", "2",
            "--device", "cpu", "--json");
        Assert.Multiple(() =>
        {
            Assert.That(events.Count(e => (string)e["event"]! == "training"), Is.EqualTo(4));
            Assert.That((string)events[^1]["event"]!, Is.EqualTo("saved"));
            Assert.That((int)JsonNode.Parse(sample.Out)!["count"]!, Is.EqualTo(2));
            Assert.That(train.Error + sample.Error, Is.Empty);
        });
    }

    [Test]
    public void A_full_disk_ends_the_run_and_leaves_the_last_good_checkpoint()
    {
        using var disk = SmallDisk.TryMount(_folder["disk"], kilobytes: 3000);
        var result = ToolRun.Of(["train", "--data", _data, "--out", _folder["disk/run"], .. ToolRun.TinyModel, "--train-num-steps", "40"]);
        string[] checkpoints = Directory.GetFiles(_folder["disk/run"], "model-*.safetensors");
        Assert.Multiple(() =>
        {
            Assert.That(result.Code, Is.EqualTo(ExitCode.Input), result.Error);
            Assert.That(result.Error.TrimEnd().Split('\n')[^1], Does.StartWith("diffusion: ").And.Contain("model-"));
            Assert.That(checkpoints, Is.Not.Empty);
            Assert.That(Directory.GetFiles(_folder["disk/run"], "*.partial"), Is.Empty);
            Assert.That(() => Training.Checkpoint.Latest(_folder["disk/run"]), Is.Not.Null);
        });
    }

    private static List<string> Losses(string run)
        => [.. File.ReadAllLines(Path.Combine(run, "metrics.csv")).Select(line => string.Join(',', line.Split(',')[..3]))];

    private static Dictionary<string, byte[]> Tensors(string run)
    {
        using var file = SafetensorsReader.Open(Training.Checkpoint.Latest(run)!.Path);
        return file.Entries.ToDictionary(entry => entry.Name, entry => file.ReadBytes(entry.Name));
    }
}
