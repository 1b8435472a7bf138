using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Modules;

namespace Diffusion.Gpu;

/// <summary>The network that a diffusion model trains: from noisy images and times to an estimate of what was added.</summary>
/// <remarks>denoising-diffusion-pytorch, Unet; parameter names and their order are PyTorch's.</remarks>
public sealed class Unet : IDisposable
{
    private readonly Conv2D _initial;
    private readonly TimeMlp _timeMlp;
    private readonly DownStage[] _downs;
    private readonly UpStage[] _ups;
    private readonly MiddleStage _middle;
    private readonly ResnetBlock _finalBlock;
    private readonly Conv2D _final;

    /// <summary>Builds a network and draws its weights.</summary>
    /// <param name="device">Where the weights will lie.</param>
    /// <param name="options">The shape of the network.</param>
    /// <param name="seed">Decides the initial weights, whatever the device.</param>
    /// <exception cref="OptionsException">An option cannot be used.</exception>
    /// <exception cref="DeviceException">The device has no room.</exception>
    public Unet(Device device, UnetOptions options, ulong seed)
        : this(new WeightScope(), options, scope => scope.Build(device, seed))
    {
        ArgumentNullException.ThrowIfNull(device);
    }

    private Unet(WeightScope scope, UnetOptions options, Func<WeightScope, ParameterSet?> build)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        Options = options;
        int stages = options.Stages, width = options.InitialChannels;
        _initial = new Conv2D(scope.Child("init_conv"), options.Channels * (options.SelfCondition ? 2 : 1), width, size: 7);
        _timeMlp = new TimeMlp(scope.Child("time_mlp"), options);
        _downs = [.. Enumerable.Range(0, stages).Select(i => new DownStage(scope.Child($"downs.{i}"), options, i))];
        _ups = [.. Enumerable.Range(0, stages).Select(i => new UpStage(scope.Child($"ups.{i}"), options, stages - 1 - i))];
        _middle = new MiddleStage(scope, options);
        _finalBlock = new ResnetBlock(scope.Child("final_res_block"), 2 * width, width, options.TimeChannels, options.Dropout);
        _final = new Conv2D(scope.Child("final_conv"), width, options.OutputChannels, size: 1);
        Layout = scope.Layout;
        Parameters = build(scope)!;
    }

    /// <summary>The shape of the network.</summary>
    public UnetOptions Options { get; }

    /// <summary>The weights.</summary>
    public ParameterSet Parameters { get; }

    /// <summary>Names and file shapes of the weights.</summary>
    public WeightLayout Layout { get; }

    /// <summary>Names and file shapes of the weights that a network of these options has, without building it.</summary>
    /// <exception cref="OptionsException">An option cannot be used.</exception>
    public static WeightLayout LayoutOf(UnetOptions options) => new Unet(new WeightScope(), options, _ => null).Layout;

    /// <summary>Runs the network.</summary>
    /// <param name="tape">Records the run where it is to be trained.</param>
    /// <param name="x">[N, H, W, C] in [-1, 1] plus noise; H and W divisible by 2 per stage but the last.</param>
    /// <param name="times">[N], in steps from 0.</param>
    /// <param name="selfCondition">[N, H, W, C], an earlier estimate of the image where the network takes one; null for zeros.</param>
    /// <param name="dropout">The step's random numbers while training; null drops nothing.</param>
    /// <returns>[N, H, W, out_dim].</returns>
    /// <exception cref="ShapeException">An argument does not fit the network.</exception>
    public Tensor Forward(Tape tape, Tensor x, Tensor times, Tensor? selfCondition = null, RandomKey? dropout = null)
    {
        ArgumentNullException.ThrowIfNull(tape);
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(times);
        CheckInput(x, times, selfCondition);
        using var scope = tape.Scope();
        var time = tape.Silu(_timeMlp.Forward(tape, times));
        var start = _initial.Forward(tape, Options.SelfCondition
            ? Conv2DInput.Concat(selfCondition ?? tape.Constant(x.Shape, new float[x.Count]), x) : x);
        x = start;
        var skips = new Stack<Tensor>();
        foreach (var stage in _downs)
            x = stage.Forward(tape, x, time, dropout, skips);
        x = _middle.Forward(tape, x, time, dropout);
        foreach (var stage in _ups)
            x = stage.Forward(tape, x, time, dropout, skips);
        x = _finalBlock.Forward(tape, x, time, dropout, start);
        return scope.Keep(_final.Forward(tape, x));
    }

    /// <summary>Returns the weights' memory.</summary>
    public void Dispose() => Parameters.Dispose();

    private void CheckInput(Tensor x, Tensor times, Tensor? selfCondition)
    {
        int factor = Options.SizeFactor;
        Require(x.Shape.Rank == 4 && x.Shape[3] == Options.Channels, nameof(x), x.Shape, $"[N, H, W, {Options.Channels}]");
        Require(x.Shape[1] % factor == 0 && x.Shape[2] % factor == 0, nameof(x), x.Shape,
            $"a height and width divisible by {factor} for {Options.Stages} stages");
        Require(times.Shape == [x.Shape[0]], nameof(times), times.Shape, $"[{x.Shape[0]}]");
        if (selfCondition is not null)
        {
            Require(Options.SelfCondition, nameof(selfCondition), selfCondition.Shape, "null for a network without self-condition");
            Require(selfCondition.Shape == x.Shape, nameof(selfCondition), selfCondition.Shape, $"{x.Shape}, as x has");
        }
    }

    private static void Require(bool holds, string argument, Shape got, string wanted)
    {
        if (!holds)
            throw new ShapeException(nameof(Unet), argument, got.ToString(), wanted);
    }
}
