namespace Diffusion.Gpu.Kernels;

/// <summary>A pooling window along one axis, without divisions of negative numbers.</summary>
/// <remarks>Output o covers inputs [First(o), End(o)); input i lies in outputs [FirstOutput(i), EndOutput(i)).</remarks>
internal readonly struct PoolAxis(int inputs, int outputs, int window, int stride, int pad)
{
    private readonly int _inputs = inputs;
    private readonly int _outputs = outputs;
    private readonly int _window = window;
    private readonly int _stride = stride;
    private readonly int _pad = pad;

    public int Inputs => _inputs;

    public int Outputs => _outputs;

    public int First(int output)
    {
        int first = (output * _stride) - _pad;
        return first < 0 ? 0 : first;
    }

    public int End(int output)
    {
        int end = (output * _stride) - _pad + _window;
        return end > _inputs ? _inputs : end;
    }

    public int FirstOutput(int input)
    {
        int beyond = input + _pad - _window + 1;
        return beyond <= 0 ? 0 : (beyond + _stride - 1) / _stride;
    }

    public int EndOutput(int input)
    {
        int end = ((input + _pad) / _stride) + 1;
        return end > _outputs ? _outputs : end;
    }

    public static PoolAxis Rows(in PoolShape s) => new(s.H, s.OutH, s.Window, s.Stride, s.Pad);

    public static PoolAxis Columns(in PoolShape s) => new(s.W, s.OutW, s.Window, s.Stride, s.Pad);
}
