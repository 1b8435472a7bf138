using System.Globalization;
using System.Numerics;
using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.Training;
using Diffusion.Gpu.WeightConverter.Formats;

namespace Diffusion.Gpu.WeightConverter.Maps;

/// <summary>Names what a file says beside its weights that the other format has no place for, and what follows from that.</summary>
/// <remarks>Whatever is neither kept, nor told by what is kept, nor without consequence is named: a new field of PyTorch's too.</remarks>
internal static class LostState
{
    private const string Group = "opt.param_groups.0.";
    private const string Scaler = "scaler.";
    private const int MostLines = 20;
    private const int MostNames = 4;

    /// <summary>Fields of Adam that have one value here, and what follows where the file has another.</summary>
    private static readonly (string Field, double Plain, string Consequence)[] Fixed =
    [
        ("eps", 1e-8, "Adam goes on with 1e-08"),
        ("weight_decay", 0, "training goes on without weight decay"),
        ("amsgrad", 0, "Adam goes on with the second moment itself instead of its maximum"),
        ("maximize", 0, "training goes on to make the loss smaller"),
    ];

    /// <summary>Fields that are kept, or that decide how a step is computed but not what it is.</summary>
    private static readonly string[] Harmless =
        ["lr", "betas.0", "betas.1", "foreach", "capturable", "differentiable", "fused", "decoupled_weight_decay"];

    private static readonly string[] OfEveryWeight = ["step", "exp_avg", "exp_avg_sq"];

    private static readonly string[] Kept = ["step", "initted", "version", "format", "ema.step", "ema.initted", UnetSource.OptionsName];

    /// <summary>What is lost when a file becomes a checkpoint of this project or a file for the reference's Trainer.</summary>
    public static List<string> Of(UnetSource source)
    {
        if (source.IsOwn)
            return [];
        var file = source.File;
        var lines = new List<string>();
        var rest = Values(file).Where(value => !IsNothing(value.Value))
            .ToDictionary(value => value.Name, value => value.Value, StringComparer.Ordinal);
        foreach (string name in KeptNames(source))
            rest.Remove(name);
        foreach (var (field, plain, consequence) in Fixed)
        {
            if (rest.Remove(Group + field, out object? value) && Number(value) != plain)
                lines.Add($"{Group}{field} is {ValueText.Short(value)}, which is not kept: {consequence}");
        }
        foreach (string name in rest.Keys.Where(name => name.StartsWith(Group + "params.", StringComparison.Ordinal)
            || (name.StartsWith("opt.state.", StringComparison.Ordinal) && name.EndsWith(".max_exp_avg_sq", StringComparison.Ordinal)))
            .ToList())
        {
            rest.Remove(name);
        }
        var scaler = rest.Where(value => value.Key.StartsWith(Scaler, StringComparison.Ordinal)).ToList();
        if (scaler.Count > 0)
            lines.Add($"{List(scaler)}, which is not kept: training here scales no loss, and the reference's begins with a fresh scale");
        scaler.ForEach(value => rest.Remove(value.Key));
        if (source.OddStep() is var (odd, steps))
            lines.Add($"{odd} is {steps}, which is not kept: all weights go on after {source.AdamSteps} steps of the optimiser");
        foreach (var part in rest.GroupBy(value => PartOf(value.Key), StringComparer.Ordinal))
            lines.Add($"{List([.. part])}, which is not kept: there is no place for it");
        return Shorten(lines);
    }

    /// <summary>What is lost when a file of no known model is reduced to its tensors.</summary>
    public static List<string> OfTensors(WeightFile file)
    {
        var values = file.Scalars.Where(value => !IsNothing(value.Value)).Select(value => KeyValuePair.Create(value.Name, value.Value))
            .ToList();
        return values.Count == 0 ? [] : [$"{List(values)}, which is not kept: the file that is written holds tensors alone"];
    }

    private static IEnumerable<(string Name, object? Value)> Values(WeightFile file) => file.Scalars
        .Concat(file.Tensors.Select(tensor => (tensor.Name, (object?)tensor)))
        .Concat(file.Metadata.Select(pair => (pair.Key, (object?)pair.Value)).Where(pair => file.Find(pair.Key) is null));

    private static IEnumerable<string> KeptNames(UnetSource source)
    {
        string[] buffers = [.. TrainerMap.Buffers(new GaussianDiffusion(new DiffusionOptions())).Select(buffer => buffer.Name)];
        IEnumerable<string> names = [.. Kept, .. Harmless.Select(field => Group + field)];
        foreach (string prefix in source.Sets.All)
        {
            names = names.Concat(source.Layout.Slots.Select(slot => prefix + slot.Name))
                .Concat(buffers.Select(buffer => ProcessInference.Around(prefix) + buffer));
        }
        return source.HasMoments
            ? names.Concat(Enumerable.Range(0, source.Layout.Slots.Count)
                .SelectMany(i => OfEveryWeight.Select(field => $"opt.state.{i}.{field}")))
            : names;
    }

    private static bool IsNothing(object? value)
        => value is null or PickleDictionary { Items.Count: 0 } or PickleSequence { Items.Count: 0 };

    private static double? Number(object? value) => value switch
    {
        bool truth => truth ? 1 : 0,
        long number => number,
        double number => number,
        BigInteger number => (double)number,
        _ => null,
    };

    /// <summary>Values that belong together: fields of the optimiser whatever the weight,
    /// and everything below any other first name.</summary>
    private static string PartOf(string name)
    {
        string[] parts = name.Split('.');
        return parts[0] is "opt" or "ema" or "model"
            ? string.Join('.',
                parts.Select(part => long.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out _) ? "*" : part))
            : parts[0];
    }

    private static string List(IReadOnlyList<KeyValuePair<string, object?>> values)
    {
        string shown = string.Join(", ", values.Take(MostNames).Select(value => value.Value is StoredTensor tensor
            ? $"{value.Key} is {tensor.Type.Name} {tensor.ShapeText}" : $"{value.Key} is {ValueText.Short(value.Value)}"));
        return values.Count > MostNames ? $"{shown} and {values.Count - MostNames} more" : shown;
    }

    private static List<string> Shorten(List<string> lines)
        => lines.Count <= MostLines ? lines
            : [.. lines[..MostLines], $"{lines.Count - MostLines} further fields are not kept: see them by 'inspect'"];
}
