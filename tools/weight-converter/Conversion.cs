using System.Text.Json.Nodes;
using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.Training;
using Diffusion.Gpu.WeightConverter.Formats;
using Diffusion.Gpu.WeightConverter.Maps;

namespace Diffusion.Gpu.WeightConverter;

/// <summary>What a file is taken for.</summary>
public enum SourceModel
{
    /// <summary>What its names say.</summary>
    Auto,

    /// <summary>A U-Net, with or without the rest of its training.</summary>
    Unet,

    /// <summary>Inception-v3.</summary>
    Inception,

    /// <summary>Any tensors; they keep their names.</summary>
    Tensors,
}

/// <summary>What is written.</summary>
public enum TargetFormat
{
    /// <summary>What the source and the destination's extension suggest.</summary>
    Auto,

    /// <summary>This project's checkpoint.</summary>
    Checkpoint,

    /// <summary>Tensors under PyTorch's names.</summary>
    Safetensors,

    /// <summary>A state_dict that torch.load reads.</summary>
    StateDict,

    /// <summary>A file that the reference's Trainer.load reads.</summary>
    Trainer,
}

/// <summary>What to convert, and into what.</summary>
/// <param name="Source">The file to read.</param>
/// <param name="Destination">The file to create or replace.</param>
public sealed record ConversionRequest(string Source, string Destination)
{
    /// <summary>What the source is taken for.</summary>
    public SourceModel From { get; init; }

    /// <summary>What is written.</summary>
    public TargetFormat To { get; init; }

    /// <summary>Which weights are written where there is room for one set: true for the averaged, which sample better.</summary>
    public bool Averaged { get; init; } = true;

    /// <summary>What floats become, F32, BF16 or F16; null keeps them. The optimiser's state is always kept.</summary>
    public ElementType? Floats { get; init; }

    /// <summary>True writes the stream of torch before 1.6 instead of a zip archive.</summary>
    public bool Legacy { get; init; }

    /// <summary>Options of <see cref="RunOptions"/> by name: what the weights do not tell.</summary>
    public JsonObject Options { get; init; } = [];
}

/// <summary>How far a conversion is.</summary>
/// <param name="Done">Bytes written.</param>
/// <param name="Total">Bytes to write.</param>
public readonly record struct ConversionProgress(long Done, long Total);

/// <summary>What a conversion wrote.</summary>
/// <param name="Model">What the source holds, in words.</param>
/// <param name="Target">What was written.</param>
/// <param name="Tensors">Number of tensors.</param>
/// <param name="Bytes">Bytes of their elements.</param>
/// <param name="CanResume">Whether training can go on with the optimiser's state.</param>
/// <param name="IsInception">Whether the source is Inception-v3.</param>
/// <param name="InceptionId">Digest of Inception's weights; null for other models,
/// and where its classifier is not the published one.</param>
public sealed record ConversionResult(string Model, TargetFormat Target, int Tensors, long Bytes, bool CanResume, bool IsInception,
    string? InceptionId)
{
    /// <summary>What the source says that is not kept, with its value and what follows from that; a line each.</summary>
    public IReadOnlyList<string> Lost { get; init; } = [];
}

