using System.Text.Json.Nodes;

namespace Diffusion.Gpu.Cli.Tests;

/// <summary>What the tool says of this machine and of itself.</summary>
public sealed class DevicesTests
{
    [Test]
    public void Devices_lists_the_cpu_as_ready()
    {
        var result = ToolRun.Of("devices");
        Assert.Multiple(() =>
        {
            Assert.That(result.Code, Is.Zero);
            Assert.That(result.Out, Does.Contain("cpu").And.Contain("ready"));
        });
    }

    [Test]
    public void Devices_as_json_name_memory_driver_precision_and_problem()
    {
        var devices = JsonNode.Parse(ToolRun.Of("devices", "--json").Out)!.AsArray();
        var cpu = devices.Single(device => (string)device!["id"]! == "cpu")!;
        Assert.Multiple(() =>
        {
            Assert.That((long)cpu["memory_bytes"]!, Is.Positive);
            Assert.That((string)cpu["precisions"]![0]!, Is.EqualTo("float32"));
            Assert.That((string)cpu["default_precision"]!, Is.EqualTo("float32"));
            Assert.That(cpu["problem"], Is.Null);
            Assert.That(devices.Select(device => (string)device!["id"]!), Has.Some.StartsWith("cuda:").And.Some.StartsWith("opencl:"),
                "what is missing is listed with the reason");
        });
    }

    [Test]
    public void Devices_with_verbose_time_a_first_use_cold_and_warm()
    {
        var result = ToolRun.Of("devices", "--verbose", "--json");
        var devices = JsonNode.Parse(result.Out)!.AsArray();
        Assert.That(devices.Single(device => (string)device!["id"]! == "cpu")!["first_use"], Is.Null, "nothing is compiled");
        var gpu = devices.FirstOrDefault(device => device!["first_use"] is not null);
        if (gpu is null)
            Assert.Ignore("this machine has no GPU and no PoCL");
        JsonNode cold = gpu["first_use"]!["cold"]!, warm = gpu["first_use"]!["warm"]!;
        Assert.Multiple(() =>
        {
            Assert.That((int)cold["kernels"]!, Is.GreaterThan(10).And.EqualTo((int)warm["kernels"]!).And.EqualTo((int)warm["from_disk"]!));
            Assert.That((int)cold["from_disk"]!, Is.Zero);
            Assert.That((double)warm["compile_ms"]!, Is.Positive.And.LessThan((double)cold["compile_ms"]! / 2));
            Assert.That((double)cold["driver_ms"]!, Is.Positive);
            Assert.That(result.Error, Does.Contain($"{gpu["id"]}: compiling kernels"));
        });
    }

    [Test]
    public void Devices_with_tune_name_what_has_no_tiles_to_choose_between()
    {
        var result = ToolRun.Of("devices", "--tune");
        Assert.That(result.Code, Is.Zero);
        if (!result.Out.Contains("tf32", StringComparison.Ordinal))
            Assert.That(result.Error, Does.Contain("no device here multiplies on tensor cores"));
    }

    [TestCase("demo")]
    [TestCase("train")]
    [TestCase("sample")]
    [TestCase("fid")]
    [TestCase("stats")]
    [TestCase("devices")]
    public void Every_command_has_help(string command)
    {
        var result = ToolRun.Of(command, "--help");
        Assert.Multiple(() =>
        {
            Assert.That(result.Code, Is.Zero);
            Assert.That(result.Out, Does.Contain("Usage:").And.Contain(command));
        });
    }

    [TestCase("calculate_fid")]
    [TestCase("num_fid_samples")]
    [TestCase("inception_block_idx")]
    [TestCase("--save-best-and-latest-only")]
    public void Help_of_train_names_the_reference_trainers_scoring_options(string name)
        => Assert.That(ToolRun.Of("train", "--help").Out, Does.Contain(name));

    [Test]
    public void Help_of_train_shows_the_reference_trainers_defaults()
    {
        string help = string.Join(' ', ToolRun.Of("train", "--help").Out.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        Assert.That(help, Does.Contain("Default: 1,2,4,8.").And.Contain("Default: pred_v.").And.Contain("Default: 0.0001."));
    }
}
