using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Modules;

/// <summary>One resolution on the way down: two residual blocks, attention, and the step to the next resolution.</summary>
internal sealed class DownStage
{
    private readonly ResnetBlock _first;
    private readonly ResnetBlock _second;
    private readonly ILayer _attention;
    private readonly ILayer _resample;

    /// <param name="scope">The scope downs.{stage}.</param>
    /// <param name="options">Of the network.</param>
    /// <param name="stage">0 for the finest.</param>
    public DownStage(WeightScope scope, UnetOptions options, int stage)
    {
        int inputs = options.ChannelsInto(stage), outputs = options.ChannelsOf(stage);
        _first = new ResnetBlock(scope.Child("0"), inputs, inputs, options.TimeChannels, options.Dropout);
        _second = new ResnetBlock(scope.Child("1"), inputs, inputs, options.TimeChannels, options.Dropout);
        _attention = UnetStages.Attention(scope.Child("2"), options, stage, inputs);
        _resample = stage == options.Stages - 1
            ? new Conv2D(scope.Child("3"), inputs, outputs, size: 3)
            : new Downsample(scope.Child("3"), inputs, outputs);
    }

    /// <param name="skips">Receives what the way up will see again.</param>
    public Tensor Forward(Tape tape, Tensor x, Tensor time, RandomKey? dropout, Stack<Tensor> skips)
    {
        using var scope = tape.Scope();
        x = _first.Forward(tape, x, time, dropout);
        skips.Push(scope.Keep(x));
        x = _attention.Forward(tape, _second.Forward(tape, x, time, dropout));
        skips.Push(scope.Keep(x));
        return scope.Keep(_resample.Forward(tape, x));
    }
}

/// <summary>The coarsest resolution: attention between two residual blocks.</summary>
internal sealed class MiddleStage(WeightScope scope, UnetOptions options)
{
    private readonly ResnetBlock _first = Residual(scope.Child("mid_block1"), options);
    private readonly Attention _attention = new(scope.Child("mid_attn"), Channels(options),
        options.AttnHeads.At(options.Stages - 1), options.AttnDimHead.At(options.Stages - 1));
    private readonly ResnetBlock _second = Residual(scope.Child("mid_block2"), options);

    public Tensor Forward(Tape tape, Tensor x, Tensor time, RandomKey? dropout)
    {
        using var scope = tape.Scope();
        x = _attention.Forward(tape, _first.Forward(tape, x, time, dropout));
        return scope.Keep(_second.Forward(tape, x, time, dropout));
    }

    private static int Channels(UnetOptions options) => options.ChannelsOf(options.Stages - 1);

    private static ResnetBlock Residual(WeightScope scope, UnetOptions options)
        => new(scope, Channels(options), Channels(options), options.TimeChannels, options.Dropout);
}

/// <summary>One resolution on the way up: two residual blocks that also see their counterparts, attention, and the step up.</summary>
internal sealed class UpStage
{
    private readonly ResnetBlock _first;
    private readonly ResnetBlock _second;
    private readonly ILayer _attention;
    private readonly ILayer _resample;

    /// <param name="scope">The scope ups.{stages − 1 − stage}.</param>
    /// <param name="options">Of the network.</param>
    /// <param name="stage">0 for the finest, which comes last.</param>
    public UpStage(WeightScope scope, UnetOptions options, int stage)
    {
        int inputs = options.ChannelsOf(stage), outputs = options.ChannelsInto(stage);
        _first = new ResnetBlock(scope.Child("0"), inputs + outputs, inputs, options.TimeChannels, options.Dropout);
        _second = new ResnetBlock(scope.Child("1"), inputs + outputs, inputs, options.TimeChannels, options.Dropout);
        _attention = UnetStages.Attention(scope.Child("2"), options, stage, inputs);
        _resample = stage == 0
            ? new Conv2D(scope.Child("3"), inputs, outputs, size: 3)
            : new Upsample(scope.Child("3"), inputs, outputs);
    }

    /// <param name="skips">What the way down left.</param>
    public Tensor Forward(Tape tape, Tensor x, Tensor time, RandomKey? dropout, Stack<Tensor> skips)
    {
        using var scope = tape.Scope();
        x = _first.Forward(tape, x, time, dropout, skips.Pop());
        x = _second.Forward(tape, x, time, dropout, skips.Pop());
        return scope.Keep(_resample.Forward(tape, _attention.Forward(tape, x)));
    }
}

/// <summary>What the stages share.</summary>
internal static class UnetStages
{
    public static ILayer Attention(WeightScope scope, UnetOptions options, int stage, int channels)
    {
        int heads = options.AttnHeads.At(stage), headChannels = options.AttnDimHead.At(stage);
        return options.HasFullAttention(stage)
            ? new Attention(scope, channels, heads, headChannels)
            : new LinearAttention(scope, channels, heads, headChannels);
    }
}
