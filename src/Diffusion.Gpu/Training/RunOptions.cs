using System.Text.Json;
using System.Text.Json.Nodes;
using Diffusion.Gpu.Kernels.Images;

namespace Diffusion.Gpu.Training;

/// <summary>All options of a run; as JSON one flat object whose names are those of the command line: train-batch-size.</summary>
public sealed record RunOptions
{
    /// <summary>What a resumed run may change: how long it goes on, what it shows and scores, nothing that training computes.</summary>
    private static readonly string[] Changeable =
    [
        "train-num-steps", "save-and-sample-every", "num-samples", "sampling-timesteps", "ddim-sampling-eta",
        .. Section(new EvaluationPolicy()).Select(item => Kebab(item.Key)),
    ];

    /// <summary>The network.</summary>
    public UnetOptions Unet { get; init; } = new();

    /// <summary>The diffusion process.</summary>
    public DiffusionOptions Diffusion { get; init; } = new();

    /// <summary>The training.</summary>
    public TrainerOptions Trainer { get; init; } = new();

    /// <summary>When samples are scored.</summary>
    public EvaluationPolicy Evaluation { get; init; } = new();

    /// <summary>Size, channels and fit that training images are brought to.</summary>
    public ImageTransform ImageTransform => new(Diffusion.ImageSize.Width, Diffusion.ImageSize.Height, Unet.Channels, Trainer.Squash);

    /// <summary>Reads options from JSON text.</summary>
    /// <param name="json">An object of any of the options; names in kebab or snake case. What is absent keeps its default.</param>
    /// <exception cref="OptionsException">A name is unknown, or a value is impossible.</exception>
    public static RunOptions Parse(string json)
    {
        try
        {
            return JsonNode.Parse(json) is JsonObject values
                ? FromJson(values)
                : throw new OptionsException("file", json, "a JSON object such as {\"dim\": 64}");
        }
        catch (JsonException error)
        {
            throw new OptionsException("file", $"no JSON ({error.Message.TrimEnd('.')})", "a JSON object such as {\"dim\": 64}");
        }
    }

    /// <summary>Puts given values over defaults.</summary>
    /// <param name="given">Any of the options; names in kebab or snake case.</param>
    /// <param name="defaults">What absent options are; null for the reference trainer's.</param>
    /// <exception cref="OptionsException">A name is unknown, or a value is impossible.</exception>
    public static RunOptions FromJson(JsonObject given, RunOptions? defaults = null)
    {
        ArgumentNullException.ThrowIfNull(given);
        defaults ??= new RunOptions();
        JsonObject[] sections = defaults.Sections;
        var unknown = new List<string>();
        foreach (var (name, value) in given)
        {
            string key = name.Replace('-', '_');
            if (sections.FirstOrDefault(section => section.ContainsKey(key)) is { } section)
                section[key] = value?.DeepClone();
            else
                unknown.Add(name);
        }
        if (unknown.Count > 0)
        {
            throw new OptionsException(string.Join(", ", unknown), "unknown",
                $"any of {string.Join(", ", sections.SelectMany(section => section).Select(item => Kebab(item.Key)))}");
        }
        var options = new RunOptions
        {
            Unet = Read(sections[0], defaults.Unet),
            Diffusion = Read(sections[1], defaults.Diffusion),
            Trainer = Read(sections[2], defaults.Trainer),
            Evaluation = Read(sections[3], defaults.Evaluation),
        };
        options.Validate();
        return options;
    }

    /// <summary>All options by their names on the command line.</summary>
    public JsonObject ToJson() => new(Sections
        .SelectMany(section => section)
        .Select(item => KeyValuePair.Create(Kebab(item.Key), item.Value?.DeepClone())));

    /// <summary>All options as JSON text.</summary>
    public string Write() => ToJson().ToJsonString(OptionsJson.Settings);

    /// <summary>Refuses values that no run can be made with, and values that do not go together.</summary>
    /// <exception cref="OptionsException">The first option that cannot be used.</exception>
    public void Validate()
    {
        Unet.Validate();
        Diffusion.Validate();
        Trainer.Validate();
        Evaluation.Validate();
        Diffusion.CheckFits(Unet);
        Evaluation.PlanFor(this);
        OptionsException.ThrowUnless(Unet.Channels is 1 or 3 or 4, "channels", Unet.Channels,
            "1 (grey), 3 (RGB) or 4 (RGBA) to train on images");
        OptionsException.ThrowUnless(Trainer.ConvertImageTo is null || TrainerOptions.ChannelsOf(Trainer.ConvertImageTo) == Unet.Channels,
            "convert-image-to", Trainer.ConvertImageTo, $"a mode of {Unet.Channels} channels, as channels says");
    }

    /// <summary>Refuses to go on with options under which the run could not have been what it is.</summary>
    /// <param name="begun">The options that the run was begun with.</param>
    /// <exception cref="OptionsException">The first option that must not change.</exception>
    internal void CheckContinues(RunOptions begun)
    {
        var before = begun.ToJson();
        foreach (var (name, value) in ToJson())
        {
            OptionsException.ThrowUnless(Changeable.Contains(name) || JsonNode.DeepEquals(value, before[name]), name, Show(value),
                $"{Show(before[name])}, with which the run was begun (a resumed run may change {string.Join(", ", Changeable)})");
        }
    }

    /// <summary>The parts as JSON, with snake_case names.</summary>
    private JsonObject[] Sections => [Section(Unet), Section(Diffusion), Section(Trainer), Section(Evaluation)];

    private static JsonObject Section<T>(T options) => JsonSerializer.SerializeToNode(options, OptionsJson.Settings)!.AsObject();

    private static T Read<T>(JsonObject section, T defaults)
    {
        foreach (var (name, value) in Section(defaults))
            OptionsException.ThrowUnless(value is null || section[name] is not null, Kebab(name), "null", $"a value such as {Show(value)}");
        try
        {
            return section.Deserialize<T>(OptionsJson.Settings)!;
        }
        catch (JsonException error)
        {
            string name = error.Path?.TrimStart('$', '.').Split('.', '[')[0] ?? "";
            string got = Show(section[name]);
            throw new OptionsException(Kebab(name), got, Choices(typeof(T), name) ?? $"a value such as {Show(Section(defaults)[name])}");
        }
    }

    /// <summary>What an option that is one of a few names can be; null for other options.</summary>
    private static string? Choices(Type options, string name)
    {
        var type = OptionsJson.Settings.GetTypeInfo(options).Properties.FirstOrDefault(property => property.Name == name)?.PropertyType;
        return type is { IsEnum: true }
            ? $"one of {string.Join(", ", Enum.GetNames(type).Select(JsonNamingPolicy.SnakeCaseLower.ConvertName))}"
            : null;
    }

    private static string Kebab(string name) => name.Replace('_', '-');

    private static string Show(JsonNode? value) => value?.ToJsonString() ?? "null";
}
