namespace Diffusion.Gpu.Kernels;

/// <summary>
/// Memory that the next block of work needs, asked for along the inner loops of this one: so the multiply-add units need not wait for
/// it. The processor's own guesses end at every page and start late.
/// </summary>
/// <param name="first">A stretch of memory.</param>
/// <param name="firstFloats">Its length.</param>
/// <param name="second">Another one, asked for when the first is done.</param>
/// <param name="secondFloats">Its length.</param>
internal unsafe struct GemmAhead(float* first, nint firstFloats, float* second, nint secondFloats)
{
    /// <summary>Bytes by which inner loops advance per row or depth: in a dozen cycles memory gives about half a cache line.</summary>
    public const int Step = 32;

    private readonly byte* _first = (byte*)first, _second = (byte*)second;
    private readonly nint _firstBytes = firstFloats * sizeof(float), _bytes = (firstFloats + secondFloats) * sizeof(float);
    private nint _done;

    /// <summary>Whether everything has been asked for.</summary>
    public readonly bool IsDone => _done >= _bytes;

    /// <summary>The memory to begin with in the next steps.</summary>
    /// <param name="steps">Steps until the next call.</param>
    /// <param name="idle">Memory in use that is given when nothing else is wanted.</param>
    public byte* Next(nint steps, void* idle)
    {
        if (IsDone)
            return (byte*)idle;
        byte* next = _done < _firstBytes ? _first + _done : _second + (_done - _firstBytes);
        _done += steps * Step;
        return next;
    }
}
