using System.CommandLine;
using System.Text.Json.Nodes;
using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Samplers;
using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.Cli;

/// <summary>diffusion sample: a checkpoint in, images out.</summary>
internal static class SampleCommand
{
    /// <summary>Name of the picture that shows all samples.</summary>
    public const string GridFile = "grid.png";

    public static Command Create(ToolContext tool)
    {
        var defaults = new SampleRequest("", 16, "");
        var run = Given<string>("--run", "RUN", "Run folder: its newest checkpoint is used.");
        var checkpoint = Given<string>("--checkpoint", "FILE", "A checkpoint file, instead of --run.");
        var folder = Given<string>("--out", "DIR", $"Folder for sample-<index>.png and {GridFile}.");
        folder.Required = true;
        var count = Defaulted("--count", "N", "Number of images.", defaults.Count);
        var batch = Defaulted("--batch", "N", "Images drawn together; the images do not depend on it.", defaults.Batch);
        var sampler = Defaulted("--sampler", string.Join('|', Sampler.Names),
            "How noise is turned into images; ddpm takes every step of the process.", defaults.Sampler);
        sampler.AcceptOnlyFromAmong([.. Sampler.Names]);
        var steps = Defaulted("--steps", "N", "Network calls per image.", defaults.Steps);
        var eta = Defaulted("--eta", "X", "Noise of ddim: 0 none, 1 as much as ddpm.", defaults.Eta);
        var seed = Defaulted("--seed", "N", "Image i is a function of the seed and i.", defaults.Seed);
        var first = Defaulted("--first", "N", "Index of the first image.", defaults.First);
        var weights = Defaulted("--weights", "ema|model", "The averaged weights, or those that training left.", "ema");
        weights.AcceptOnlyFromAmong("ema", "model");
        var overwrite = Given<bool>("--overwrite", null, "Replace files that exist.");
        var device = CommonOptions.Device();
        var precision = CommonOptions.Precision();
        var json = CommonOptions.Json();
        var command = new Command("sample", """
            Draw images from a trained model. The same seed gives the same images, whatever the batch.

            Example: diffusion sample --run runs/photos --count 16 --out samples --sampler dpm++2m --steps 20
            """)
        {
            run, checkpoint, count, folder, batch, sampler, steps, eta, seed, first, weights, overwrite, device, precision, json,
        };
        command.SetAction(result =>
        {
            string file = CheckpointOf(result.GetValue(run), result.GetValue(checkpoint));
            return Run(tool, new SampleRequest(file, result.GetValue(count), result.GetValue(folder)!)
            {
                Batch = result.GetValue(batch),
                Sampler = result.GetValue(sampler)!,
                Steps = result.GetValue(steps),
                Eta = result.GetValue(eta),
                Seed = result.GetValue(seed),
                First = result.GetValue(first),
                Averaged = result.GetValue(weights) == "ema",
                Overwrite = result.GetValue(overwrite),
                Device = result.GetValue(device)!,
                Precision = CommonOptions.ParsePrecision(result.GetValue(precision)!),
            }, StatusLine.ModeFor(result.GetValue(json)));
        });
        return command;
    }

    private static Option<T> Given<T>(string name, string? shown, string help) => new(name) { Description = help, HelpName = shown };

    private static Option<T> Defaulted<T>(string name, string shown, string help, T value)
        => new(name) { Description = help, HelpName = shown, DefaultValueFactory = _ => value };

