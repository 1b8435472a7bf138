using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Diffusion.Gpu.Cli.Scoring;
using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.Cli;

/// <summary>diffusion train: a folder of images in, a run folder with checkpoints, samples and metrics out.</summary>
internal static class TrainCommand
{
    /// <summary>Remembers where a run's images are, so that --resume needs no --data.</summary>
    private const string DataSourceFile = "data-source.txt";

    public static Command Create(ToolContext tool)
    {
        var data = new Option<string>("--data") { Description = "Folder (searched recursively) or zip of images.", HelpName = "DIR|ZIP" };
        var run = new Option<string>("--out")
        {
            Description = "Run folder: options, metrics, sample grids, checkpoints.",
            HelpName = "RUN",
            Required = true,
        };
        var config = new Option<string>("--config")
        {
            Description = "JSON file with any of these options, such as a run's options.json; the command line wins.",
            HelpName = "FILE",
        };
        var resume = new Option<bool>("--resume") { Description = "Go on with the run in --out from its newest checkpoint, bit for bit." };
        var device = CommonOptions.Device();
        var precision = CommonOptions.Precision();
        var json = CommonOptions.Json();
        var command = new Command("train", """
            Train a model on a folder or zip of images. Ctrl-C finishes the step and writes a checkpoint.

            Options in brackets are the reference trainer's names where they differ.

            Examples: diffusion train --data photos/ --out runs/photos --image-size 64 --sampling-timesteps 50
                      diffusion train --data photos/ --out runs/photos --image-size 64 --fid validation --save-best-and-latest-only
            """)
        {
            data, run, config, resume, device, precision, json,
        };
        var table = new OptionTable(command, TrainOptions.All, new RunOptions().ToJson());
        command.SetAction(async (result, _) =>
        {
            var given = Merge(result.GetValue(config), table.Collect(result));
            // These decide where a run computes, not what: they may stand in the file but are no part of the run's options.
            string? source = Take(given, data, result);
            bool goOn = Take(given, resume, result);
            string place = Take(given, device, result)!;
            var kind = CommonOptions.ParsePrecision(Take(given, precision, result)!);
            return await RunAsync(tool, source, result.GetValue(run)!, given, goOn, place, kind,
                StatusLine.ModeFor(result.GetValue(json)));
        });
        return command;
    }

    /// <summary>Trains, from the beginning or from a checkpoint, and says where everything is.</summary>
    /// <param name="budget">Ends the training as if its steps were done.</param>
    public static async Task<int> RunAsync(ToolContext tool, string? data, string run, JsonObject given, bool resume, string deviceId,
        Precision? precision, DisplayMode mode, TimeSpan? budget = null)
    {
        AnchorFiles(given);
        var options = RunOptions.FromJson(given, resume ? Trainer.OptionsOf(run) : null);
        string source = data ?? SourceOf(run, resume);
        using var device = Device.Open(deviceId, precision);
        using var display = new TrainingDisplay(tool, mode);
        // First of all, because it is quick to say that weights are missing.
        using var evaluation = options.Evaluation.IsOn ? FidEvaluation.Open(options.Evaluation, device) : null;
        using var dataset = ImageDataset.Open(source, options.ImageTransform,
            progress: new SynchronousProgress<int>(read => display.Reading(read)));
        foreach (string name in dataset.Skipped)
            display.Line($"skipped {name}");
        using var trainer = resume ? Trainer.Resume(run, dataset, device, options, evaluation)
            : Trainer.Start(run, options, dataset, device, evaluation);
        File.WriteAllText(Path.Combine(trainer.Folder, DataSourceFile), Path.GetFullPath(source) + Environment.NewLine);
        display.Line($"{dataset.Count:N0} images, {trainer.ParameterCount:N0} parameters, {device.Info.Id} ({device.Info.Name}), "
            + $"step {trainer.Step} of {options.Trainer.TrainNumSteps}, run folder {trainer.Folder}");

        if (evaluation is not null)
        {
            display.ScoredBy = $"{evaluation.FeatureLength} dims, {options.Evaluation.FidRecipe}, {evaluation.WeightsLabel}"
                + (device.Precision == Precision.Float32 ? "" : $", network in {device.Precision.ToString().ToLowerInvariant()}");
            display.Line($"scoring by FID: {display.ScoredBy}; "
                + (trainer.ScoresToCome > 0 ? "trying it on a few images …" : "every score of this run is there"));
            if (trainer.PrepareEvaluation() is { } cost)
                display.Cost(cost, evaluation.FeatureLength);
        }
        if (options.Evaluation.SaveBestAndLatestOnly && FormerCheckpoints(trainer.Folder) is { Length: > 0 } former)
            display.Line($"checkpoints of before stay: {string.Join(", ", former)}; from here on model-best and model-latest are written");

        using var interruption = new Interruption(() => display.Line(display.Stopping));
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(interruption.Token);
        if (budget is { } time)
            ending.CancelAfter(time);
        var checkpoint = await trainer.RunAsync(display, ending.Token);
        display.Line($"peak memory on {device.Info.Id}: {device.Memory.Peak / 1e6:N0} MB");
        bool complete = !interruption.Token.IsCancellationRequested;
        display.Line(complete
            ? $"done: {checkpoint.Path} after {checkpoint.Step} steps; draw from it with: diffusion sample --run {run} --out samples"
            : $"stopped: {checkpoint.Path} after {checkpoint.Step} steps{(display.CutOff is { } kept ? $", {kept}" : "")}; "
                + $"go on with: diffusion train --out {run} --resume");
        return complete ? ExitCode.Success : ExitCode.Interrupted;
    }

