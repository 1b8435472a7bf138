using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;
using Diffusion.Gpu.Cli.Tests;

namespace Diffusion.Gpu.WeightConverter.Tests;

/// <summary>What a user types: help, the other two commands, and mistakes, which get one line that says what to do.</summary>
public sealed class CommandTests
{
    private TemporaryFolder _folder = null!;

    private static string Trainer => Golden.Checkpoint("model-trainer-zip.pt");

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [Test]
    public void Help_shows_the_two_commands_of_a_newcomer() => Assert.That(ToolRun.Good("--help"),
        Does.Contain("convert model-100.pt runs/mine/model-100.safetensors --image-size 64")
            .And.Contain("convert pt_inception-2015-12-05-6726825d.pth"));

    [TestCase("convert")]
    [TestCase("inspect")]
    [TestCase("check")]
    public void Help_of_a_command_has_an_example(string command)
        => Assert.That(ToolRun.Good(command, "--help"), Does.Contain($"Example: weight-converter {command} model-100.pt"));

    [TestCase("draw")]
    [TestCase("convert")]
    [TestCase("convert", "in.pt")]
    [TestCase("convert", "in.pt", "out.pt", "--colour", "blue")]
    [TestCase("convert", "in.pt", "out.pt", "--dtype", "f8")]
    [TestCase("check", "in.pt")]
    public void Bad_command_line_is_explained(params string[] arguments) => ToolRun.Bad(ExitCode.Usage, ["--help"], arguments);

    [Test]
    public void Missing_file_is_named() => ToolRun.Bad(ExitCode.Input, ["nowhere.pt", "check the path"], "inspect", _folder["nowhere.pt"]);

    [Test]
    public void Folder_instead_of_a_file_is_named()
        => ToolRun.Bad(ExitCode.Input, ["is a folder"], "inspect", Path.GetDirectoryName(Trainer)!);

    [Test]
    public void Missing_configuration_is_named() => ToolRun.Bad(ExitCode.Input, ["nowhere.json", "--config"], "convert", Trainer,
        _folder["out.safetensors"], "--config", _folder["nowhere.json"]);

    [Test]
    public void Name_that_tells_no_format_asks_for_one()
        => ToolRun.Bad(ExitCode.Usage, ["out.weights", "trainer", ".safetensors"], "convert", Trainer, _folder["out.weights"]);

    [Test]
    public void Output_below_a_file_is_refused()
    {
        File.WriteAllText(_folder["file"], "");
        ToolRun.Bad(ExitCode.Input, [Path.Combine(_folder["file"], "out.pt"), "folder"], "convert", Trainer,
            Path.Combine(_folder["file"], "out.pt"));
    }

    [Test]
    public void Source_is_never_written_over([Values] bool linked)
    {
        File.Copy(Trainer, _folder["model.pt"]);
        string other = _folder["model.pt"];
        if (linked)
            File.CreateSymbolicLink(other = _folder["link.pt"], _folder["model.pt"]);
        ToolRun.Bad(ExitCode.Input, [other, "another name"], "convert", _folder["model.pt"], other);
        Assert.That(File.ReadAllBytes(_folder["model.pt"]), Is.EqualTo(File.ReadAllBytes(Trainer)));
    }

    [Test]
    public void Full_disk_leaves_nothing_behind([Values("out.safetensors", "out.pt")] string name)
    {
        using var disk = SmallDisk.TryMount(_folder["disk"], kilobytes: 20);
        ToolRun.Bad(ExitCode.Input, [name, "free disk space"], "convert", Trainer,
            Path.Combine(_folder["disk"], name), "--image-size", "8");
        Assert.That(Directory.GetFiles(_folder["disk"]), Is.Empty);
    }

    [Test]
    public void Stack_trace_is_shown_on_request()
        => Assert.That(ToolRun.Of("inspect", _folder["nowhere.pt"], "--verbose").Error, Does.Contain("   at "));

    [Test]
    public void Inspect_tells_format_model_tensors_and_values()
    {
        string text = ToolRun.Good("inspect", Trainer);
        using var json = JsonDocument.Parse(ToolRun.Good("inspect", Trainer, "--json"));
        using var file = Formats.WeightFile.Open(Trainer);
        var first = json.RootElement.GetProperty("tensors")[0];
        Assert.Multiple(() =>
        {
            Assert.That(text, Does.Contain("torch zip").And.Contain("U-Net dim 4").And.Contain("step = 13").And.Contain("model.betas"));
            Assert.That(json.RootElement.GetProperty("format").GetString(), Is.EqualTo("torch zip"));
            Assert.That(json.RootElement.GetProperty("tensors").GetArrayLength(), Is.EqualTo(file.Tensors.Count));
            Assert.That(first.GetProperty("name").GetString(), Is.EqualTo("model.betas"));
            Assert.That(first.GetProperty("sha256").GetString(),
                Is.EqualTo(Convert.ToHexStringLower(SHA256.HashData(Golden.Bytes(file, "model.betas")))));
            Assert.That(json.RootElement.GetProperty("contents").GetProperty("step").GetInt32(), Is.EqualTo(13));
        });
    }

    [Test]
    public void Check_compares_with_a_network_and_a_run()
    {
        string run = Path.Combine(_folder["run"], "model-13.safetensors");
        ToolRun.Good("convert", Trainer, run, "--image-size", "8");
        Assert.That(ToolRun.Good("check", Trainer, "--for", "unet"), Does.Contain("fits").And.Contain("step 13"));
        Assert.That(ToolRun.Good("check", Golden.Checkpoint("state_dict.pt"), "--for", run), Does.Contain("fits"));
        ToolRun.Bad(ExitCode.Input, ["none of its tensors"], "check", Trainer, "--for", "inception");
        ToolRun.Bad(ExitCode.Usage, ["nowhere", "a run folder"], "check", Trainer, "--for", "nowhere");
        ToolRun.Bad(ExitCode.Input, ["mixed.pt", "no U-Net"], "check", Golden.Checkpoint("mixed.pt"), "--for", run);
    }
}
