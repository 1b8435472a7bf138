using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Modules;

/// <summary>Sines and cosines of the time at fixed frequencies: [N] to [N, channels].</summary>
internal sealed class SinusoidalEmbedding(int channels, float theta) : ILayer
{
    public Tensor Forward(Tape tape, Tensor x) => tape.SinusoidalEmbedding(x, channels, theta);
}

/// <summary>The time, then its sines and cosines at learned or random frequencies: [N] to [N, 1 + channels].</summary>
internal sealed class FourierEmbedding(WeightScope scope, int channels, bool learned) : ILayer
{
    private readonly Parameter _frequencies = scope.Parameter("weights", [channels / 2], Initialise.Normal, trainable: learned);

    public Tensor Forward(Tape tape, Tensor x) => tape.FourierEmbedding(x, _frequencies);
}

/// <summary>Embeds times and mixes the embedding by two linear layers with GELU between: [N] to [N, timeChannels].</summary>
internal sealed class TimeMlp : ILayer
{
    private readonly ILayer _embedding;
    private readonly Linear _first;
    private readonly Linear _second;

    public TimeMlp(WeightScope scope, UnetOptions options)
    {
        _embedding = options.HasFourierTime
            ? new FourierEmbedding(scope.Child("0"), options.LearnedSinusoidalDim, options.LearnedSinusoidalCond)
            : new SinusoidalEmbedding(options.Dim, options.SinusoidalPosEmbTheta);
        int width = options.HasFourierTime ? options.LearnedSinusoidalDim + 1 : options.Dim;
        _first = new Linear(scope.Child("1"), width, options.TimeChannels);
        _second = new Linear(scope.Child("3"), options.TimeChannels, options.TimeChannels);
    }

    public Tensor Forward(Tape tape, Tensor x)
    {
        using var scope = tape.Scope();
        var embedded = _first.Forward(tape, _embedding.Forward(tape, x));
        return scope.Keep(_second.Forward(tape, tape.Gelu(embedded)));
    }
}