    /// <summary>Makes the paths of scoring files independent of the folder that the tool is started in, for a later resume.</summary>
    private static void AnchorFiles(JsonObject given)
    {
        foreach (string name in new[] { "fid-weights", "fid-reference" })
        {
            if (given[name] is JsonValue value && value.TryGetValue(out string? path) && path != ScoringOptions.HashWeights)
                given[name] = Path.GetFullPath(path);
        }
    }

    /// <summary>Checkpoints that best and latest do not replace.</summary>
    private static string[] FormerCheckpoints(string run) => [.. Directory.EnumerateFiles(run, "model-*.safetensors")
        .Select(path => Path.GetFileNameWithoutExtension(path)).Where(name => name is not ("model-best" or "model-latest"))
        .Order(StringComparer.Ordinal)];

    private static string SourceOf(string run, bool resume)
    {
        string remembered = Path.Combine(run, DataSourceFile);
        return resume && File.Exists(remembered)
            ? File.ReadAllText(remembered).Trim()
            : throw new UsageException("--data is missing: name a folder or zip of images.");
    }

    /// <summary>An option's value: the command line's, else the file's, else the default; the file's entry is removed.</summary>
    private static T? Take<T>(JsonObject file, Option<T> option, ParseResult result)
    {
        string name = option.Name.TrimStart('-');
        if (!file.Remove(name, out var value) || value is null || result.GetResult(option) is { Implicit: false })
            return result.GetValue(option);
        return value is JsonValue json && json.TryGetValue(out T? given)
            ? given
            : throw new UsageException($"option {name} is {value.ToJsonString()}, expected "
                + (typeof(T) == typeof(bool) ? "true or false." : "a text."));
    }

    /// <summary>Puts the command line's options over those of a file.</summary>
    private static JsonObject Merge(string? configFile, JsonObject given)
    {
        PolicyFile.Expand(given);
        if (configFile is null)
            return given;
        JsonObject merged;
        try
        {
            merged = JsonNode.Parse(File.ReadAllText(configFile)) as JsonObject
                ?? throw new UsageException($"{configFile}: expected a JSON object such as {{\"dim\": 64}}.");
        }
        catch (JsonException exception)
        {
            throw new UsageException($"{configFile}: is no JSON ({exception.Message.TrimEnd('.')}); "
                + "expected an object such as {\"dim\": 64}.");
        }
        var normalised = new JsonObject();
        foreach (var (name, value) in merged)
            normalised[name.Replace('_', '-')] = value?.DeepClone();
        PolicyFile.Expand(normalised);
        foreach (var (name, value) in given)
            normalised[name] = value?.DeepClone();
        return normalised;
    }
}