/// <summary>Converts files of weights, safely and tensor by tensor.</summary>
public static class Conversion
{
    /// <summary>Converts a file.</summary>
    /// <param name="request">What, and into what.</param>
    /// <param name="progress">Told of the bytes written so far.</param>
    /// <param name="cancellation">Ends the conversion; nothing is left of it.</param>
    /// <exception cref="WeightsException">The source is missing, damaged, hostile, or does not hold what is asked for.</exception>
    /// <exception cref="OptionsException">An option is impossible.</exception>
    /// <exception cref="IOException">The destination cannot be written, or is the source; a previous one is untouched.</exception>
    public static ConversionResult Run(ConversionRequest request, IProgress<ConversionProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        using var file = WeightFile.Open(request.Source);
        if (Resolve(request.Source) == Resolve(request.Destination))
            throw new IOException($"{request.Destination}: is the file that is read; choose another name for what is written");
        var model = ModelGuess.Of(file, request.From, request.Options);
        var target = request.To == TargetFormat.Auto ? Suggest(request.Destination, model) : request.To;
        long done = 0, total = 0;
        var copies = new TensorCopies(file, request.Floats, bytes => progress?.Report(new ConversionProgress(done += bytes, total)),
            cancellation);
        var write = Plan(request, model, target, copies, out int count);
        total = copies.Bytes;
        string? id = model.Inception is { } prefix ? InceptionMap.Check(file, prefix, anyClasses: true) : null;
        MakeFolder(request.Destination);
        write();
        return new ConversionResult(model.ToString(), target, count, total, target == TargetFormat.Checkpoint && model.Unet!.HasMoments,
            model.Inception is not null, id)
        {
            Lost = target is TargetFormat.Checkpoint or TargetFormat.Trainer ? LostState.Of(model.Unet!)
                : model.Unet is null && model.Inception is null ? LostState.OfTensors(file) : [],
        };
    }

    private static string Resolve(string path)
        => (File.Exists(path) ? File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName : null) ?? Path.GetFullPath(path);

    private static void MakeFolder(string destination)
    {
        if (Path.GetDirectoryName(Path.GetFullPath(destination)) is not { } folder)
            return;
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"{destination}: its folder cannot be made ({error.Message.TrimEnd('.')}); "
                + "choose a folder that you may write to", error);
        }
    }

    private static TargetFormat Suggest(string destination, ModelGuess model)
    {
        bool own = Checkpoint.IsCheckpoint(model.File.Metadata);
        return Path.GetExtension(destination).ToLowerInvariant() switch
        {
            ".safetensors" => model.Unet is not null && !own ? TargetFormat.Checkpoint : TargetFormat.Safetensors,
            ".pt" or ".pth" or ".bin" or ".ckpt" => own ? TargetFormat.Trainer : TargetFormat.StateDict,
            _ => throw new OptionsException("to",
                $"auto, and the name '{Path.GetFileName(destination)}' does not say what is to be written",
                "checkpoint, safetensors, state-dict or trainer, or a name that ends in .safetensors, .pt or .pth"),
        };
    }

    /// <summary>Prepares everything that can fail before a byte is written.</summary>
    private static Action Plan(ConversionRequest request, ModelGuess model, TargetFormat target, TensorCopies copies, out int count)
    {
        string path = request.Destination;
        if (target is TargetFormat.Checkpoint or TargetFormat.Trainer)
        {
            var source = model.Unet ?? throw new WeightsException(request.Source, null, $"it holds {model}",
                $"--to {target.ToString().ToLowerInvariant()} needs a U-Net; write .safetensors instead");
            var options = source.Run(request.Options);
            source.Check();
            if (target == TargetFormat.Trainer)
            {
                var saved = TrainerMap.Object(source, options, copies);
                count = source.File.Tensors.Count;
                return () => Save(path, saved, request.Legacy);
            }
            var tensors = CheckpointMap.Tensors(source, copies);
            count = tensors.Count;
            return () => source.Describe(options, path).Write(tensors);
        }

        var named = model.Select(copies, request.Averaged);
        count = named.Count;
        if (target == TargetFormat.Safetensors)
            return () => SafetensorsWriter.Write(path, model.Metadata(request.Options), named);
        var dictionary = new SavedDictionary(ordered: true);
        named.ForEach(tensor => dictionary[tensor.Entry.Name] = tensor);
        return () => Save(path, dictionary, request.Legacy);
    }

    private static void Save(string path, SavedDictionary saved, bool legacy)
    {
        if (legacy)
            TorchWriter.WriteLegacy(path, saved);
        else
            TorchWriter.WriteZip(path, saved);
    }
}
