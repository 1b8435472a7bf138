using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Modules;

/// <summary>Two blocks beside a shortcut; the time scales and shifts the first one.</summary>
/// <remarks>denoising-diffusion-pytorch, ResnetBlock.</remarks>
internal sealed class ResnetBlock
{
    private readonly Linear _timeProjection;
    private readonly Block _first;
    private readonly Block _second;
    private readonly Dropout _dropout;
    private readonly Conv2D? _shortcut;

    public ResnetBlock(WeightScope scope, int inputs, int outputs, int timeChannels, float dropout)
    {
        _timeProjection = new Linear(scope.Child("mlp.1"), timeChannels, 2 * outputs);
        _first = new Block(scope.Child("block1"), inputs, outputs);
        _dropout = new Dropout(scope, dropout);
        _second = new Block(scope.Child("block2"), outputs, outputs);
        _shortcut = inputs == outputs ? null : new Conv2D(scope.Child("res_conv"), inputs, outputs, size: 1);
    }

    /// <param name="x">[N, H, W, C], or its first channels.</param>
    /// <param name="time">[N, timeChannels], the time embedding after SiLU, which all blocks share.</param>
    /// <param name="dropout">The step's random numbers, or null where nothing is to be dropped.</param>
    /// <param name="skip">[N, H, W, ..], the other channels that the block sees; null where x has all.</param>
    /// <returns>[N, H, W, K].</returns>
    public Tensor Forward(Tape tape, Tensor x, Tensor time, RandomKey? dropout, Tensor? skip = null)
    {
        using var scope = tape.Scope();
        Conv2DInput input = skip is null ? x : Conv2DInput.Concat(x, skip);
        var h = _first.Forward(tape, input, _timeProjection.Forward(tape, time));
        h = _second.Forward(tape, _dropout.Forward(tape, h, dropout));
        return scope.Keep(_shortcut is null ? tape.Add(h, x) : _shortcut.Forward(tape, input, residual: h));
    }
}
