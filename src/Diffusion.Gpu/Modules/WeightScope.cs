using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Modules;

/// <summary>Where modules register their parameters: a prefix of names over one list that all scopes of a model share.</summary>
internal sealed class WeightScope
{
    private readonly List<Registration> _registrations;
    private readonly string _prefix;

    public WeightScope()
        : this([], "")
    {
    }

    private WeightScope(List<Registration> registrations, string prefix)
    {
        _registrations = registrations;
        _prefix = prefix;
    }

    /// <summary>Parameters registered so far, by all scopes of the model.</summary>
    public int Count => _registrations.Count;

    /// <summary>Names, shapes and file order of everything registered.</summary>
    public WeightLayout Layout => new([.. _registrations.Select(r => r.Slot)]);

    /// <summary>The scope of a child module: its names begin with this scope's and a dot.</summary>
    public WeightScope Child(string name) => new(_registrations, $"{_prefix}{name}.");

    /// <summary>Registers a parameter; its values exist once <see cref="Build"/> has run.</summary>
    public Parameter Parameter(string name, Shape shape, Initialiser initialiser, FileOrder order = FileOrder.AsIs, bool trainable = true)
    {
        var parameter = new Parameter(_prefix + name, shape, trainable);
        _registrations.Add(new Registration(parameter, initialiser, new WeightSlot(parameter.Name, shape, order, trainable)));
        return parameter;
    }

    /// <summary>Gives all parameters memory and draws their values; the seed alone decides them, whatever the device.</summary>
    public ParameterSet Build(Device device, ulong seed)
    {
        var set = new ParameterSet(device, _registrations.Select(r => r.Parameter));
        for (int i = 0; i < _registrations.Count; i++)
        {
            var (parameter, initialiser, _) = _registrations[i];
            var values = new float[parameter.Shape.Count];
            initialiser(values, new RandomKey(seed, RandomStream.Weights, (uint)i));
            parameter.Value.CopyFrom(values);
        }
        set.MarkChanged();
        return set;
    }

    private sealed record Registration(Parameter Parameter, Initialiser Initialiser, WeightSlot Slot);
}
