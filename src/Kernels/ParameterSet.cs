namespace Diffusion.Gpu.Kernels;

/// <summary>
/// All parameters of one model in one block of memory, so that the optimiser, the average and the gradient norm are one pass each.
/// </summary>
/// <remarks>Every parameter starts at a multiple of 64 floats; the gaps hold zeros and stay zero under Adam and averaging.
/// Trainable parameters come first, so that <see cref="Trainable"/> is one range.</remarks>
public sealed class ParameterSet : IDisposable
{
    private const int Alignment = 64;
    private readonly List<Parameter> _parameters;
    private readonly long _trainableCount;
    private Tensor? _gradients;

    /// <summary>Gives memory to parameters; the values are zero until initialised or loaded.</summary>
    /// <param name="device">Where the values will lie.</param>
    /// <param name="parameters">In the order of registration, which is PyTorch's named_parameters order.</param>
    public ParameterSet(Device device, IEnumerable<Parameter> parameters)
    {
        ArgumentNullException.ThrowIfNull(device);
        Device = device;
        _parameters = [.. parameters];
        _trainableCount = Layout(0, trainable: true).Sum(item => Aligned(item.Parameter.Shape.Count));
        long total = _trainableCount + Layout(0, trainable: false).Sum(item => Aligned(item.Parameter.Shape.Count));
        if (total > int.MaxValue)
        {
            throw new DeviceException(device.Info.Id,
                $"the parameters need {total * sizeof(float):N0} bytes, one block holds {(long)int.MaxValue * sizeof(float):N0}",
                "use a smaller dim or smaller dim-mults");
        }
        Values = device.NewTensor([(int)Math.Max(total, Alignment)]);
        device.Backend.Fill(Values, 0);
        foreach (var (parameter, offset) in Layout(0, trainable: true).Concat(Layout(_trainableCount, trainable: false)))
            parameter.Bind(this, Slice(Values, parameter, offset));
    }

    /// <summary>Where the values lie.</summary>
    public Device Device { get; }

    /// <summary>The parameters in order of registration.</summary>
    public IReadOnlyList<Parameter> All => _parameters;

    /// <summary>All values in one tensor, trainable ones first.</summary>
    public Tensor Values { get; }

    /// <summary>The trainable values in one tensor.</summary>
    public Tensor Trainable => new(Device, [(int)Math.Max(_trainableCount, Alignment)],
        Values.Storage.Slice(0, Math.Max(_trainableCount, Alignment)));

    /// <summary>All gradients in one tensor, in the order of <see cref="Trainable"/>;
    /// parameters that no backward pass reached read zero.</summary>
    public Tensor Gradients
    {
        get
        {
            EnsureGradients();
            foreach (var parameter in _parameters.Where(p => p.IsTrainable && !p.HasGradient))
            {
                Device.Backend.Fill(parameter.Gradient!, 0);
                parameter.HasGradient = true;
            }
            return _gradients!;
        }
    }

    /// <summary>Number of values, without the gaps.</summary>
    public long Count => _parameters.Sum(p => p.Shape.Count);

    /// <summary>A tensor laid out like <see cref="Trainable"/>, zeroed: room for an optimiser's moments.</summary>
    public Tensor NewState()
    {
        var state = Device.NewTensor(Trainable.Shape);
        Device.Backend.Fill(state, 0);
        return state;
    }

    /// <summary>One parameter's part of a tensor made by <see cref="NewState"/>.</summary>
    public Tensor StateOf(Tensor state, Parameter parameter)
    {
        ArgumentNullException.ThrowIfNull(parameter);
        return Slice(state, parameter, parameter.Value.Storage.Offset - Values.Storage.Offset);
    }

    /// <summary>Forgets the gradients; the next backward pass overwrites them.</summary>
    public void ClearGradients()
    {
        foreach (var parameter in _parameters)
            parameter.HasGradient = false;
    }

    /// <summary>Tells the backends that the values moved, so that packed copies are made anew.</summary>
    public void MarkChanged()
    {
        foreach (var parameter in _parameters)
            parameter.Value.Storage.Version++;
    }

    /// <summary>Returns the memory.</summary>
    public void Dispose()
    {
        foreach (var parameter in _parameters)
            parameter.Value.Dispose();
        Values.Dispose();
        _gradients?.Dispose();
    }

    /// <summary>Makes room for gradients on first use: a model that only samples never pays for them.</summary>
    internal void EnsureGradients()
    {
        if (_gradients is not null)
            return;
        _gradients = NewState();
        foreach (var (parameter, offset) in Layout(0, trainable: true))
            parameter.Gradient = Slice(_gradients, parameter, offset);
    }

    private IEnumerable<(Parameter Parameter, long Offset)> Layout(long start, bool trainable)
    {
        foreach (var parameter in _parameters.Where(p => p.IsTrainable == trainable))
        {
            yield return (parameter, start);
            start += Aligned(parameter.Shape.Count);
        }
    }

    private Tensor Slice(Tensor whole, Parameter parameter, long offset)
        => new(Device, parameter.Shape, whole.Storage.Slice(offset, parameter.Shape.Count));

    private static long Aligned(long count) => (count + Alignment - 1) / Alignment * Alignment;
}
