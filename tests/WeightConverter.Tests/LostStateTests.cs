using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.Training;
using Diffusion.Gpu.WeightConverter.Formats;
using Diffusion.Gpu.WeightConverter.Maps;

namespace Diffusion.Gpu.WeightConverter.Tests;

/// <summary>What a conversion cannot keep is said with its name, its value and what follows; what it can keep, it keeps.</summary>
public sealed class LostStateTests
{
    private TemporaryFolder _folder = null!;
    private string _own = "";

    [SetUp]
    public void MakeFolder()
    {
        _folder = new TemporaryFolder();
        _own = _folder["own.safetensors"];
        ToolRun.Good("convert", Golden.Checkpoint("model-trainer-zip.pt"), _own, "--image-size", "8");
    }

    [TearDown]
    public void DeleteFolder() => _folder.Dispose();

    [TestCase("weight_decay", 0.01, "opt.param_groups.0.weight_decay is 0.01", "without weight decay")]
    [TestCase("eps", 1e-6, "opt.param_groups.0.eps is 1E-06", "Adam goes on with 1e-08")]
    [TestCase("amsgrad", true, "opt.param_groups.0.amsgrad is True", "second moment")]
    [TestCase("maximize", true, "opt.param_groups.0.maximize is True", "smaller")]
    [TestCase("initial_lr", 0.5, "opt.param_groups.0.initial_lr is 0.5", "no place")]
    public void Field_of_the_optimiser_that_has_no_place_is_named(string field, object value, params string[] mentioned)
        => ExpectOneWarning(saved => GroupOf(saved).Replace(field, value), mentioned);

    [TestCase("weight_decay", 0L)]
    [TestCase("weight_decay", 0.0)]
    [TestCase("foreach", true)]
    [TestCase("fused", true)]
    [TestCase("capturable", true)]
    [TestCase("decoupled_weight_decay", true)]
    public void Field_without_consequence_is_not(string field, object value)
        => Assert.That(Convert(saved => GroupOf(saved).Replace(field, value)), Is.Empty);

    [Test]
    public void Scale_of_the_loss_is_named() => ExpectOneWarning(saved => saved.Replace("scaler", new SavedDictionary
    {
        ["scale"] = 65536.0,
        ["growth_factor"] = 2.0,
        ["backoff_factor"] = 0.5,
        ["growth_interval"] = 2000L,
        ["_growth_tracker"] = 13L,
    }), "scaler.scale is 65536", "1 more", "scales no loss");

    [Test]
    public void Maxima_of_the_second_moment_go_with_amsgrad() => ExpectOneWarning(saved =>
    {
        GroupOf(saved).Replace("amsgrad", true);
        StateOf(saved, 0).Replace("max_exp_avg_sq", TensorSource.Singles("m", [1], new float[1]));
        StateOf(saved, 1).Replace("max_exp_avg_sq", TensorSource.Singles("m", [1], new float[1]));
    }, "amsgrad is True");

    [Test]
    public void Weight_that_took_fewer_steps_is_named()
        => ExpectOneWarning(saved => StateOf(saved, 5).Replace("step", TensorSource.Singles("step", [], new[] { 2f })),
            "opt.state.5.step is 2", "after 13 steps");

    [Test]
    public void Second_group_of_weights_is_named() => ExpectOneWarning(
        saved => ((List<object?>)saved.Dictionary("opt").Value("param_groups")!)
            .Add(new SavedDictionary { ["lr"] = 0.5 }), "opt.param_groups.1.lr is 0.5");

    [Test]
    public void Field_of_another_program_is_named_once_with_its_values() => ExpectOneWarning(
        saved => saved.Replace("lr_scheduler", new SavedDictionary
        {
            ["last_epoch"] = 7L,
            ["weights"] = TensorSource.Singles("w", [2], new float[2]),
        }), "lr_scheduler.last_epoch is 7, lr_scheduler.weights is float32 [2]");

    [Test]
    public void Hostile_number_of_fields_is_cut_off()
    {
        string[] lines = Convert(saved =>
        {
            for (int i = 0; i < 1000; i++)
                saved.Replace($"field{i}\u001b[31m", 1L);
        });
        Assert.That(lines, Has.Length.EqualTo(21));
        Assert.That(lines[^1], Does.Contain("980 further fields"));
        Assert.That(lines, Is.All.Not.Contain("\u001b"));
    }