    /// <summary>Draws the images and writes each as soon as its batch is done.</summary>
    public static int Run(ToolContext tool, SampleRequest request, DisplayMode mode)
    {
        request.Validate();
        string[] files = PrepareFolder(request);
        using var device = Device.Open(request.Device, request.Precision);
        using var model = Checkpoint.OpenModel(request.Checkpoint, device, request.Averaged);
        var sampler = Sampler.Named(request.Sampler, model.Diffusion, request.Steps, request.Eta);
        var size = model.Diffusion.Options.ImageSize;
        int channels = model.Unet.Options.Channels, length = size.Height * size.Width * channels;
        var images = new float[(long)request.Count * length];

        using var display = new SamplingDisplay(tool, mode, request.Count, sampler.Steps);
        using var interruption = new Interruption(() => display.Line("stopping after this step …"));
        try
        {
            for (int done = 0; done < request.Count;)
            {
                int n = Math.Min(request.Batch, request.Count - done);
                using var batch = sampler.Sample(model.Unet, n, request.Seed, request.First + (uint)done,
                    display.ForBatch(done, n), interruption.Token);
                var drawn = images.AsSpan(done * length, n * length);
                batch.CopyTo(drawn);
                if (drawn.ContainsAnyExceptInRange(float.MinValue, float.MaxValue))
                {
                    throw new IOException($"{request.Checkpoint}: draws images that are not finite; its training diverged, "
                        + "use an earlier checkpoint.");
                }
                for (int i = done; i < done + n; i++)
                    PngWriter.Write(files[i], ImageGrid.Make(images.AsSpan(i * length, length), size.Height, size.Width, channels, 1));
                done += n;
            }
        }
        catch (OperationCanceledException)
        {
            display.Line($"stopped; the images drawn so far are in {request.Folder}");
            return ExitCode.Interrupted;
        }
        string grid = Path.Combine(request.Folder, GridFile);
        PngWriter.Write(grid, ImageGrid.Make(images, size.Height, size.Width, channels, (int)Math.Ceiling(Math.Sqrt(request.Count))));
        display.Line($"{request.Count} images of step {model.Checkpoint.Step} by {request.Sampler} "
            + $"with {sampler.Steps} network calls each: " + grid);
        if (mode == DisplayMode.Json)
            tool.Out.WriteLine(Summary(request, model, sampler, files, grid));
        return ExitCode.Success;
    }

    private static string CheckpointOf(string? run, string? checkpoint)
    {
        if ((run is null) == (checkpoint is null))
            throw new UsageException("sample needs either --run RUN or --checkpoint FILE.");
        if (checkpoint is not null)
            return checkpoint;
        if (!Directory.Exists(run))
            throw new IOException($"{run}: there is no such run folder; check the path or train first.");
        return Checkpoint.Latest(run!)?.Path
            ?? throw new IOException($"{run}: holds no checkpoint yet; train to the first milestone, or stop training with Ctrl-C, "
                + "which writes one.");
    }

    /// <summary>Names the files and refuses to begin what could not be written at the end.</summary>
    private static string[] PrepareFolder(SampleRequest request)
    {
        Directory.CreateDirectory(request.Folder);
        string[] files = [.. Enumerable.Range(0, request.Count)
            .Select(i => Path.Combine(request.Folder, $"sample-{request.First + i:00000}.png"))];
        string? existing = files.Append(Path.Combine(request.Folder, GridFile)).FirstOrDefault(File.Exists);
        if (existing is not null && !request.Overwrite)
            throw new IOException($"{existing}: exists already; choose another --out, another --first, or --overwrite.");
        string probe = Path.Combine(request.Folder, ".probe.partial");
        File.WriteAllBytes(probe, []);
        File.Delete(probe);
        return files;
    }

    private static string Summary(SampleRequest request, TrainedModel model, Sampler sampler, string[] files, string grid) => new JsonObject
    {
        ["checkpoint"] = request.Checkpoint,
        ["step"] = model.Checkpoint.Step,
        ["sampler"] = request.Sampler,
        ["network_calls"] = sampler.Steps,
        ["seed"] = request.Seed,
        ["first"] = request.First,
        ["count"] = request.Count,
        ["grid"] = grid,
        ["files"] = new JsonArray([.. files.Select(file => (JsonNode)file)]),
    }.ToJsonString();
}
