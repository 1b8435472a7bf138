using static Diffusion.Gpu.Cli.Tests.ToolRun;

namespace Diffusion.Gpu.Cli.Tests;

/// <summary>Bad input gets one line on stderr that says what to do, the right exit code, and leaves nothing behind.</summary>
public sealed class BadInputTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [TestCase("--colour", "blue", "--colour")]
    [TestCase("--dim", "wide", "a whole number")]
    [TestCase("--dim", "0", "dim")]
    [TestCase("--dim-mults", "1,x", "dim-mults")]
    [TestCase("--objective", "pred_y", "pred_noise")]
    [TestCase("--beta-schedule", "square", "sigmoid")]
    [TestCase("--timesteps", "-5", "timesteps")]
    [TestCase("--train-lr", "fast", "train-lr")]
    [TestCase("--train-lr", "-1", "train-lr")]
    [TestCase("--train-batch-size", "0", "train-batch-size")]
    [TestCase("--ema-decay", "2", "ema-decay")]
    [TestCase("--adam-betas", "0.9", "adam-betas")]
    [TestCase("--dropout", "1.5", "dropout")]
    [TestCase("--channels", "2", "channels")]
    [TestCase("--convert-image-to", "CMYK", "RGBA")]
    [TestCase("--image-size", "33", "image-size")]
    [TestCase("--full-attn", "true,false", "full-attn")]
    [TestCase("--augment-horizontal-flip", "perhaps", "true or false")]
    [TestCase("--precision", "float8", "float32")]
    public void Train_refuses_an_impossible_option(string option, string value, string mentioned)
    {
        string data = ToolRun.WriteImages(_folder["data"], 8);
        var result = ToolRun.Of("train", "--data", data, "--out", _folder["run"], option, value);
        Expect(result, ExitCode.Usage, mentioned);
        Assert.That(Directory.Exists(_folder["run"]), Is.False, "nothing is begun");
    }

    [Test]
    public void Unknown_command_is_named()
        => Expect(ToolRun.Of("draw"), ExitCode.Usage, "draw", "--help");

    [Test]
    public void Train_without_data_says_so()
        => Expect(ToolRun.Of("train", "--out", _folder["run"]), ExitCode.Usage, "--data");

    [Test]
    public void Train_on_a_missing_folder_names_it()
        => Expect(Train(_folder["nowhere"]), ExitCode.Input, "nowhere", "check the path");

    [Test]
    public void Train_on_an_empty_folder_says_what_it_looked_for()
    {
        Directory.CreateDirectory(_folder["empty"]);
        Expect(Train(_folder["empty"]), ExitCode.Input, "empty", ".png");
    }

    [Test]
    public void Train_on_fewer_images_than_a_batch_says_how_many()
        => Expect(Train(ToolRun.WriteImages(_folder["data"], 3)), ExitCode.Input, "3", "4", "train-batch-size");

    [Test]
    public void Train_skips_a_few_broken_images_by_name()
    {
        string data = ToolRun.WriteImages(_folder["data"], 40);
        File.WriteAllBytes(Path.Combine(data, "007.png"), []);
        var result = Train(data);
        Assert.Multiple(() =>
        {
            Assert.That(result.Code, Is.Zero, result.Error);
            Assert.That(result.Error, Does.Contain("007.png"));
        });
    }

    [Test]
    public void Train_refuses_when_more_than_one_in_twenty_is_broken()
    {
        string data = ToolRun.WriteImages(_folder["data"], 20);
        File.WriteAllText(Path.Combine(data, "003.png"), "not a picture");
        byte[] whole = File.ReadAllBytes(Path.Combine(data, "004.png"));
        File.WriteAllBytes(Path.Combine(data, "004.png"), whole[..(whole.Length / 2)]);
        Expect(Train(data), ExitCode.Input, "2", "5 %");
    }

    [Test]
    public void Train_on_a_device_that_is_not_there_lists_what_is()
        => Expect(ToolRun.Of("train", "--data", ToolRun.WriteImages(_folder["data"], 8), "--out", _folder["run"], "--device", "cuda:17"),
            ExitCode.Device, "cuda:17", "cpu");

    [Test]
    public void Train_that_needs_more_memory_than_there_is_says_how_much()
        => Expect(ToolRun.Of(["train", "--data", ToolRun.WriteImages(_folder["data"], 8), "--out", _folder["run"],
            .. ToolRun.TinyModelWith("--dim", "400000")]), ExitCode.Device, "bytes");

    [Test]
    public void Train_into_a_path_that_cannot_be_a_folder_says_so()
    {
        File.WriteAllText(_folder["file"], "");
        Expect(ToolRun.Of(["train", "--data", ToolRun.WriteImages(_folder["data"], 8), "--out", Path.Combine(_folder["file"], "run"),
            .. ToolRun.TinyModel]), ExitCode.Input, "file", "choose");
    }

    [Test]
    public void Train_over_another_run_is_refused()
    {
        string data = ToolRun.WriteImages(_folder["data"], 8);
        ToolRun.TrainTiny(data, _folder["run"], 1);
        Expect(ToolRun.Of(["train", "--data", data, "--out", _folder["run"], .. ToolRun.TinyModel]), ExitCode.Input, "holds a run already");
    }

    [Test]
    public void Train_that_diverges_names_the_step_and_keeps_the_last_checkpoint()
    {
        string data = ToolRun.WriteImages(_folder["data"], 8);
        var result = ToolRun.Of(["train", "--data", data, "--out", _folder["run"],
            .. ToolRun.TinyModelWith("--save-and-sample-every", "1", "--train-lr", "100", "--train-num-steps", "40")]);
        Expect(result, ExitCode.Input, "step", "model-");
        Assert.That(Directory.GetFiles(_folder["run"], "model-*.safetensors"), Is.Not.Empty);
    }

    [TestCase("{\"dim\": \"wide\"}", "dim")]
    [TestCase("{\"colour\": 1}", "colour")]
    [TestCase("{\"dim\": 8", "JSON")]
    [TestCase("[1]", "object")]
    public void Train_refuses_a_bad_configuration_file(string json, string mentioned)
    {
        File.WriteAllText(_folder["run.json"], json);
        string data = ToolRun.WriteImages(_folder["data"], 8);
        Expect(ToolRun.Of("train", "--data", data, "--out", _folder["run"], "--config", _folder["run.json"]), ExitCode.Usage, mentioned);
    }

    [Test]
    public void Sample_from_a_missing_run_says_so()
        => Expect(ToolRun.Of("sample", "--run", _folder["nowhere"], "--out", _folder["out"]), ExitCode.Input, "nowhere");

    [TestCase("--count", "0")]
    [TestCase("--steps", "0")]
    [TestCase("--batch", "-1")]
    [TestCase("--eta", "7")]
    [TestCase("--sampler", "euler")]
    public void Sample_refuses_an_impossible_option(string option, string value)
        => Expect(ToolRun.Of("sample", "--checkpoint", _folder["model"], "--out", _folder["out"], option, value), ExitCode.Usage, value);

    [Test]
    public void Sample_from_a_truncated_checkpoint_names_it()
    {
        ToolRun.TrainTiny(ToolRun.WriteImages(_folder["data"], 8), _folder["run"], 4);
        byte[] whole = File.ReadAllBytes(Path.Combine(_folder["run"], "model-1.safetensors"));
        File.WriteAllBytes(_folder["cut.safetensors"], whole[..(whole.Length - 1000)]);
        Expect(ToolRun.Of("sample", "--checkpoint", _folder["cut.safetensors"], "--out", _folder["out"], "--device", "cpu"), ExitCode.Input,
            "cut.safetensors");
        Assert.That(Directory.Exists(_folder["out"]) ? Directory.GetFiles(_folder["out"]) : [], Is.Empty, "nothing half-written");
    }

    [Test]
    public void Sample_over_existing_files_is_refused()
    {
        ToolRun.TrainTiny(ToolRun.WriteImages(_folder["data"], 8), _folder["run"], 4);
        string[] sample = ["sample", "--run", _folder["run"], "--out", _folder["out"], "--count", "1", "--steps", "2", "--device", "cpu"];
        Assert.That(ToolRun.Of(sample).Code, Is.Zero);
        Expect(ToolRun.Of(sample), ExitCode.Input, "exists already");
        Assert.That(ToolRun.Of([.. sample, "--overwrite"]).Code, Is.Zero);
    }

    private ToolRun Train(string data)
        => ToolRun.Of(["train", "--data", data, "--out", _folder["run"], .. ToolRun.TinyModel, "--train-num-steps", "1"]);
}