    [TestCase("model-trainer-zip.pt")]
    [TestCase("model-trainer-legacy.pt")]
    [TestCase("model-trainer-torch2layout.pt")]
    [TestCase("state_dict.pt")]
    public void References_own_files_lose_nothing(string name)
        => Assert.That(ToolRun.Of("convert", Golden.Checkpoint(name), _folder["out.safetensors"], "--image-size", "8", "--timesteps", "50",
            "--beta-schedule", "sigmoid", "--objective", "pred_v").Error, Is.Empty);

    [Test]
    public void Values_beside_tensors_are_named_where_only_tensors_are_kept()
    {
        var run = ToolRun.Of("convert", Golden.Checkpoint("mixed.pt"), _folder["out.safetensors"]);
        Assert.That(run.Code, Is.Zero, run.Error);
        Assert.That(run.Error, Does.StartWith("weight-converter: warning: ").And.Contain("nested.true is True").And.Contain("24 more")
            .And.Contain("tensors alone"));
    }

    /// <summary>Rounding the weights of a checkpoint changes nothing else: counters, time, data set and scores stay.</summary>
    [Test]
    public void Checkpoint_that_is_rounded_keeps_its_metadata_and_the_optimiser()
    {
        var score = new EvaluationRecord
        {
            Step = 13, Fid = 12.25, Lower = 12.2, Upper = 12.3, Samples = 64, Sampler = "ddim", Steps = 10, Seed = 7,
            Recipe = "pytorch-fid", Weights = "0123456789ab", Root = "exact", Protocol = "p", Seconds = [1, 2, 3, 4],
        };
        string scored = _folder["scored.safetensors"], rounded = _folder["rounded.safetensors"];
        using (var source = WeightFile.Open(_own))
        {
            var copies = new TensorCopies(source);
            (Checkpoint.Read(_own) with
                { Path = scored, Elapsed = TimeSpan.FromSeconds(77.5), Dataset = "digest", Score = score, Best = score with { Fid = 3 } })
                .Write([.. source.Tensors.Select(tensor => copies.Of(tensor, tensor.Name))]);
        }
        ToolRun.Good("convert", scored, rounded, "--to", "checkpoint", "--dtype", "bf16");
        using SafetensorsReader before = SafetensorsReader.Open(scored), after = SafetensorsReader.Open(rounded);
        Assert.That(after.Metadata, Is.EquivalentTo(before.Metadata));
        Assert.That(after.Metadata, Contains.Key("best_score"));
        foreach (var entry in before.Entries)
        {
            bool moment = entry.Name.StartsWith("opt.", StringComparison.Ordinal);
            Assert.That(after.Entry(entry.Name).Type, Is.EqualTo(moment ? ElementType.F32 : ElementType.BF16), entry.Name);
        }
    }

    private void ExpectOneWarning(Action<SavedDictionary> change, params string[] mentioned)
    {
        string[] lines = Convert(change);
        Assert.That(lines, Has.Length.EqualTo(1), string.Join('\n', lines));
        Assert.That(lines[0], Does.StartWith($"weight-converter: warning: {_folder["changed.pt"]}: ").And.Contain("is not kept: "));
        foreach (string text in mentioned)
            Assert.That(lines[0], Does.Contain(text));
    }

    /// <summary>Writes a Trainer file with a change, converts it, and returns the lines on stderr.</summary>
    private string[] Convert(Action<SavedDictionary> change)
    {
        using (var file = WeightFile.Open(_own))
        {
            var source = UnetSource.Find(file)!;
            var saved = TrainerMap.Object(source, source.Known!, new TensorCopies(file));
            change(saved);
            TorchWriter.WriteZip(_folder["changed.pt"], saved);
        }
        var run = ToolRun.Of("convert", _folder["changed.pt"], _folder["changed.safetensors"]);
        Assert.That(run.Code, Is.Zero, run.Error);
        return run.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    private static SavedDictionary GroupOf(SavedDictionary saved)
        => (SavedDictionary)((List<object?>)saved.Dictionary("opt").Value("param_groups")!)[0]!;

    private static SavedDictionary StateOf(SavedDictionary saved, int weight)
        => saved.Dictionary("opt").Dictionary("state").Dictionary(weight);
}

/// <summary>Changes in dictionaries that are about to be saved.</summary>
internal static class SavedDictionaryChanges
{
    public static object? Value(this SavedDictionary dictionary, object key) => dictionary.Items.Find(item => item.Key.Equals(key)).Value;

    public static SavedDictionary Dictionary(this SavedDictionary dictionary, object key) => (SavedDictionary)dictionary.Value(key)!;

    public static void Replace(this SavedDictionary dictionary, object key, object? value)
    {
        dictionary.Items.RemoveAll(item => item.Key.Equals(key));
        dictionary[key] = value;
    }
}
